//go:build !race

package cmdtest

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

func TestReconnectExec(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("ends_the_command_of_a_paused_worker_when_it_wakes_up_after_its_session", func(t *testing.T) {
		sv := start(t)
		sv.master()
		w := sv.worker("--shell", "--exec", naps, "--kill-after", "300ms")
		payload := nap()
		c := sv.start("client", "run", payload)
		asleep(t, payload, napCount)
		w.Send(syscall.SIGSTOP)
		zktest.Eventually(t, "its znode is gone", func() (bool, string) {
			got := sv.hand.Children("/workers")
			return len(got) == 0, strings.Join(got, " ")
		})
		if got := sleeping(payload); len(got) != napCount { // nobody is there to end it
			t.Errorf("processes %q", got)
		}
		sv.worker("--exec", "echo {}")
		c.Exit(0)
		w.Send(syscall.SIGCONT)
		asleep(t, payload, 0)
		w.Line(w.Stderr, "starting over")
	})
	t.Run("ends_the_command_of_a_worker_that_hears_nothing_for_its_session", func(t *testing.T) {
		server := zktest.NewServer(t, zktest.Options{})
		sv := start(t)
		sv.root = zktest.Chroot(t, server, "/silent")
		sv.master()
		w := sv.worker("--shell", "--exec", naps, "--kill-after", "300ms")
		payload := nap()
		sv.start("client", "run", payload)
		asleep(t, payload, napCount)
		server.Pause()
		defer server.Resume()
		w.Line(w.Stderr, "connection lost")
		w.Line(w.Stderr, "cancelling the task")
		asleep(t, payload, 0)
	})
	t.Run("lets_the_command_run_on_when_told_so_and_ends_it_when_the_session_is_over", func(t *testing.T) {
		sv := start(t)
		sv.master()
		proxy, through := zktest.Via(t, sv.root)
		w := harness.Run(t, harness.Command{Path: filepath.Join(sv.dir, "worker"), Args: []string{"--zk", through,
			"--session-timeout", sv.timeout, "--cut-off", "continue", "--shell", "--exec", naps, "--kill-after", "300ms"}})
		w.Line(w.Stderr, "registered")
		payload := nap()
		c := sv.start("client", "run", payload)
		asleep(t, payload, napCount)
		proxy.Blackhole(true)
		w.Line(w.Stderr, "the task runs on")
		sv.worker("--exec", "echo {}")
		c.Exit(0) // executed twice, finished once
		if got := sleeping(payload); len(got) != napCount {
			t.Errorf("processes %q", got)
		}
		proxy.Blackhole(false)
		asleep(t, payload, 0)
		w.Line(w.Stderr, "starting over")
	})
}
