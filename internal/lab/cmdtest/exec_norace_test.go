//go:build !race

package cmdtest

import (
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

func TestReconnectExec(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("ends_the_command_of_a_paused_worker_when_it_wakes_up_after_its_session", func(t *testing.T) {
		svc := start(t)
		svc.master()
		w := svc.worker("--shell", "--exec", naps, "--kill-after", "300ms")
		payload := nap()
		c := svc.start("client", "run", payload)
		asleep(t, payload, napCount)
		w.Send(syscall.SIGSTOP)
		zktest.Eventually(t, "its znode is gone", func() (bool, string) {
			got := svc.manual.Children("/workers")
			return len(got) == 0, strings.Join(got, " ")
		})
		if got := sleeping(payload); len(got) != napCount { // nobody is there to end it
			t.Errorf("processes %q", got)
		}
		svc.worker("--exec", "echo {}")
		c.Exit(0)
		w.Send(syscall.SIGCONT)
		asleep(t, payload, 0)
		w.Line(w.Stderr, "starting over")
	})
	t.Run("ends_the_command_of_a_worker_that_hears_nothing_for_its_session", func(t *testing.T) {
		server := zktest.NewServer(t, zktest.Options{})
		svc := newServiceOn(t, server, "/silent")
		svc.master()
		w := svc.worker("--shell", "--exec", naps, "--kill-after", "300ms")
		payload := nap()
		svc.start("client", "run", payload)
		asleep(t, payload, napCount)
		server.Pause()
		defer server.Resume()
		w.Line(w.Stderr, "connection lost")
		w.Line(w.Stderr, "cancelling the task")
		asleep(t, payload, 0)
	})
	t.Run("lets_the_command_run_on_when_told_so_and_ends_it_when_the_session_is_over", func(t *testing.T) {
		svc := start(t)
		svc.master()
		proxy, behind := svc.via()
		w := behind.worker("--cut-off", "continue", "--shell", "--exec", naps, "--kill-after", "300ms")
		payload := nap()
		c := svc.start("client", "run", payload)
		asleep(t, payload, napCount)
		proxy.Blackhole(true)
		w.Line(w.Stderr, "the task runs on")
		svc.worker("--exec", "echo {}")
		c.Exit(0) // executed twice, finished once
		if got := sleeping(payload); len(got) != napCount {
			t.Errorf("processes %q", got)
		}
		proxy.Blackhole(false)
		asleep(t, payload, 0)
		w.Line(w.Stderr, "starting over")
	})
}
