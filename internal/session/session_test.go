package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/goleak"

	"taskkeeper/internal/lab/zktest"
)

func TestMain(m *testing.M) { zktest.Main(m) }

// testTimeout is short, and yet long enough for a machine that is busy.
const testTimeout = 2 * time.Second

func config(t *testing.T, connect string) Config {
	t.Helper()
	a, err := ParseAddress(connect)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Address: a, Timeout: testTimeout, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

func newSession(t *testing.T, connect string, change ...func(*Config)) *Session {
	t.Helper()
	cfg := config(t, connect)
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write is for a test that goes on only when the call was carried out.
func write(t *testing.T, s *Session, ops ...Op) []Result {
	t.Helper()
	results, err := s.Multi(ops...)
	must(t, err)
	return results
}

// cut closes the session's connection, as a network does.
func cut(s *Session) { s.wire.Close() }

func ended(ctx interface{ Done() <-chan struct{} }) func() (bool, string) {
	return func() (bool, string) {
		select {
		case <-ctx.Done():
			return true, ""
		default:
			return false, "not ended"
		}
	}
}

func suspended(s *Session) func() (bool, string) {
	return func() (bool, string) {
		_, is := s.Suspended()
		return is, fmt.Sprint("suspended: ", is)
	}
}

func connected(s *Session) func() (bool, string) {
	return func() (bool, string) {
		_, is := s.Suspended()
		return !is, fmt.Sprint("suspended: ", is, ", last error: ", s.LastErr())
	}
}

// listen runs a false server; each connection is closed when handle returns.
func listen(t *testing.T, handle func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				stop := make(chan struct{})
				defer close(stop)
				wg.Go(func() {
					select {
					case <-done:
						c.Close()
					case <-stop:
					}
				})
				handle(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); close(done); wg.Wait() })
	return l.Addr().String()
}

// silent accepts and never answers, until its peer goes away.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func nobody(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestOpen(t *testing.T) {
	t.Run("says_what_stood_against_it", func(t *testing.T) {
		tests := []struct {
			name, addr, want string
		}{
			{"nothing listens", nobody(t), "connection refused"},
			{"a server that closes", listen(t, func(net.Conn) {}), "no answer to the handshake"},
			{"a server that is silent", listen(t, silent), "i/o timeout"},
			{"another protocol", listen(t, func(c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
				silent(c)
			}), "not a ZooKeeper server"},
		}
		for _, tt := range tests {
			t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
				t.Parallel()
				cfg := config(t, tt.addr)
				cfg.Timeout = 300 * time.Millisecond // a silent server has two thirds of it
				ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
				defer cancel()
				began := time.Now()
				_, err := Open(ctx, cfg)
				if err == nil {
					t.Fatal("opened")
				}
				if !strings.Contains(err.Error(), tt.addr) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %q, want it to name %s and %q", err, tt.addr, tt.want)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("took %s", took)
				}
			})
		}
	})
	t.Run("ends_with_its_context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Open(ctx, config(t, listen(t, silent))); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("goes_past_a_name_that_does_not_resolve", func(t *testing.T) {
		t.Parallel()
		s := newSession(t, "no-such-host.invalid:2181,"+zktest.Connect(t))
		write(t, s, Create("/a", nil))
	})
	t.Run("goes_past_a_silent_server", func(t *testing.T) {
		t.Parallel()
		s := newSession(t, listen(t, silent)+","+listen(t, silent)+","+zktest.Connect(t))
		write(t, s, Create("/a", nil))
	})
	t.Run("tells_the_granted_timeout", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t), func(c *Config) { c.Timeout = time.Hour })
		if got := s.Timeout(); got != time.Minute {
			t.Errorf("timeout %s, want the server's limit", got)
		}
	})
	t.Run("makes_a_chroot_of_several_levels", func(t *testing.T) {
		root := zktest.Connect(t)
		s := newSession(t, root+"/a/b/c")
		hand := zktest.Conn(t, root)
		write(t, s, Create("/x", []byte("1")))
		if data, ok := hand.Get("/a/b/c/x"); !ok || data != "1" {
			t.Errorf("got %q, %v", data, ok)
		}

		hand.DeleteAll("/a")
		must(t, s.EnsureDirs("/x", "/y/z"))
		must(t, s.EnsureDirs("/x", "/y/z"))
		if got := hand.Children("/a/b/c"); !slices.Equal(got, []string{"x", "y"}) {
			t.Errorf("children %q", got)
		}
	})
	t.Run("makes_no_chroot_when_told_so", func(t *testing.T) {
		root := zktest.Connect(t)
		hand := zktest.Conn(t, root)
		cfg := config(t, root+"/a/b")
		cfg.NoCreate = true
		if _, err := Open(t.Context(), cfg); !errors.Is(err, ErrNoChroot) || !strings.Contains(err.Error(), "/a/b") {
			t.Errorf("error %v", err)
		}
		if got := hand.Children("/"); len(got) != 0 {
			t.Errorf("made %q", got)
		}
		hand.Create("/a", "")
		hand.Create("/a/b", "")
		hand.Create("/a/b/x", "1")
		s := newSession(t, root+"/a/b", func(c *Config) { c.NoCreate = true })
		if data, _, err := s.Get("/x"); err != nil || string(data) != "1" {
			t.Errorf("got %q, %v", data, err)
		}
	})
	t.Run("takes_a_chroot_that_it_may_not_make", func(t *testing.T) {
		root := zktest.Connect(t)
		hand := zktest.Conn(t, root)
		hand.Create("/locked", "")
		hand.Create("/locked/app", "")
		hand.SetACL("/locked", zk.WorldACL(zk.PermRead))
		s := newSession(t, root+"/locked/app")
		must(t, s.EnsureDirs("/x"))

		cfg := config(t, root+"/locked/other")
		if _, err := Open(t.Context(), cfg); !errors.Is(err, zk.ErrNoAuth) || !strings.Contains(err.Error(), "/locked/other") {
			t.Errorf("error %v", err)
		}
	})
}

