//go:build !race

// go-zookeeper has a data race when it reconnects under traffic. So tests that reconnect do not run
// under the race detector.

package cmdtest

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

func TestReconnectService(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("a_paused_worker_that_wakes_up_finishes_nothing", func(t *testing.T) {
		svc := start(t)
		svc.master()
		paused := svc.worker("--exec", "sleep 60") // which is not over when it wakes up
		c := svc.start("client", "run", "0")
		paused.Line(paused.Stderr, "task started")
		paused.Send(syscall.SIGSTOP)
		zktest.Eventually(t, "its znode is gone", func() (bool, string) {
			got := svc.manual.Children("/workers")
			return len(got) == 0, strings.Join(got, " ")
		})
		other := svc.worker()
		other.Line(other.Stderr, "task started")
		paused.Send(syscall.SIGCONT)
		zktest.Eventually(t, "it registers anew", func() (bool, string) {
			return logged(paused, "registered") == 2, paused.Stderr.String()
		})
		c.Exit(0)
		if n := logged(paused, "task done"); n != 0 {
			t.Errorf("the paused worker logs %d results", n)
		}
		svc.empty()
		svc.free()
	})
	t.Run("a_paused_leader_that_wakes_up_is_a_backup", func(t *testing.T) {
		svc := start(t)
		first := svc.master()
		second := svc.master()
		svc.worker()
		c := svc.start("client", "--count", "30", "--max-sleep", "0.2s")
		c.Line(c.Stdout, "result")
		first.Send(syscall.SIGSTOP)
		second.Line(second.Stderr, " leader ")
		first.Send(syscall.SIGCONT)
		first.Line(first.Stderr, " backup ")
		c.Exit(0)
		second.Send(syscall.SIGTERM)
		zktest.Eventually(t, "the first leads again", func() (bool, string) {
			return logged(first, " leader ") == 2, first.Stderr.String()
		})
		svc.empty()
	})
	t.Run("a_paused_client_that_wakes_up_submits_again_under_new_ids", func(t *testing.T) {
		svc := start(t)
		c := svc.start("client", "run", "0", "0")
		before := svc.tasks(2)
		c.Send(syscall.SIGSTOP)
		svc.empty()
		c.Send(syscall.SIGCONT)
		svc.tasks(2)
		for i, id := range svc.manual.Children("/tasks") {
			if id == before[0] || id == before[1] {
				t.Errorf("task %d is %s again", i, id)
			}
		}
		svc.master()
		svc.worker()
		c.Exit(0)
		if got := c.Stdout.String(); got != "0\n0" {
			t.Errorf("stdout %q", got)
		}
		svc.empty()
	})
	t.Run("an_outage_of_the_server_repeats_no_execution", func(t *testing.T) {
		server := zktest.NewServer(t, zktest.Options{})
		svc := newServiceOn(t, server, "/outage")
		svc.timeout = "10s" // a busy machine takes seconds to restart a server
		m, w := svc.master(), svc.worker()
		c := svc.start("client", "run", "1.5", "0.5")
		w.Line(w.Stderr, "task started")
		server.Kill()
		m.Line(m.Stderr, "connection lost")
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		c.Exit(0)
		if n := logged(w, "task started"); n != 2 {
			t.Errorf("%d executions of two tasks", n)
		}
		if n := logged(w, "registered"); n != 1 {
			t.Errorf("the worker registered %d times", n)
		}
		if n := logged(m, " leader "); n != 1 {
			t.Errorf("elected %d times", n)
		}
	})
	t.Run("all_programs_end_at_SIGTERM_while_the_server_is_away", func(t *testing.T) {
		server := zktest.NewServer(t, zktest.Options{})
		svc := newServiceOn(t, server, "/away")
		m, w := svc.master(), svc.worker()
		c := svc.start("client", "run", "3600")
		w.Line(w.Stderr, "task started")
		server.Kill()
		began := time.Now()
		for _, p := range []struct {
			*harness.Child
			status int
		}{{m, 0}, {w, 0}, {c, 143}} {
			p.Line(p.Stderr, "connection lost")
			p.Send(syscall.SIGTERM)
			p.Exit(p.status)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("took %v", took)
		}
	})
	t.Run("a_second_signal_ends_a_program_at_once", func(t *testing.T) {
		server := zktest.NewServer(t, zktest.Options{})
		svc := newServiceOn(t, server, "/away")
		svc.timeout = "20s" // else it knows that the server is away, and waits little
		m := svc.master()
		server.Pause()
		m.Send(syscall.SIGTERM)
		m.Line(m.Stderr, "stopping")
		m.Send(syscall.SIGINT)
		m.Exit(130)
	})
}
