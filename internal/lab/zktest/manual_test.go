package zktest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestConnectGivesEveryTestItsOwnRoot(t *testing.T) {
	t.Run("whatever/its_näme", func(t *testing.T) {
		a, b := Connect(t), Connect(t)
		Conn(t, a).Create("/x", "")
		if got := Conn(t, b).Children("/"); got == nil || len(got) != 0 {
			t.Errorf("children of the other root: %#v", got)
		}
		if s := Shared(t).Addr(); !strings.HasPrefix(a, s+"/TestConnectGivesEveryTestItsOwnRoot_whatever_its_n_me-") {
			t.Errorf("connect string %s, server %s", a, s)
		}
	})
}

func TestManualClient(t *testing.T) {
	root := Connect(t)

	t.Run("writes_and_reads", func(t *testing.T) {
		h, other := Conn(t, root), Conn(t, root)
		h.Put("/tasks", "pending")
		h.Put("/tasks", "done 42")
		if data, ok := other.Get("/tasks"); !ok || data != "done 42" {
			t.Errorf("get: %q, %v", data, ok)
		}
		h.CreateEphemeral("/me", "")
		first, second := h.CreateSeq("/seq-", "x"), h.CreateSeq("/seq-", "y")
		if !strings.HasPrefix(first, "/seq-0") || first >= second {
			t.Errorf("sequential: %s, %s", first, second)
		}
		if stat, ok := other.Stat(first); !ok || stat.EphemeralOwner != h.Session() {
			t.Errorf("stat %s: %+v, %v; session 0x%x", first, stat, ok, h.Session())
		}
		h.Close()
		if got := other.Children("/"); !slices.Equal(got, []string{"tasks"}) {
			t.Errorf("children after the end of the session: %v", got)
		}
		other.Create("/tasks/b", "")
		other.Create("/tasks/a", "")
		if got := other.Children("/tasks"); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("children: %v", got)
		}
		other.Delete("/tasks/b")
		other.DeleteAll("/tasks")
		other.DeleteAll("/tasks")
		_, isThere := other.Get("/tasks")
		if _, ok := other.Stat("/tasks"); ok || isThere || other.Children("/tasks") != nil {
			t.Error("a deleted znode is there")
		}
	})
	t.Run("fails_the_test_on_an_error", func(t *testing.T) {
		for want, do := range map[string]func(*ManualClient){
			"create /a/b: zk: node does not exist": func(h *ManualClient) { h.Create("/a/b", "") },
			"set /a: zk: node does not exist":      func(h *ManualClient) { h.Set("/a", "") },
			"delete /a: zk: node does not exist":   func(h *ManualClient) { h.Delete("/a") },
			"get /a: zk: connection closed":        func(h *ManualClient) { h.Close(); h.Get("/a") },
		} {
			h := Conn(t, root)
			if got := failure(func(tb testing.TB) { h.t = tb; do(h) }); got != want {
				t.Errorf("failed with %q, want %q", got, want)
			}
		}
	})
}

func TestExpire(t *testing.T) {
	root := Connect(t)

	t.Run("ends_the_session_of_another", func(t *testing.T) {
		h, other := Conn(t, root), Conn(t, root)
		h.CreateEphemeral("/me", "")
		Expire(t, root, h.Session())
		if _, ok := other.Stat("/me"); ok {
			t.Error("the ephemeral znode outlives its session")
		}
		Eventually(t, "the owner learns of it", func() (bool, string) { return h.over.Load(), h.Conn.State().String() })
		if got := failure(func(tb testing.TB) { h.t = tb; h.Create("/again", "") }); got == "" || len(other.Children("/")) != 0 {
			t.Errorf("wrote after the end of its session: %q", got)
		}
	})
	t.Run("fails_for_an_unknown_session", func(t *testing.T) {
		if got := failure(func(tb testing.TB) { Expire(tb, root, 0x1234) }); !strings.Contains(got, "expire session 0x1234: ") {
			t.Errorf("failed with %q", got)
		}
	})
}

func TestEventually(t *testing.T) {
	n := 0
	Eventually(t, "three calls", func() (bool, string) { n++; return n == 3, "" })
	if n != 3 {
		t.Errorf("%d calls", n)
	}
	err := eventually(20*time.Millisecond, func() (bool, string) { return false, "two candidates" })
	if err == nil || err.Error() != "not within 20ms; last seen: two candidates" {
		t.Errorf("error: %v", err)
	}
}

func TestLeaks(t *testing.T) {
	stop, started := make(chan struct{}), make(chan struct{})
	go func() { close(started); <-stop }()
	<-started
	if err := leaks(time.Millisecond); err == nil || !strings.Contains(err.Error(), "TestLeaks") {
		t.Errorf("leaks with one goroutine left: %v", err)
	}
	close(stop)
}

// failure runs do and returns the message that it failed a test with.
func failure(do func(testing.TB)) string {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		do(r)
	}()
	<-done
	return r.message
}

// A recorder is a test that may fail.
type recorder struct {
	testing.TB
	message string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatal(args ...any) {
	r.message = fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }
