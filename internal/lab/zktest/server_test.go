package zktest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

func TestMain(m *testing.M) { Main(m) }

func TestServer(t *testing.T) {
	s := NewServer(t, Options{})
	addr := s.Addr()
	up := func() bool {
		answer, err := s.Srvr()
		return err == nil && strings.Contains(answer, "Mode: standalone")
	}
	write := func(path string) {
		t.Helper()
		h := Conn(t, addr)
		defer h.Close()
		h.Create(path, "kept")
	}
	kept := func(path string) bool {
		t.Helper()
		h := Conn(t, addr)
		defer h.Close()
		data, ok := h.Get(path)
		return ok && data == "kept"
	}
	restart := func(t *testing.T) {
		t.Helper()
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("serves", func(t *testing.T) {
		if !up() {
			t.Error("no answer to srvr")
		}
		if logs, _ := filepath.Glob(s.DataDir() + "/version-2/*"); len(logs) == 0 {
			t.Errorf("no files in %s", s.DataDir())
		}
	})
	t.Run("keeps_its_data_over_a_kill", func(t *testing.T) {
		write("/killed")
		s.Kill()
		if up() {
			t.Fatal("answers after Kill")
		}
		restart(t)
		if !kept("/killed") {
			t.Error("data lost")
		}
	})
	t.Run("keeps_its_data_over_a_clean_end", func(t *testing.T) {
		write("/terminated")
		s.Terminate()
		restart(t)
		if !kept("/terminated") {
			t.Error("data lost")
		}
	})
	t.Run("is_not_started_or_wiped_while_it_runs", func(t *testing.T) {
		if err := s.Restart(); err == nil {
			t.Error("Restart: no error")
		}
		if err := s.Wipe(); err == nil {
			t.Error("Wipe: no error")
		}
		if !kept("/killed") {
			t.Error("data lost")
		}
	})
	t.Run("says_nothing_while_paused", func(t *testing.T) {
		s.Pause()
		defer s.Resume()
		if up() {
			t.Error("answers while paused")
		}
		s.Resume()
		if !up() {
			t.Error("no answer after Resume")
		}
	})
	t.Run("ends_though_paused", func(t *testing.T) {
		s.Pause()
		s.Terminate()
		restart(t)
		s.Pause()
		s.Kill()
		restart(t)
	})
	t.Run("ends_at_a_write_on_a_full_disk_and_keeps_what_it_had", func(t *testing.T) {
		h := Conn(t, addr)
		free, err := s.FullDisk()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Conn.Create("/not-written", nil, 0, zk.WorldACL(zk.PermAll)); err == nil {
			t.Error("a write on a full disk was carried out")
		}
		Eventually(t, "the server ends", func() (bool, string) { return !s.Alive(), s.LogTail(3) })
		free()
		restart(t)
		if !kept("/terminated") {
			t.Error("data lost")
		}
		if _, exists := h.Get("/not-written"); exists {
			t.Error("the refused write is there")
		}
	})
	t.Run("forgets_its_data_when_wiped", func(t *testing.T) {
		s.Kill()
		if err := s.Wipe(); err != nil {
			t.Fatal(err)
		}
		restart(t)
		if kept("/killed") {
			t.Error("data still there")
		}
	})
	t.Run("logs_with_times", func(t *testing.T) {
		if tail := s.LogTail(5); strings.Count(tail, "\n") != 5 {
			t.Errorf("the last five lines: %q", tail)
		}
		// Not in the last lines: those may be a stack, which has no times.
		if all := s.LogTail(100_000); !strings.Contains(all, time.Now().Format("2006-01-")) {
			t.Errorf("log: %q", all)
		}
	})
	t.Run("leaves_no_files", func(t *testing.T) {
		s, err := Start(Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.Stop()
		if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
			t.Errorf("stat %s: %v", s.dir, err)
		}
		if _, err := s.Srvr(); err == nil {
			t.Error("answers after Stop")
		}
	})
}

func TestStart(t *testing.T) {
	t.Run("takes_the_tick", func(t *testing.T) {
		s := NewServer(t, Options{Tick: 250 * time.Millisecond})
		conf, err := s.Ask("conf")
		if err != nil || !strings.Contains(conf, "tickTime=250\n") || !strings.Contains(conf, "minSessionTimeout=500\n") {
			t.Errorf("conf: %v\n%s", err, conf)
		}
	})
	t.Run("refuses_a_tick_below_a_millisecond", func(t *testing.T) {
		if s, err := Start(Options{Tick: time.Microsecond}); err == nil {
			s.Stop()
			t.Error("no error")
		}
	})
	t.Run("says_what_the_script_says", func(t *testing.T) {
		t.Setenv("JAVA_HOME", t.TempDir())
		s, err := Start(Options{})
		if err == nil {
			s.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), "has no bin/java: set it to a Java, or unset it") {
			t.Errorf("error: %v", err)
		}
	})
	t.Run("is_not_deceived_by_another_server_on_its_port", func(t *testing.T) {
		s := &Server{port: Shared(t).port, dir: t.TempDir()}
		if answer, err := s.Srvr(); err != nil || answer == "" {
			t.Fatalf("the shared server does not answer: %v", err)
		}
		if s.serves() {
			t.Error("took the shared server for its own")
		}
	})
	t.Run("works_only_in_the_checkout", func(t *testing.T) {
		t.Chdir(t.TempDir())
		s, err := Start(Options{})
		if err == nil {
			s.Stop()
			t.Error("no error")
		}
	})
}

func TestConnect(t *testing.T) {
	t.Run("gives_every_test_its_own_root/é", func(t *testing.T) {
		a, b := Connect(t), Connect(t)
		if a == b {
			t.Fatalf("twice %s", a)
		}
		Conn(t, a).Create("/x", "")
		if got := Conn(t, b).Children("/"); len(got) != 0 {
			t.Errorf("children of the other root: %v", got)
		}
		if s := Shared(t).Addr(); !strings.HasPrefix(a, s+"/TestConnect_gives_") {
			t.Errorf("connect string %s, server %s", a, s)
		}
	})
}

func TestHand(t *testing.T) {
	root := Connect(t)
	h, other := Conn(t, root), Conn(t, root)

	t.Run("writes_and_reads", func(t *testing.T) {
		h.Create("/tasks", "")
		h.Create("/tasks/b", "pending")
		h.Set("/tasks/b", "done 42")
		if data, ok := other.Get("/tasks/b"); !ok || data != "done 42" {
			t.Errorf("get: %q, %v", data, ok)
		}
		if stat, ok := other.Stat("/tasks/b"); !ok || stat.Version != 1 || stat.EphemeralOwner != 0 {
			t.Errorf("stat: %+v, %v", stat, ok)
		}
		h.Create("/tasks/a", "")
		if got := other.Children("/tasks"); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("children: %v", got)
		}
		h.Delete("/tasks/a")
		h.Create("/tasks/b/c", "")
		h.DeleteAll("/tasks")
		h.DeleteAll("/tasks")
	})
	t.Run("sees_what_is_missing", func(t *testing.T) {
		if data, ok := h.Get("/none"); ok {
			t.Errorf("get: %q", data)
		}
		if _, ok := h.Stat("/none"); ok {
			t.Error("stat: exists")
		}
		if got := h.Children("/none"); got != nil {
			t.Errorf("children: %v", got)
		}
		if got := h.Children("/"); got == nil || len(got) != 0 {
			t.Errorf("children of an empty znode: %#v", got)
		}
	})
	t.Run("owns_ephemerals_until_it_is_closed", func(t *testing.T) {
		h := Conn(t, root)
		h.CreateEphemeral("/me", "")
		first, second := h.CreateSeq("/seq-", "x"), h.CreateSeq("/seq-", "y")
		if !strings.HasPrefix(first, "/seq-0") || first >= second {
			t.Errorf("sequential: %s, %s", first, second)
		}
		for _, path := range []string{"/me", first} {
			if stat, ok := other.Stat(path); !ok || stat.EphemeralOwner != h.Session() {
				t.Errorf("stat %s: %+v, %v; session 0x%x", path, stat, ok, h.Session())
			}
		}
		h.Close()
		if got := other.Children("/"); len(got) != 0 {
			t.Errorf("left behind: %v", got)
		}
	})
	t.Run("fails_the_test_on_an_error", func(t *testing.T) {
		for name, do := range map[string]func(*ManualClient){
			"create /a/b: zk: node does not exist": func(h *ManualClient) { h.Create("/a/b", "") },
			"set /a: zk: node does not exist":      func(h *ManualClient) { h.Set("/a", "") },
			"delete /a: zk: node does not exist":   func(h *ManualClient) { h.Delete("/a") },
			"get /a: zk: connection closed":        func(h *ManualClient) { h.Close(); h.Get("/a") },
		} {
			got := failure(func(tb testing.TB) {
				h := Conn(t, root)
				h.t = tb
				do(h)
			})
			if got != name {
				t.Errorf("failed with %q, want %q", got, name)
			}
		}
	})
}

func TestExpire(t *testing.T) {
	root := Connect(t)

	t.Run("ends_the_session_of_another", func(t *testing.T) {
		h, other := Conn(t, root), Conn(t, root)
		h.CreateEphemeral("/me", "")
		select {
		case <-h.Expired():
			t.Fatal("expired before Expire")
		default:
		}
		Expire(t, root, h.Session())
		if _, ok := other.Stat("/me"); ok {
			t.Error("the ephemeral znode outlives its session")
		}
		select {
		case <-h.Expired():
		case <-time.After(patience):
			t.Fatalf("the owner saw no StateExpired; it is in %v", h.Conn.State())
		}
		got := failure(func(tb testing.TB) {
			h.t = tb
			h.Create("/again", "")
		})
		if got == "" || other.Children("/") == nil || len(other.Children("/")) != 0 {
			t.Errorf("wrote after the end of its session: %q", got)
		}
	})
	t.Run("fails_for_an_unknown_session", func(t *testing.T) {
		got := failure(func(tb testing.TB) { Expire(tb, root, 0x1234) })
		if !strings.Contains(got, "expire session 0x1234:") {
			t.Errorf("failed with %q", got)
		}
	})
}

func TestEventually(t *testing.T) {
	t.Run("returns_as_soon_as_it_is_true", func(t *testing.T) {
		n := 0
		Eventually(t, "three calls", func() (bool, string) { n++; return n == 3, "" })
		if n != 3 {
			t.Errorf("%d calls", n)
		}
	})
	t.Run("fails_with_what_it_saw_last", func(t *testing.T) {
		err := eventually(20*time.Millisecond, func() (bool, string) { return false, "two candidates" })
		if err == nil || err.Error() != "not within 20ms; last seen: two candidates" {
			t.Errorf("error: %v", err)
		}
	})
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

func (r *recorder) Fatalf(format string, args ...any) {
	r.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
