package zktest

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

func TestMain(m *testing.M) { Main(m) }

func TestServer(t *testing.T) {
	s, err := Start(Options{Tick: 250 * time.Millisecond, Flags: forTests})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	answers := func() bool {
		mode, err := s.Mode()
		return err == nil && mode == "standalone"
	}
	Conn(t, s.Addr()).Create("/kept", "1")
	restart := func(t *testing.T) {
		t.Helper()
		if answers() {
			t.Error("it answers after its end")
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		h := Conn(t, s.Addr())
		defer h.Close()
		if data, ok := h.Get("/kept"); !ok || data != "1" {
			t.Errorf("/kept: %q, %t", data, ok)
		}
	}

	t.Run("has_the_tick_of_its_options", func(t *testing.T) {
		conf, err := s.Ask("conf")
		if err != nil || !strings.Contains(conf, "tickTime=250\n") || !strings.Contains(conf, "minSessionTimeout=500\n") {
			t.Errorf("conf: %v\n%s", err, conf)
		}
	})
	t.Run("is_not_started_while_it_runs", func(t *testing.T) {
		if err := s.Restart(); err == nil || !answers() {
			t.Errorf("error %v, answers: %t", err, answers())
		}
	})
	t.Run("answers_nothing_while_paused", func(t *testing.T) {
		s.Pause()
		defer s.Resume()
		if answers() {
			t.Error("it answers while paused")
		}
		s.Resume()
		if !answers() {
			t.Error("no answer after Resume")
		}
	})
	t.Run("keeps_its_data_over_a_kill", func(t *testing.T) {
		s.Kill()
		restart(t)
	})
	t.Run("keeps_its_data_over_a_clean_end_though_paused", func(t *testing.T) {
		s.Pause()
		began := time.Now()
		s.Terminate()
		if took := time.Since(began); took > 9*time.Second || s.State().String() != "exit status 143" {
			t.Errorf("it ended with %v after %v", s.State(), took)
		}
		restart(t)
	})
	t.Run("ends_at_a_write_on_a_full_disk_and_keeps_what_it_had", func(t *testing.T) {
		h := Conn(t, s.Addr())
		free, err := s.FullDisk()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Conn.Create("/not-written", nil, 0, zk.WorldACL(zk.PermAll)); err == nil {
			t.Error("a write on a full disk was carried out")
		}
		Eventually(t, "the server ends", func() (bool, string) { return !s.Alive(), s.logTail(3) })
		free()
		restart(t)
		if _, exists := h.Get("/not-written"); exists {
			t.Error("the refused write is there")
		}
	})
	t.Run("logs_with_times", func(t *testing.T) {
		if tail := s.logTail(5); strings.Count(tail, "\n") != 5 {
			t.Errorf("the last five lines: %q", tail)
		}
		// Not in the last lines: those may be a stack, which has no times.
		if all := s.logTail(100_000); !strings.Contains(all, time.Now().Format("2006-01-")) {
			t.Errorf("log: %q", all)
		}
	})
	t.Run("leaves_no_files", func(t *testing.T) {
		s.Stop()
		if _, err := os.Stat(s.dir); !os.IsNotExist(err) || answers() {
			t.Errorf("stat %s: %v; answers: %t", s.dir, err, answers())
		}
	})
}

func TestStart(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		o          Options
		prepare    func(t *testing.T)
	}{
		{"refuses_a_tick_below_a_millisecond", "Tick 1µs is below 1 ms", Options{Tick: time.Microsecond}, func(*testing.T) {}},
		{"shows_the_error_of_the_script", "has no bin/java: set it to a Java, or unset it", Options{}, func(t *testing.T) { t.Setenv("JAVA_HOME", t.TempDir()) }},
		{"works_only_in_the_checkout", "is not inside a checkout", Options{}, func(t *testing.T) { t.Chdir(t.TempDir()) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.prepare(t)
			s, err := Start(tt.o)
			if err == nil {
				s.Stop()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error: %v", err)
			}
		})
	}
	t.Run("does_not_take_another_server_on_its_port_for_its_own", func(t *testing.T) {
		s := &Server{at: Host{Addr: host}, port: Shared(t).port, dir: t.TempDir()}
		if answer, err := s.Ask("srvr"); err != nil || answer == "" {
			t.Fatalf("the shared server does not answer: %v", err)
		}
		if s.serves() {
			t.Error("took the shared server for its own")
		}
	})
}
