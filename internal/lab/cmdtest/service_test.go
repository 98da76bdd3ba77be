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
	t      *testing.T
	dir    string
	root   string
	manual *zktest.ManualClient

	timeout string // of the sessions
}

// newService builds the programs, and returns a function that makes a service.
func newService(t *testing.T) func(t *testing.T) *service {
	t.Helper()
	dir := harness.Build(t)
	return func(t *testing.T) *service {
		t.Helper()
		root := zktest.Connect(t)
		return &service{t: t, dir: dir, root: root, manual: zktest.Conn(t, root), timeout: "2s"}
	}
}

// newServiceOn makes a service in a root on a server that is the test's own.
func newServiceOn(t *testing.T, server *zktest.Server, root string) *service {
	t.Helper()
	root = zktest.Chroot(t, server, root)
	return &service{t: t, dir: harness.Build(t), root: root, manual: zktest.Conn(t, root), timeout: "2s"}
}

// via returns the same service for programs that connect through a proxy.
func (svc *service) via() (*zktest.Proxy, *service) {
	svc.t.Helper()
	proxy, root := zktest.Via(svc.t, svc.root)
	behind := *svc
	behind.root = root
	return proxy, &behind
}

func (svc *service) start(program string, args ...string) *harness.Child {
	svc.t.Helper()
	return harness.Run(svc.t, harness.Command{
		Path: filepath.Join(svc.dir, program),
		Args: svc.with(args),
	})
}

// needsViewer says why a test cannot run under a policy.
const needsViewer = "a client has no right to list masters, workers and drains, and so cannot say why no task is executed"

// environ returns the environment of a command that package harness does not start. Under a policy it
// names the certificate of the command's role.
func environ(c *exec.Cmd) []string {
	return append(c.Environ(), harness.Environment(zktest.Identity, c.Args...)...)
}

// with adds the service's flags, before -- if there is one.
func (svc *service) with(args []string, more ...string) []string {
	at := slices.Index(args, "--")
	if at < 0 {
		at = len(args)
	}
	return slices.Concat(args[:at], []string{"--zk", svc.root, "--session-timeout", svc.timeout}, more, args[at:])
}

// run starts client run, with its tasks on standard input.
func (svc *service) run(in string, args ...string) *harness.Child {
	svc.t.Helper()
	return svc.client(in, append([]string{"run"}, args...)...)
}

// client starts a command of the client, with an input. Only errors are logged.
func (svc *service) client(in string, args ...string) *harness.Child {
	svc.t.Helper()
	return harness.Run(svc.t, harness.Command{
		Path: filepath.Join(svc.dir, "client"), In: in,
		Args: svc.with(args, "--log-level", "error"),
	})
}

// command returns a command of the client whose standard streams the test chooses.
func (svc *service) command(args ...string) *exec.Cmd {
	c := exec.CommandContext(svc.t.Context(), filepath.Join(svc.dir, "client"), svc.with(args)...)
	c.Env = append(environ(c), "GORACE=atexit_sleep_ms=10")
	return c
}

func (svc *service) master(args ...string) *harness.Child {
	svc.t.Helper()
	p := svc.start("master", args...)
	p.Line(p.Stderr, "candidate=")
	return p
}

func (svc *service) worker(args ...string) *harness.Child {
	svc.t.Helper()
	p := svc.start("worker", args...)
	p.Line(p.Stderr, "registered")
	return p
}

// empty waits until no task is left.
func (svc *service) empty() {
	svc.t.Helper()
	zktest.Eventually(svc.t, "/tasks and /data are empty", func() (bool, string) {
		left := append(svc.manual.Children("/tasks"), svc.manual.Children("/data")...)
		return len(left) == 0, fmt.Sprint(left)
	})
}

