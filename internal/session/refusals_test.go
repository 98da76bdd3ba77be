package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

// Error codes that go-zookeeper has no name for.
func TestQuotaIsARefusal(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{Flags: []string{"-Dzookeeper.enforceQuota=true"}})
	hand := zktest.Conn(t, server.Addr())
	for _, path := range []string{"/app", "/app/data", "/app/tasks"} {
		hand.Create(path, "")
	}
	hand.SetQuota("/app/data", 2, -1)
	hand.SetQuota("/app/tasks", -1, 20)
	s := newSession(t, server.Addr()+"/app")
	group := s.NewGroup()
	write(t, s, Create("/data/a", nil), Create("/tasks/a", []byte("pending")))
	for name, tt := range map[string]struct {
		multi func(...Op) ([]Result, error)
		ops   []Op
		index int
		want  string
	}{
		"number":          {s.Multi, []Op{Check("/data/a", 0), Create("/data/b", nil)}, 1, "create /data/b: quota exceeded on /data"},
		"bytes":           {s.Multi, []Op{Set("/tasks/a", []byte("done 0123456789abcdef"), 0)}, 0, "set /tasks/a: quota exceeded on /tasks"},
		"number_in_group": {group.Multi, []Op{Create("/data/b", nil), Create("/data/c", nil)}, 0, "create /data/b: quota exceeded on /data"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := tt.multi(tt.ops...)
			var refused *OpError
			if !errors.Is(err, ErrQuota) || errors.Is(err, ErrUnknown) || !errors.As(err, &refused) || refused.Index != tt.index || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
	if err := s.EnsureDirs("/data/x"); !errors.Is(err, ErrQuota) {
		t.Errorf("error %v", err)
	}
	write(t, s, Set("/tasks/a", []byte("done 0"), 0))
}

func TestServersThatDemandAuthenticationEndTheProgram(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{Flags: []string{
		"-Dzookeeper.enforce.auth.enabled=true", "-Dzookeeper.enforce.auth.schemes=digest",
	}})
	for name, role := range map[string]Role{
		"at_a_read":  func(_ context.Context, s *Session) error { _, _, err := s.Get("/x"); return err },
		"at_a_write": func(_ context.Context, s *Session) error { _, err := s.Multi(Create("/x", nil)); return err },
		"at_the_chroot": func(context.Context, *Session) error {
			t.Error("the role runs")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			connect := server.Addr()
			if strings.HasSuffix(name, "chroot") {
				connect += "/app"
			}
			if err := run(t, config(t, connect), role).wait(t); !errors.Is(err, ErrAuthRequired) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A server may drop what waited for too long. It answers with an error of the whole.
func TestThrottledCallsAreRepeated(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{Flags: []string{
		"-Dzookeeper.request_throttle_max_requests=1", "-Dzookeeper.throttled_op_wait_time=1",
	}})
	s := newSession(t, server.Addr(), patient)
	must(t, s.EnsureDirs("/p"))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			path := fmt.Sprint("/p/", i)
			_, err := s.Multi(Create(path, nil))
			for errors.Is(err, ErrUnknown) && connectionLost(err) { // on a busy machine
				if err = s.Sync(); err != nil {
					break
				}
				if _, err = s.Multi(Create(path, nil)); errors.Is(err, zk.ErrNodeExists) {
					err = nil
				}
			}
			if err != nil {
				t.Errorf("write: %v", err)
			}
			if _, _, err := s.Get(path); err != nil {
				t.Errorf("read: %v", err)
			}
		})
	}
	wg.Wait()
	if mntr, err := server.Ask("mntr"); err != nil || strings.Contains(mntr, "zk_throttled_ops\t0\n") {
		t.Errorf("nothing was throttled: %v\n%s", err, mntr)
	}
}

func TestErrorsNameTheZnode(t *testing.T) {
	for text, want := range map[string]error{
		"unknown error: -120": errRefused, // an ephemeral of a local session
		"unknown error: -124": ErrAuthRequired,
		"unknown error: -125": ErrQuota,
		"unknown error: -127": errThrottled,
	} {
		if got := named(errors.New(text)); !errors.Is(got, want) {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, err := range []error{nil, zk.ErrNoNode, errors.New("unknown error: -4"), errors.New("unknown error: -2")} {
		if got := named(err); got != err {
			t.Errorf("%v: %v", err, got)
		}
	}
	if err := named(zk.ErrNoAuth); !errors.Is(err, zk.ErrNoAuth) || err.Error() != "no permission" {
		t.Errorf("%v", err)
	}
}
