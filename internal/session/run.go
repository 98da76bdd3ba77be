package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Role is what a process does with one session. It returns soon after ctx
// ends, having left in order: work stopped, znodes given up.
type Role func(ctx context.Context, s *Session) error

// spread is how far the starts of roles are drawn apart after their sessions
// ended: servers that were frozen end the sessions of all processes at once.
const spread = 100 * time.Millisecond

// Run opens a session and runs the role on it; when the session ends, again
// with a new one, until ctx ends (then it returns nil), or the role returns
// while its session lasts (then what the role returned), or the servers demand
// authentication.
//
// For the first session it waits at most the given time, and returns an error
// if there is none; later it waits for as long as it takes. Once ctx has ended
// the role may work on for Config.Leave while the session is live, and then has
// the session's timeout to leave, at most 30 s; then its session is ended. It has
// half a second where ZooKeeper is away, or the role has not written anything yet.
//
// The files for TLS are checked before anything is dialed, and watched for as long as Run lasts.
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
		if err != nil { // of what was answered: the chroot may not be made; or it did not last
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
		pause(ctx, rand.N(spread))
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

// serve runs the role within its session, and sees to it that it leaves.
func serve(ctx context.Context, s *Session, role Role) error {
	roleCtx, cancel := s.Within(ctx)
	defer cancel()
	left := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); s.Err() == nil && !errors.Is(cause, context.Canceled) { // else all is done
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

// longestGrace is what a role has to leave in at most, however long its session
// lasts: a service manager waits for 90 s.
const longestGrace = 30 * time.Second

// shortGrace is what a role has to leave in when ZooKeeper is away: its znodes
// vanish with the session's timeout, and a person waits at a terminal. Nor does a role
// leave anything that has written nothing, as while its first requests are not answered.
const shortGrace = 500 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