// free waits until all workers are free.
func (svc *service) free() {
	svc.t.Helper()
	zktest.Eventually(svc.t, "all workers are free", func() (bool, string) {
		for _, w := range svc.manual.Children("/workers") {
			if got, ok := svc.manual.Get("/workers/" + w); ok && got != "" {
				return false, w + " holds " + got
			}
		}
		return true, ""
	})
}

// logged returns how many lines of a program's log contain a text.
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
		svc := start(t)
		svc.master()
		svc.worker("--slots", "8")
		c := svc.start("client", "run", "0.4", "0.1", "0", "0.2", "0.3")
		c.Exit(0)
		if got := c.Stdout.Lines(); !slices.Equal(got, []string{"0", "0", "0", "0", "0"}) {
			t.Errorf("stdout %q", got)
		}
		svc.empty()
	})
	t.Run("run_says_what_failed_and_why", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker()
		c := svc.start("client", "run", "0", "potato", "0", "--log-level", "error")
		c.Exit(1)
		if got := c.Stdout.Lines(); !slices.Equal(got, []string{"0", "0"}) {
			t.Errorf("stdout %q", got)
		}
		want := `payload "potato": failed: payload "potato" is not a number`
		if got := c.Stderr.Lines(); len(got) != 2 || !strings.HasPrefix(got[0], want) || got[1] != "client: 1 of 3 tasks failed" {
			t.Errorf("stderr %q", got)
		}
		svc.empty()
	})
	t.Run("has_a_task_with_the_largest_payload_executed", func(t *testing.T) {
		svc := start(t)
		svc.master()
		w := svc.worker()
		svc.manual.Create("/data/big", strings.Repeat(" ", client.MaxPayload-3)+"0.1")
		svc.manual.Create("/tasks/big", "pending")
		w.Line(w.Stderr, "task done")
	})
	t.Run("with_count_ends_after_so_many_tasks", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker()
		c := svc.start("client", "--count", "5", "--max-sleep", "0s")
		c.Exit(0)
		if got := c.Stdout.Lines(); len(got) != 5 || !strings.Contains(got[4], "sleep 0 s: result 0 after") {
			t.Errorf("stdout %q", got)
		}
		svc.empty()
	})
	t.Run("goes_on_when_someone_removes_its_task", func(t *testing.T) {
		svc := start(t)
		svc.master()
		c := svc.start("client", "--count", "2", "--max-sleep", "0s")
		id := svc.tasks(1)[0]
		svc.manual.Delete("/tasks/" + id)
		c.Line(c.Stdout, "task "+id+" was removed before it finished")
		svc.worker()
		c.Exit(0)
		svc.empty()
	})
	t.Run("gone_before_execution_leaves_no_task", func(t *testing.T) {
		svc := start(t)
		m := svc.master()
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
			c := svc.start("client", "run", "1", "2", "3")
			svc.tasks(3)
			c.Send(sig)
			c.Exit(128 + int(sig))
			if sig != syscall.SIGKILL {
				if got := svc.manual.Children("/tasks"); len(got) != 0 {
					t.Errorf("%v left %q", sig, got)
				}
			}
			svc.empty()
		}
		if n := logged(m, "assigned"); n != 0 {
			t.Errorf("%d assigned", n)
		}
	})
	t.Run("gone_during_execution_ends_the_execution", func(t *testing.T) {
		svc := start(t)
		svc.master()
		w := svc.worker()
		for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			c := svc.start("client", "run", "3600")
			zktest.Eventually(t, "it runs", func() (bool, string) { return logged(w, "task started") == i+1, w.Stderr.String() })
			c.Send(sig)
			c.Exit(128 + int(sig))
			svc.empty()
			svc.free()
			zktest.Eventually(t, "it is cancelled", func() (bool, string) { return logged(w, "taken away") == i+1, w.Stderr.String() })
		}
	})
	t.Run("gone_after_execution_leaves_no_task", func(t *testing.T) {
		svc := start(t)
		svc.master()
		w := svc.worker()
		c := svc.start("client", "run", "0.5")
		w.Line(w.Stderr, "task started")
		c.Send(syscall.SIGSTOP) // it will not fetch what is done
		w.Line(w.Stderr, "task done")
		c.Send(syscall.SIGKILL)
		svc.empty()
		svc.free()
	})
}

