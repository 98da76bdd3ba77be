package cmdtest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/client"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// service runs the programs on a chroot of their own.
type service struct {
	t    *testing.T
	dir  string
	root string
	hand *zktest.ManualClient

	timeout string // of the sessions
}

// newService builds the programs.
func newService(t *testing.T) func(t *testing.T) *service {
	t.Helper()
	dir := harness.Build(t)
	return func(t *testing.T) *service {
		t.Helper()
		root := zktest.Connect(t)
		return &service{t: t, dir: dir, root: root, hand: zktest.Conn(t, root), timeout: "2s"}
	}
}

func (sv *service) start(program string, args ...string) *harness.Child {
	sv.t.Helper()
	return harness.Run(sv.t, harness.Command{
		Path: filepath.Join(sv.dir, program),
		Args: sv.with(args),
	})
}

// blind is why a test is not for a closed installation: the causes are a viewer's to see.
const blind = "a client may not see who leads, works and is drained, and so cannot tell why no task is done"

// environ is the environment of a command that package harness does not start: with the
// certificate of its role, where it needs one.
func environ(c *exec.Cmd) []string {
	return append(c.Environ(), harness.Environment(zktest.Identity, c.Args...)...)
}

// with adds the service's flags, before -- if there is one.
func (sv *service) with(args []string, more ...string) []string {
	at := slices.Index(args, "--")
	if at < 0 {
		at = len(args)
	}
	return slices.Concat(args[:at], []string{"--zk", sv.root, "--session-timeout", sv.timeout}, more, args[at:])
}

// pipe starts a client's run that reads its tasks from standard input.
func (sv *service) pipe(in string, args ...string) *harness.Child {
	sv.t.Helper()
	return harness.Run(sv.t, harness.Command{
		Path: filepath.Join(sv.dir, "client"), In: in,
		Args: append([]string{"run", "--zk", sv.root, "--session-timeout", sv.timeout, "--log-level", "error"}, args...),
	})
}

func (sv *service) master(args ...string) *harness.Child {
	sv.t.Helper()
	p := sv.start("master", args...)
	p.Line(p.Stderr, "candidate=")
	return p
}

func (sv *service) worker(args ...string) *harness.Child {
	sv.t.Helper()
	p := sv.start("worker", args...)
	p.Line(p.Stderr, "registered")
	return p
}

// empty waits until no task is left.
func (sv *service) empty() {
	sv.t.Helper()
	zktest.Eventually(sv.t, "/tasks and /data are empty", func() (bool, string) {
		left := append(sv.hand.Children("/tasks"), sv.hand.Children("/data")...)
		return len(left) == 0, fmt.Sprint(left)
	})
}

// free waits until all workers are.
func (sv *service) free() {
	sv.t.Helper()
	zktest.Eventually(sv.t, "all workers are free", func() (bool, string) {
		for _, w := range sv.hand.Children("/workers") {
			if got, ok := sv.hand.Get("/workers/" + w); ok && got != "" {
				return false, w + " holds " + got
			}
		}
		return true, ""
	})
}

