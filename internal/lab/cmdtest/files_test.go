package cmdtest

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"taskkeeper/internal/lab/harness"
)

// Workers run under a limit of open files, by prlimit of util-linux.
func TestOpenFiles(t *testing.T) {
	t.Parallel()
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		t.Fatal(err)
	}
	svc := newService(t)(t)
	worker := func(limit, slots string, args ...string) *harness.Child {
		return harness.Run(t, harness.Command{Path: prlimit, Args: append([]string{"--nofile=" + limit, filepath.Join(svc.dir, "worker"),
			"--zk", svc.root, "--slots", slots}, args...)})
	}
	needs := func(t *testing.T, limit, slots, what string) (files string) {
		t.Helper()
		w := worker(limit, slots, "--exec", "cat")
		w.Exit(1)
		lines := w.Stderr.Lines()
		m := regexp.MustCompile(`^worker: ` + what + ` open files, the limit is ` + limit + `: raise it \(ulimit -n\)`).FindStringSubmatch(strings.Join(lines, "\n"))
		if len(lines) != 1 || m == nil {
			t.Fatalf("stderr %q", lines)
		}
		return m[1]
	}
	t.Run("too_few_for_the_slots_end_a_worker_before_it_registers", func(t *testing.T) {
		needs(t, "20", "1", `a command needs (\d+)`)
		needs(t, "1024", "10000", `10000 slots need (\d+)`)
		if got := svc.manual.Children("/workers"); len(got) != 0 {
			t.Errorf("registered %q", got)
		}
	})
	t.Run("as_many_as_a_worker_asks_for_are_enough", func(t *testing.T) {
		svc.master()
		w := worker(needs(t, "32", "8", `8 slots need (\d+)`), "8", "--exec", "sleep {}")
		w.Line(w.Stderr, "registered")
		client := svc.start("client", append([]string{"run"}, slices.Repeat([]string{"0.3"}, 16)...)...)
		client.Exit(0)
		if n := logged(w, cannotStart); n > 0 {
			t.Error("some could not be started")
		}
		w.Kill()
	})
	t.Run("are_not_needed_by_slots_without_a_command", func(t *testing.T) {
		w := worker("32", "100")
		w.Line(w.Stderr, "registered")
		client := svc.start("client", append([]string{"run"}, slices.Repeat([]string{"0.1"}, 200)...)...)
		client.Exit(0)
	})
}
