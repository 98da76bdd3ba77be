package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Role is what a process does with one session. When ctx ends, it stops its work, gives up
// its znodes, and returns soon.
type Role func(ctx context.Context, s *Session) error

// startJitter bounds the random delay of a role after its session ended. Servers that were
// frozen end the sessions of all processes at once.
const startJitter = 100 * time.Millisecond

// Run opens a session and runs the role on it. When the session ends, Run does so again
// with a new session. It returns nil when ctx ends; the role's error when the role returns
// while its session lasts; and an error when the servers demand authentication.
//
// Run waits at most for wait until the first session is open, and then fails; it waits for
// later sessions without limit. After the end of ctx the role may work on for Config.Leave
// while the session is live. Then the role has the session timeout, at most 30 s, to
// return; 0.5 s if ZooKeeper is away, or if the role has not written anything. After that
// Run ends the session.
//
// Run checks the TLS files before it connects, and watches them for as long as it lasts.
func Run(ctx context.Context, cfg Config, wait time.Duration, role Role) error {
	cfg = cfg.withDefaults()
	if err := cfg.TLS.Check(); err != nil {
		return err
	}
	watched, unwatch := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { cfg.TLS.Watch(watched, cfg.Logger) })
	defer watch.Wait()
	defer unwatch()
	for first := true; ; first = false {
		s, err := open(ctx, cfg, first, wait)
		if ctx.Err() != nil {
			if s != nil {
				s.Close()
			}
			return nil
		}
		if err != nil && (first && !errors.Is(err, ErrOver) || errors.Is(err, ErrAuthRequired)) {
			return err
		}
		if err != nil { // for example: the chroot cannot be created, or the session ended at once
			cfg.Logger.Warn("no session", "err", err)
			cfg.again = true
			pause(ctx, time.Second)
			continue
		}
		err = serve(ctx, s, role)
		over := s.Err()
		s.Close()
		if ctx.Err() != nil {
			return nil
		}
		if over == nil {
			return err
		}
		if errors.Is(over, ErrAuthRequired) {
			return over
		}
		cfg.Logger.Warn("starting over with a new session", "err", over)
		cfg.again = true
		pause(ctx, rand.N(startJitter))
	}
}

func open(ctx context.Context, cfg Config, first bool, wait time.Duration) (*Session, error) {
	if !first {
		return Open(ctx, cfg)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	s, err := Open(ctx, cfg)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (waited %s)", err, wait)
	}
	return s, err
}

// serve runs the role within its session, and makes sure that the role returns.
func serve(ctx context.Context, s *Session, role Role) error {
	roleCtx, cancel := s.Within(ctx)
	defer cancel()
	left := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); s.Err() == nil && !errors.Is(cause, context.Canceled) { // Canceled: the program ends by itself
				s.log.Info("stopping", "cause", cause)
			}
		case <-left:
			return
		}
		work := time.NewTimer(s.cfg.Leave)
		defer work.Stop()
		select {
		case <-work.C:
		case <-s.Live().Done():
		case <-left:
			return
		}
		grace := min(s.Timeout(), longestGrace)
		if _, suspended := s.Suspended(); suspended || !s.wrote.Load() {
			grace = shortGrace
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			s.Close()
		case <-left:
		}
	})
	err := role(roleCtx, s)
	close(left)
	watch.Wait()
	return err
}

// longestGrace bounds how long a role may take to leave, whatever the session timeout: a
// service manager kills a program after 90 s.
const longestGrace = 30 * time.Second

// shortGrace is how long a role may take to leave when ZooKeeper is away, or when the role
// has written nothing. Its znodes vanish with the session, and a person may be waiting.
const shortGrace = 500 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