// logged is how often a text stands in a program's log.
func logged(p *harness.Child, text string) (n int) {
	for _, line := range p.Stderr.Lines() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func TestClient(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("run_prints_the_results_in_the_order_of_the_arguments", func(t *testing.T) {
		sv := start(t)
		sv.master()
		sv.worker("--slots", "8")
		c := sv.start("client", "run", "0.4", "0.1", "0", "0.2", "0.3")
		c.Exit(0)
		if got := c.Stdout.Lines(); !slices.Equal(got, []string{"0", "0", "0", "0", "0"}) {
			t.Errorf("stdout %q", got)
		}
		sv.empty()
	})
	t.Run("run_tells_what_failed_and_why", func(t *testing.T) {
		sv := start(t)
		sv.master()
		sv.worker()
		c := sv.start("client", "run", "0", "potato", "0", "--log-level", "error")
		c.Exit(1)
		if got := c.Stdout.Lines(); !slices.Equal(got, []string{"0", "0"}) {
			t.Errorf("stdout %q", got)
		}
		want := `payload "potato": failed: payload "potato" is not a number`
		if got := c.Stderr.Lines(); len(got) != 2 || !strings.HasPrefix(got[0], want) || got[1] != "client: 1 of 3 tasks failed" {
			t.Errorf("stderr %q", got)
		}
		sv.empty()
	})
	t.Run("a_task_with_the_largest_payload_is_done_like_any_other", func(t *testing.T) {
		sv := start(t)
		sv.master()
		w := sv.worker()
		sv.hand.Create("/data/big", strings.Repeat(" ", client.MaxPayload-3)+"0.1")
		sv.hand.Create("/tasks/big", "pending")
		w.Line(w.Stderr, "task done")
	})
	t.Run("count_ends_the_loop", func(t *testing.T) {
		sv := start(t)
		sv.master()
		sv.worker()
		c := sv.start("client", "--count", "5", "--max-sleep", "0s")
		c.Exit(0)
		if got := c.Stdout.Lines(); len(got) != 5 || !strings.Contains(got[4], "sleep 0 s: result 0 after") {
			t.Errorf("stdout %q", got)
		}
		sv.empty()
	})
	t.Run("goes_on_when_someone_removes_its_task", func(t *testing.T) {
		sv := start(t)
		sv.master()
		c := sv.start("client", "--count", "2", "--max-sleep", "0s")
		zktest.Eventually(t, "a task", func() (bool, string) { return len(sv.hand.Children("/tasks")) == 1, "" })
		id := sv.hand.Children("/tasks")[0]
		sv.hand.Delete("/tasks/" + id)
		c.Line(c.Stdout, "task "+id+" was removed before it finished")
		sv.worker()
		c.Exit(0)
		sv.empty()
	})
	t.Run("gone_before_execution_leaves_nothing", func(t *testing.T) {
		sv := start(t)
		m := sv.master()
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
			c := sv.start("client", "run", "1", "2", "3")
			zktest.Eventually(t, "three tasks", func() (bool, string) {
				got := sv.hand.Children("/tasks")
				return len(got) == 3, fmt.Sprint(got)
			})
			c.Send(sig)
			c.Exit(128 + int(sig))
			if sig != syscall.SIGKILL {
				if got := sv.hand.Children("/tasks"); len(got) != 0 {
					t.Errorf("%v left %q", sig, got)
				}
			}
			sv.empty()
		}
		if n := logged(m, "assigned"); n != 0 {
			t.Errorf("%d assigned", n)
		}
	})
	t.Run("gone_during_execution_ends_the_execution", func(t *testing.T) {
		sv := start(t)
		sv.master()
		w := sv.worker()
		for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			c := sv.start("client", "run", "3600")
			zktest.Eventually(t, "it runs", func() (bool, string) { return logged(w, "task started") == i+1, w.Stderr.String() })
			c.Send(sig)
			c.Exit(128 + int(sig))
			sv.empty()
			sv.free()
			zktest.Eventually(t, "it is cancelled", func() (bool, string) { return logged(w, "taken away") == i+1, w.Stderr.String() })
		}
	})
	t.Run("gone_after_execution_leaves_nothing", func(t *testing.T) {
		sv := start(t)
		sv.master()
		w := sv.worker()
		c := sv.start("client", "run", "0.5")
		w.Line(w.Stderr, "task started")
		c.Send(syscall.SIGSTOP) // it will not fetch what is done
		w.Line(w.Stderr, "task done")
		c.Send(syscall.SIGKILL)
		sv.empty()
		sv.free()
	})
}

