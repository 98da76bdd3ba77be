package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"taskkeeper/internal/load"
	"taskkeeper/internal/session"
	"taskkeeper/internal/stage"
	"taskkeeper/internal/zktest"
)

// site is the service on ZooKeeper servers of its own: two masters, two workers
// with eight slots each, and a client in this process.
type site struct {
	name     string
	connect  string
	server   *zktest.Server   // the only one; or
	ensemble *zktest.Ensemble // all
	st       *stage.Stage
	client   *load.Client
	session  session.Config
	masters  int // started so far
}

func open(ctx context.Context, name, bin string, logs *os.File) (s *site, err error) {
	s = &site{name: name, st: stage.New(bin, nil, logs)}
	if name == standalone {
		if s.server, err = zktest.Start(zktest.Options{Tick: serverTick}); err != nil {
			return nil, err
		}
		s.connect = s.server.Addr() + chroot
	} else {
		if s.ensemble, err = zktest.StartEnsemble(3, zktest.Options{Tick: serverTick}); err != nil {
			return nil, err
		}
		s.connect = s.ensemble.Connect() + chroot
	}
	address, err := session.ParseAddress(s.connect)
	if err == nil {
		for range 2 {
			err = s.addMaster(ctx)
		}
	}
	for n := 1; n <= 2 && err == nil; n++ {
		_, err = s.enter(ctx, fmt.Sprintf("worker-%d", n), "worker", "registered", "--slots", "8")
	}
	if err != nil {
		s.close()
		return nil, err
	}
	s.session = session.Config{Address: address, Timeout: sessionTimeout}
	s.client = load.Open(ctx, s.session)
	return s, nil
}

func (s *site) close() {
	if s.client != nil {
		s.client.Close() // what it could not withdraw goes with its server
	}
	s.st.Strike()
	if s.server != nil {
		s.server.Stop()
	}
	if s.ensemble != nil {
		s.ensemble.Stop()
	}
}

// enter starts a program and waits for what it logs when it is ready.
func (s *site) enter(ctx context.Context, name, program, ready string, args ...string) (stage.Event, error) {
	began := time.Now()
	err := s.st.Enter(name, program, append(args, "--zk", s.connect, "--session-timeout", sessionTimeout.String(), "--log-format", "json")...)
	if err != nil {
		return stage.Event{}, err
	}
	return s.st.Await(ctx, began, name+" to be "+ready, func(e stage.Event) bool { return e.From == name && e.Msg == ready })
}

func (s *site) addMaster(ctx context.Context) error {
	s.masters++
	ready := "backup"
	if s.masters == 1 {
		ready = "leader"
	}
	_, err := s.enter(ctx, fmt.Sprintf("master-%d", s.masters), "master", ready)
	return err
}

// masterFails ends the leader by a signal while tasks go on, and tells how long
// it was until the next assignment.
func (s *site) masterFails(ctx context.Context, sig syscall.Signal) (took time.Duration, err error) {
	err = s.underway(ctx, func() error {
		hit := time.Now()
		if err := s.st.Signal(s.st.Leader(), sig); err != nil {
			return err
		}
		e, err := s.st.Await(ctx, hit, "a new leader", func(e stage.Event) bool { return e.Msg == "leader" })
		if err != nil {
			return err
		}
		first, err := s.st.Await(ctx, e.Time, "an assignment", func(e stage.Event) bool { return strings.HasPrefix(e.Msg, "assigned") })
		took = first.Time.Sub(hit)
		return err
	})
	if err == nil {
		err = s.addMaster(ctx)
	}
	return took, err
}

// serverFails kills a server and starts it again at once, while tasks go on. It
// tells for how long there was no result, at the longest.
func (s *site) serverFails(ctx context.Context, server *zktest.Server) (longest time.Duration, err error) {
	var mu sync.Mutex
	last := time.Now()
	err = s.stream(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		longest = max(longest, time.Since(last))
		last = time.Now()
	}, func() error {
		mu.Lock()
		longest, last = 0, time.Now()
		mu.Unlock()
		server.Kill()
		if err := server.Restart(); err != nil {
			return err
		}
		return wait(ctx, 5*time.Second)
	})
	return longest, err
}

func (s *site) underway(ctx context.Context, do func() error) error { return s.stream(ctx, nil, do) }

// stream keeps eight tasks of 20 ms in flight while do runs.
func (s *site) stream(ctx context.Context, done func(), do func() error) error {
	ended := make(chan struct{})
	streamed := make(chan error, 1)
	go func() {
		streamed <- s.client.Each(ctx, 8, func(int) (string, bool) {
			select {
			case <-ended:
				return "", false
			default:
				return "0.02", true
			}
		}, done)
	}()
	err := wait(ctx, time.Second)
	if err == nil {
		err = do()
	}
	close(ended)
	if serr := <-streamed; err == nil {
		err = serr
	}
	return err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