func TestClose(t *testing.T) {
	t.Run("ends_the_session_at_once", func(t *testing.T) {
		root := zktest.Connect(t)
		s, hand := newSession(t, root), zktest.Conn(t, root)
		write(t, s, CreateEphemeral("/e", nil))
		s.Close()
		s.Close()
		if _, ok := hand.Stat("/e"); ok {
			t.Error("its ephemeral znode is still there")
		}
		if err := s.Err(); !errors.Is(err, ErrOver) {
			t.Errorf("error %v", err)
		}
		if _, err := s.Multi(Create("/late", nil)); !errors.Is(err, ErrOver) {
			t.Errorf("error %v", err)
		}
		if s.Live().Err() == nil {
			t.Error("still live")
		}
	})
	t.Run("leaves_no_goroutine", func(t *testing.T) {
		root := zktest.Connect(t)
		before := goleak.IgnoreCurrent()
		s := newSession(t, root)
		write(t, s, Create("/x", nil))
		_, _, err := s.GetW("/x")
		must(t, err)
		s.Close()
		goleak.VerifyNone(t, before)
	})
	t.Run("may_be_called_by_several_amid_calls", func(t *testing.T) {
		root := zktest.Connect(t)
		s := newSession(t, root)
		group := s.NewGroup()
		write(t, s, Create("/x", nil))
		var wg sync.WaitGroup
		var began atomic.Int32
		calls := []func() error{
			func() error { _, err := s.Multi(Set("/x", nil, AnyVersion)); return err },
			func() error { _, err := group.Multi(Set("/x", nil, AnyVersion)); return err },
			func() error { _, _, err := s.Get("/x"); return err },
			func() error { _, _, err := s.GetW("/x"); return err },
			func() error { _, _, err := s.ChildrenW("/x"); return err },
			s.Sync,
		}
		for i := range 60 {
			wg.Go(func() {
				for {
					if err := calls[i%len(calls)](); err != nil {
						if !errors.Is(err, ErrOver) {
							t.Error(err)
						}
						return
					}
					began.Add(1)
				}
			})
		}
		zktest.Eventually(t, "calls", func() (bool, string) {
			n := began.Load()
			return n > 100, fmt.Sprint(n)
		})
		for range 3 {
			wg.Go(s.Close)
		}
		wg.Wait()
	})
	t.Run("ends_contexts_within_it", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t))
		ctx, cancel := s.Within(t.Context())
		defer cancel()
		parent, cancelParent := context.WithCancel(t.Context())
		other, cancelOther := s.Within(parent)
		defer cancelOther()
		cancelParent()
		if other.Err() == nil || ctx.Err() != nil {
			t.Errorf("with their parent: %v, %v", other.Err(), ctx.Err())
		}
		s.Close()
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), ErrOver) {
			t.Errorf("cause %v", context.Cause(ctx))
		}
	})
}