func TestWorker(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("ended_by_SIGTERM_gives_its_tasks_back_at_once_and_none_is_lost", func(t *testing.T) {
		sv := start(t)
		m := sv.master()
		first := sv.worker("--slots", "2")
		c := sv.start("client", "run", "1.5", "1.5")
		zktest.Eventually(t, "both run", func() (bool, string) { return logged(first, "task started") == 2, "" })
		second := sv.worker("--slots", "2")
		began := time.Now()
		first.Send(syscall.SIGTERM)
		first.Exit(0)
		zktest.Eventually(t, "both run again", func() (bool, string) { return logged(second, "task started") == 2, "" })
		if took := time.Since(began); took > 2*time.Second { // it would be the session timeout, and more
			t.Errorf("took %v", took)
		}
		c.Exit(0)
		if n := logged(m, "lost with"); n != 0 {
			t.Errorf("%d losses", n)
		}
		if left, gone := logged(m, "worker left"), logged(m, "worker gone"); left != 2 || gone != 0 || logged(m, "returned=1") != 2 {
			t.Errorf("two workers left, each with a task: %s", m.Stderr)
		}
		sv.empty()
	})
	t.Run("killed_loses_its_task_to_another_after_the_session_timeout", func(t *testing.T) {
		sv := start(t)
		m := sv.master()
		first := sv.worker()
		c := sv.start("client", "run", "0.5")
		first.Line(first.Stderr, "task started")
		first.Send(syscall.SIGKILL)
		second := sv.worker()
		m.Line(m.Stderr, "worker gone, its tasks are free again")
		m.Line(m.Stderr, "assigned again, lost with its worker")
		c.Exit(0)
		if n := logged(second, "task started"); n != 1 {
			t.Errorf("%d executions", n)
		}
		sv.empty()
	})
	t.Run("that_kills_itself_with_each_execution_fails_the_task_in_the_end", func(t *testing.T) {
		sv := start(t)
		sv.master()
		c := sv.start("client", "run", "3600")
		for range 3 {
			w := sv.worker()
			w.Line(w.Stderr, "task started")
			w.Send(syscall.SIGKILL)
		}
		c.Exit(1)
		if got := c.Stderr.String(); !strings.Contains(got, "failed: lost with 3 workers") {
			t.Errorf("stderr %s", got)
		}
		sv.empty()
	})
}

func TestMaster(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("ended_by_SIGTERM_hands_over_at_once", func(t *testing.T) {
		sv := start(t)
		first := sv.master()
		second := sv.master()
		sv.worker()
		c := sv.start("client", "--count", "20", "--max-sleep", "0.1s")
		c.Line(c.Stdout, "result")
		began := time.Now()
		first.Send(syscall.SIGTERM)
		second.Line(second.Stderr, " leader ")
		if took := time.Since(began); took > 2*time.Second { // it would be the session timeout, and more
			t.Errorf("took %v", took)
		}
		first.Exit(0)
		c.Exit(0)
		sv.empty()
	})
	t.Run("killed_is_replaced_after_the_session_timeout", func(t *testing.T) {
		sv := start(t)
		first := sv.master()
		second := sv.master()
		sv.worker()
		c := sv.start("client", "--count", "20", "--max-sleep", "0.1s")
		c.Line(c.Stdout, "result")
		first.Send(syscall.SIGKILL)
		second.Line(second.Stderr, " leader ")
		c.Exit(0)
		sv.empty()
	})
	t.Run("gives_a_task_its_last_chance_beside_long_ones_that_it_finds", func(t *testing.T) {
		sv := start(t)
		first, second := sv.master(), sv.master()
		w := sv.worker("--slots", "2")
		sv.hand.Create("/data/long", "3600")
		sv.hand.Create("/tasks/long", "pending")
		w.Line(w.Stderr, "task started")
		first.Send(syscall.SIGTERM)
		second.Line(second.Stderr, " leader ")
		sv.hand.Create("/data/lost", "0")
		sv.hand.Create("/tasks/lost", "pending 2")
		w.Line(w.Stderr, "task=lost")
	})
	t.Run("assigns_what_waited_before_it_came", func(t *testing.T) {
		sv := start(t)
		sv.dirs()
		c := sv.start("client", "run", "0", "0", "0")
		sv.worker()
		zktest.Eventually(t, "three tasks", func() (bool, string) { return len(sv.hand.Children("/tasks")) == 3, "" })
		sv.master()
		c.Exit(0)
		sv.empty()
	})
}
