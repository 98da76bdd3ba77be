package session

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
)

// running is a Run in its own goroutine.
type running struct {
	stop context.CancelFunc
	err  chan error
}

func run(t *testing.T, cfg Config, role Role) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{stop: stop, err: make(chan error, 1)}
	var wg sync.WaitGroup
	wg.Go(func() { r.err <- Run(ctx, cfg, 20*time.Second, role) })
	t.Cleanup(func() { stop(); wg.Wait() })
	return r
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	return zktest.Receive(t, "end of Run", r.err)
}

// end tells Run to end, wants no error of it, and returns how long it took.
func (r *running) end(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	return time.Since(began)
}

// idle is a role that tells of its session and waits for its end.
func idle(sessions chan<- *Session) Role {
	return func(ctx context.Context, s *Session) error {
		sessions <- s
		<-ctx.Done()
		return context.Cause(ctx)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	t.Run("waits_for_the_first_session_and_says_for_how_long", func(t *testing.T) {
		cfg := config(t, nobody(t))
		began := time.Now()
		err := Run(t.Context(), cfg, 300*time.Millisecond, func(context.Context, *Session) error {
			t.Error("the role runs")
			return nil
		})
		if err == nil {
			t.Fatal("no error")
		}
		for _, want := range []string{"no ZooKeeper at " + cfg.Address.Servers[0], "connection refused", "waited 300ms"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q lacks %q", err, want)
			}
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("took %s", took)
		}
	})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { silent.Close() })
	for addr, why := range map[string]string{nobody(t): "connection refused", silent.Addr().String(): errSilent.Error()} {
		t.Run("says_that_it_waits:_"+why, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, addr)
			cfg.Timeout = time.Minute // for the handshake with the silent one
			var log bytes.Buffer
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			if err := Run(t.Context(), cfg, noticeAfter+time.Second, nil); err == nil {
				t.Error("no error")
			}
			if log := log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "waiting for ZooKeeper") || !strings.Contains(log, addr) || !strings.Contains(log, why) {
				t.Errorf("log %q, want %s, %s", log, addr, why)
			}
		})
	}
	t.Run("returns_nil_when_told_to_end_while_it_waits", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := Run(ctx, config(t, nobody(t)), time.Minute, nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("returns_what_the_role_returns", func(t *testing.T) {
		own := errors.New("own")
		for _, want := range []error{own, nil} {
			var used *Session
			err := Run(t.Context(), config(t, zktest.Connect(t)), 20*time.Second, func(_ context.Context, s *Session) error {
				used = s
				return want
			})
			if err != want {
				t.Errorf("error %v, want %v", err, want)
			}
			if used.Err() == nil {
				t.Error("the session is left open")
			}
		}
	})
	t.Run("starts_the_role_over_with_a_new_session", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		sessions := make(chan *Session, 1)
		r := run(t, config(t, root), idle(sessions))
		ids := map[int64]bool{}
		for i := range 3 {
			s := <-sessions
			ids[s.ID()] = true
			if restored := !s.Restored().IsZero(); restored != (i > 0) {
				t.Errorf("session %d: restored %t", i, restored)
			}
			zktest.Expire(t, root, s.ID())
			<-s.Done()
		}
		ids[(<-sessions).ID()] = true
		if len(ids) != 4 {
			t.Errorf("sessions %v", ids)
		}
		r.end(t)
	})
	t.Run("starts_over_however_long_it_takes", func(t *testing.T) {
		t.Parallel()
		server := zktest.NewServer(t, zktest.Options{})
		cfg := config(t, server.Addr()+"/app")
		sessions, gone := make(chan *Session, 1), make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		result := make(chan error, 1)
		go func() { // the wait is for the first session alone
			result <- Run(ctx, cfg, 2*time.Second, func(ctx context.Context, s *Session) error {
				sessions <- s
				<-s.Done()
				<-gone
				return nil
			})
		}()
		s := <-sessions
		zktest.Expire(t, server.Addr(), s.ID())
		zktest.Eventually(t, "end of the session", ended(s))
		server.Kill()
		close(gone)
		down := time.Now()
		zktest.Eventually(t, "a long outage", func() (bool, string) {
			select {
			case err := <-result:
				t.Fatalf("Run returned %v", err)
			default:
			}
			return time.Since(down) > 3*time.Second, ""
		})
		must(t, server.Restart())
		select {
		case again := <-sessions:
			if again.ID() == s.ID() {
				t.Error("the same session")
			}
		case err := <-result:
			t.Fatalf("Run returned %v", err)
		}
		stop()
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
	t.Run("lets_the_role_leave_in_order", func(t *testing.T) {
		root := zktest.Connect(t)
		hand := zktest.Conn(t, root)
		began := make(chan struct{})
		r := run(t, config(t, root), func(ctx context.Context, s *Session) error {
			close(began)
			<-ctx.Done()
			_, err := s.Multi(Create("/left", nil))
			return err
		})
		<-began
		r.end(t)
		if _, ok := hand.Stat("/left"); !ok {
			t.Error("cut off")
		}
	})
	t.Run("lets_the_role_work_on_before_it_leaves", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		hand := zktest.Conn(t, root)
		cfg := config(t, root)
		cfg.Leave = time.Minute
		began := make(chan struct{})
		r := run(t, cfg, func(ctx context.Context, s *Session) error {
			close(began)
			<-ctx.Done()
			select {
			case <-s.Done():
				return s.Err()
			case <-time.After(testTimeout + time.Second): // work
			}
			_, err := s.Multi(Create("/left", nil))
			return err
		})
		<-began
		r.end(t)
		if _, ok := hand.Stat("/left"); !ok {
			t.Error("cut off")
		}
	})
	t.Run("ends_the_session_of_a_role_that_works_on_for_too_long", func(t *testing.T) {
		t.Parallel()
		cfg := config(t, zktest.Connect(t))
		cfg.Leave = time.Second
		sessions := make(chan *Session, 1)
		r := run(t, cfg, func(_ context.Context, s *Session) error {
			_, err := s.Multi(Create("/there", nil))
			sessions <- s
			<-s.Done()
			return err
		})
		<-sessions
		if took := r.end(t); took < cfg.Leave+testTimeout || took > cfg.Leave+testTimeout+3*time.Second {
			t.Errorf("took %s", took)
		}
	})
	t.Run("ends_soon_when_ZooKeeper_stays_away_while_the_role_works_on", func(t *testing.T) {
		t.Parallel()
		server := zktest.NewServer(t, zktest.Options{})
		cfg := config(t, server.Addr())
		cfg.Leave = time.Minute
		sessions := make(chan *Session, 1)
		r := run(t, cfg, func(ctx context.Context, s *Session) error {
			sessions <- s
			<-ctx.Done()
			_, _, err := s.Get("/x")
			return err
		})
		s := <-sessions
		server.Kill()
		zktest.Eventually(t, "suspension", suspended(s))
		if took := r.end(t); took > testTimeout+4*time.Second {
			t.Errorf("took %s", took)
		}
	})
	t.Run("ends_the_session_of_a_role_that_does_not_leave", func(t *testing.T) {
		t.Parallel()
		sessions := make(chan *Session, 1)
		r := run(t, config(t, zktest.Connect(t)), func(_ context.Context, s *Session) error {
			_, err := s.Multi(Create("/there", nil))
			sessions <- s
			<-s.Done()
			return err
		})
		<-sessions
		if took := r.end(t); took < testTimeout || took > testTimeout+3*time.Second {
			t.Errorf("took %s", took)
		}
	})
	t.Run("ends_soon_when_the_first_requests_are_not_answered", func(t *testing.T) {
		t.Parallel()
		proxy, through := zktest.Via(t, zktest.Connect(t))
		cfg := config(t, through)
		cfg.Timeout = 30 * time.Second
		began := make(chan struct{})
		r := run(t, cfg, func(_ context.Context, s *Session) error {
			proxy.Blackhole(true)
			close(began)
			_, _, err := s.Get("/x")
			return err
		})
		<-began
		if took := r.end(t); took > 4*time.Second {
			t.Errorf("took %s", took)
		}
	})
	t.Run("ends_soon_when_the_role_is_stuck_and_ZooKeeper_away", func(t *testing.T) {
		t.Parallel()
		server := zktest.NewServer(t, zktest.Options{})
		cfg := config(t, server.Addr())
		cfg.Timeout = 30 * time.Second
		sessions := make(chan *Session, 1)
		r := run(t, cfg, func(ctx context.Context, s *Session) error {
			sessions <- s
			<-ctx.Done()
			_, _, err := s.Get("/x")
			return err
		})
		s := <-sessions
		server.Kill()
		zktest.Eventually(t, "suspension", suspended(s))
		if took := r.end(t); took > 4*time.Second {
			t.Errorf("took %s", took)
		}
	})
}