func TestWorker(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("ended_by_SIGTERM_gives_its_tasks_back_at_once_and_none_is_lost", func(t *testing.T) {
		svc := start(t)
		m := svc.master()
		first := svc.worker("--slots", "2")
		c := svc.start("client", "run", "1.5", "1.5")
		zktest.Eventually(t, "both run", func() (bool, string) { return logged(first, "task started") == 2, "" })
		second := svc.worker("--slots", "2")
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
		svc.empty()
	})
	t.Run("killed_loses_its_task_to_another_after_the_session_timeout", func(t *testing.T) {
		svc := start(t)
		m := svc.master()
		first := svc.worker()
		c := svc.start("client", "run", "0.5")
		first.Line(first.Stderr, "task started")
		first.Send(syscall.SIGKILL)
		second := svc.worker()
		m.Line(m.Stderr, "worker gone, its tasks are free again")
		m.Line(m.Stderr, "assigned again, lost with its worker")
		c.Exit(0)
		if n := logged(second, "task started"); n != 1 {
			t.Errorf("%d executions", n)
		}
		svc.empty()
	})
	t.Run("lost_with_each_execution_fails_the_task_after_three", func(t *testing.T) {
		svc := start(t)
		svc.master()
		c := svc.start("client", "run", "3600")
		for range 3 {
			w := svc.worker()
			w.Line(w.Stderr, "task started")
			w.Send(syscall.SIGKILL)
		}
		c.Exit(1)
		if got := c.Stderr.String(); !strings.Contains(got, "failed: lost with 3 workers") {
			t.Errorf("stderr %s", got)
		}
		svc.empty()
	})
}

func TestMaster(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("ended_by_SIGTERM_hands_over_at_once", func(t *testing.T) {
		svc := start(t)
		first := svc.master()
		second := svc.master()
		svc.worker()
		c := svc.start("client", "--count", "20", "--max-sleep", "0.1s")
		c.Line(c.Stdout, "result")
		began := time.Now()
		first.Send(syscall.SIGTERM)
		second.Line(second.Stderr, " leader ")
		if took := time.Since(began); took > 2*time.Second { // it would be the session timeout, and more
			t.Errorf("took %v", took)
		}
		first.Exit(0)
		c.Exit(0)
		svc.empty()
	})
	t.Run("killed_is_replaced_after_the_session_timeout", func(t *testing.T) {
		svc := start(t)
		first := svc.master()
		second := svc.master()
		svc.worker()
		c := svc.start("client", "--count", "20", "--max-sleep", "0.1s")
		c.Line(c.Stdout, "result")
		first.Send(syscall.SIGKILL)
		second.Line(second.Stderr, " leader ")
		c.Exit(0)
		svc.empty()
	})
	t.Run("assigns_a_task_that_was_lost_twice_beside_a_long_one_that_it_finds", func(t *testing.T) {
		svc := start(t)
		first, second := svc.master(), svc.master()
		w := svc.worker("--slots", "2")
		svc.manual.Create("/data/long", "3600")
		svc.manual.Create("/tasks/long", "pending")
		w.Line(w.Stderr, "task started")
		first.Send(syscall.SIGTERM)
		second.Line(second.Stderr, " leader ")
		svc.manual.Create("/data/lost", "0")
		svc.manual.Create("/tasks/lost", "pending 2")
		w.Line(w.Stderr, "task=lost")
	})
	t.Run("assigns_tasks_that_waited_before_it_started", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		c := svc.start("client", "run", "0", "0", "0")
		svc.worker()
		svc.tasks(3)
		svc.master()
		c.Exit(0)
		svc.empty()
	})
}
