package cmdtest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// submit submits tasks and returns their ids.
func (svc *service) submit(payloads ...string) []string {
	svc.t.Helper()
	c := svc.client("", append([]string{"submit"}, payloads...)...)
	c.Exit(0)
	ids := c.Stdout.Lines()
	if len(ids) != len(payloads) {
		svc.t.Fatalf("%d payloads, ids %q", len(payloads), ids)
	}
	return ids
}

// wants waits for the end of a command, and checks its exit status and its output.
func wants(t *testing.T, c *harness.Child, status int, stdout, stderr []string) {
	t.Helper()
	c.Exit(status)
	if got := c.Stdout.Lines(); !slices.Equal(got, stdout) {
		t.Errorf("%s: stdout %q, want %q", c, got, stdout)
	}
	if got := c.Stderr.Lines(); !slices.Equal(got, stderr) {
		t.Errorf("%s: stderr %q, want %q", c, got, stderr)
	}
}

const noTask = "no such task: it was never submitted, or was already collected, expired or cancelled"

func TestSubmit(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("leaves_tasks_that_outlive_the_client_in_the_order_of_the_lines", func(t *testing.T) {
		svc := start(t)
		c := svc.client("0\nx\n0.1", "submit")
		c.Exit(0)
		ids := c.Stdout.Lines()
		if !slices.Equal(ids, svc.manual.Children("/tasks")) || len(ids) != 3 || !slices.IsSorted(ids) {
			t.Fatalf("ids %q, tasks %q", ids, svc.manual.Children("/tasks"))
		}
		for i, want := range []string{"0", "x", "0.1"} {
			if got, _ := svc.manual.Get("/data/" + ids[i]); got != want {
				t.Errorf("payload %q, want %q", got, want)
			}
			if stat, ok := svc.manual.Stat("/tasks/" + ids[i]); !ok || stat.EphemeralOwner != 0 {
				t.Errorf("task %d: %+v", i, stat)
			}
		}
		svc.master()
		svc.worker()
		w := svc.client(strings.Join(ids, "\n"), "wait")
		wants(t, w, 1, []string{"0", "0"}, []string{
			`task ` + ids[1] + `: failed: payload "x" is not a number of seconds from 0 to 86400`, "client: 1 of 3 tasks failed"})
		svc.empty()
	})
	t.Run("takes_a_file_and_payloads_that_end_with_NUL", func(t *testing.T) {
		svc := start(t)
		path := writeFile(t, filepath.Join(t.TempDir(), "in"), "a\nb\x00c")
		c := svc.client("", "submit", "-0", "--file", path)
		c.Exit(0)
		for i, id := range c.Stdout.Lines() {
			if got, _ := svc.manual.Get("/data/" + id); got != []string{"a\nb", "c"}[i] {
				t.Errorf("payload %d: %q", i, got)
			}
		}
	})
	t.Run("reports_a_payload_that_is_too_large_and_submits_the_next", func(t *testing.T) {
		svc := start(t)
		c := svc.client(strings.Repeat("a", 1_000_000)+"\n0\n", "submit")
		c.Exit(1)
		if got := c.Stdout.Lines(); !slices.Equal(got, svc.manual.Children("/tasks")) || len(got) != 1 {
			t.Errorf("stdout %q", got)
		}
		if got := c.Stderr.Lines(); len(got) != 2 || !strings.HasSuffix(got[0], "payload of 1000000 bytes: too large: at most 899000") || got[1] != "client: 1 of 2 tasks not submitted" {
			t.Errorf("stderr %q", got)
		}
	})
	t.Run("at_Ctrl_C_has_printed_the_id_of_each_task_that_is_there", func(t *testing.T) {
		svc := start(t)
		c := svc.client(strings.Repeat("0\n", 1_000_000), "submit")
		zktest.Eventually(t, "a thousand", func() (bool, string) {
			n := len(c.Stdout.Lines())
			return n > 1000, fmt.Sprint(n)
		})
		c.Send(syscall.SIGINT)
		c.Exit(130)
		ids := c.Stdout.Lines()
		if got := svc.manual.Children("/tasks"); !slices.Equal(ids, got) {
			t.Errorf("%d ids, %d tasks", len(ids), len(got))
		}
		if got, want := c.Stderr.String(), fmt.Sprintf("client: stopped by SIGINT: %d submitted", len(ids)); got != want {
			t.Errorf("stderr %q, want %q", got, want)
		}
	})
}

func TestWait(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("prints_results_in_the_order_of_the_ids_and_removes_each", func(t *testing.T) {
		svc := start(t)
		ids := svc.submit("a", "b", "c")
		svc.manual.Set("/tasks/"+ids[0], "done 1")
		svc.manual.Set("/tasks/"+ids[2], "done 3\n")
		c := svc.client("", "wait", ids[2], ids[1], ids[0], ids[2])
		c.Line(c.Stdout, "3")
		svc.manual.Set("/tasks/"+ids[1], "failed so")
		wants(t, c, 1, []string{"3", "", "1"}, []string{"task " + ids[1] + ": failed: so", "client: 1 of 3 tasks failed"})
		svc.empty()
		wants(t, svc.client("", "wait", ids[0]), 3, nil, []string{"task " + ids[0] + ": " + noTask, "client: 1 of 1 task unknown"})
	})
	t.Run("with_keep_leaves_the_tasks", func(t *testing.T) {
		svc := start(t)
		ids := svc.submit("a")
		svc.manual.Set("/tasks/"+ids[0], "done 1")
		for range 2 {
			wants(t, svc.client(" "+ids[0]+" \n\n", "wait", "--keep"), 0, []string{"1"}, nil)
		}
	})
	t.Run("leaves_a_task_to_the_client_that_waits_for_it", func(t *testing.T) {
		svc := start(t)
		svc.manual.Put("/tasks", "")
		svc.manual.CreateEphemeral("/tasks/mine", "done 1")
		wants(t, svc.client("", "wait", "mine"), 0, []string{"1"}, nil)
		if got, _ := svc.manual.Get("/tasks/mine"); got != "done 1" {
			t.Errorf("left %q", got)
		}
	})
	t.Run("with_unordered_prints_results_as_they_come", func(t *testing.T) {
		svc := start(t)
		ids := svc.submit("a", "b")
		c := svc.client("", "wait", "--unordered", ids[0], ids[1])
		svc.manual.Set("/tasks/"+ids[1], "done second")
		c.Line(c.Stdout, "second")
		svc.manual.Set("/tasks/"+ids[0], "done first")
		wants(t, c, 0, []string{"second", "first"}, nil)
	})
	t.Run("with_json_prints_one_object_for_each_id", func(t *testing.T) {
		svc := start(t)
		ids := append(svc.submit("a", "b", "c"), "none")
		svc.manual.Set("/tasks/"+ids[0], "done 1")
		svc.manual.Set("/tasks/"+ids[1], "failed so")
		c := svc.client("", append([]string{"wait", "--json", "--timeout", "300ms"}, ids...)...)
		c.Exit(3)
		got := objects(t, c)
		want := []map[string]any{
			{"id": ids[0], "index": 1., "state": "done", "result": "1"},
			{"id": ids[1], "index": 2., "state": "failed", "reason": "so"},
			{"id": ids[2], "index": 3., "state": "pending", "reason": "not finished yet after 300ms"},
			{"id": ids[3], "index": 4., "state": "unknown", "reason": noTask},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if got := c.Stderr.String(); got != "client: 1 of 4 tasks unknown, 2 failed or not fetched" {
			t.Errorf("stderr %q", got)
		}
		if got := svc.manual.Children("/tasks"); !slices.Equal(got, ids[2:3]) {
			t.Errorf("left %q", got)
		}
	})
	t.Run("at_Ctrl_C_leaves_what_is_not_finished", func(t *testing.T) {
		svc := start(t)
		ids := svc.submit("a", "b")
		svc.manual.Set("/tasks/"+ids[0], "done 1")
		c := svc.client("", "wait", ids[0], ids[1])
		c.Line(c.Stdout, "1")
		c.Send(syscall.SIGINT)
		wants(t, c, 130, []string{"1"}, []string{"client: stopped by SIGINT: 1 done, 0 failed, 0 unknown, 1 left"})
		if got, _ := svc.manual.Get("/tasks/" + ids[1]); got != "pending" {
			t.Errorf("left %q", got)
		}
	})
	t.Run("reads_ids_as_submit_prints_them", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--slots", "8", "--exec", "cat")
		sh := harness.Run(t, harness.Command{Path: "/bin/sh", Args: []string{"-c", `seq 1 60 | "$1" submit --zk "$2" | "$1" wait --zk "$2"`, "sh",
			filepath.Join(svc.dir, "client"), svc.root}})
		sh.Exit(0)
		var want []string
		for i := range 60 {
			want = append(want, fmt.Sprint(i+1))
		}
		if got := sh.Stdout.Lines(); !slices.Equal(got, want) {
			t.Errorf("%d results: %q", len(got), got)
		}
		svc.empty()
	})
}

func TestCancelAndRetry(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("cancel_stops_what_a_worker_runs_within_a_second", func(t *testing.T) {
		svc := start(t)
		svc.master()
		w := svc.worker("--exec", "sleep 3600")
		ids := append(svc.submit("a"), svc.submit("b")...) // the first one is executed
		w.Line(w.Stderr, "task started")
		wants(t, svc.client(ids[0], "cancel"), 0, ids[:1], nil)
		w.Line(w.Stderr, "task was taken away, cancelling it")
		wants(t, svc.client("", "cancel", ids[0], ids[1]), 3, ids[1:], []string{"task " + ids[0] + ": " + noTask, "client: 1 of 2 tasks unknown"})
		svc.empty()
		svc.free()
	})
	t.Run("cancel_leaves_what_is_finished_and_says_how_to_collect_it", func(t *testing.T) {
		svc := start(t)
		ids := svc.submit("a")
		svc.manual.Set("/tasks/"+ids[0], "done 1")
		wants(t, svc.client("", "cancel", ids[0]), 1, nil, []string{
			"task " + ids[0] + ": is finished: done; collect it: client wait " + ids[0], "client: 1 of 1 task not changed"})
		wants(t, svc.client("", "wait", ids[0]), 0, []string{"1"}, nil)
	})
	t.Run("retry_has_a_failed_task_executed_again", func(t *testing.T) {
		svc := start(t)
		svc.master()
		ok := filepath.Join(t.TempDir(), "ok")
		svc.worker("--shell", "--exec", "cat "+ok)
		ids := svc.submit("a")
		c := svc.client("", "wait", "--keep", ids[0])
		c.Exit(1)
		writeFile(t, ok, "at last")
		wants(t, svc.client("", "retry", ids[0]), 0, ids, nil)
		wants(t, svc.client("", "wait", ids[0]), 0, []string{"at last"}, nil)
		wants(t, svc.client("", "retry", ids[0]), 3, nil, []string{"task " + ids[0] + ": " + noTask, "client: 1 of 1 task unknown"})
		svc.empty()
	})
	t.Run("retry_leaves_what_has_not_failed", func(t *testing.T) {
		svc := start(t)
		ids := svc.submit("a")
		wants(t, svc.client("", "retry", ids[0]), 1, nil, []string{"task " + ids[0] + ": has not failed: pending", "client: 1 of 1 task not changed"})
		svc.manual.Set("/tasks/"+ids[0], "banana")
		wants(t, svc.client("", "retry", ids[0]), 1, nil, []string{"task " + ids[0] + ": has not failed: malformed", "client: 1 of 1 task not changed"})
	})
	t.Run("create_nothing_where_nothing_was_ever_submitted", func(t *testing.T) {
		svc := start(t)
		above := *svc
		was := above.manual.Children("")
		svc.root += "/deeper"
		for _, command := range []string{"wait", "cancel", "retry"} {
			c := svc.client("", command, "t")
			c.Exit(1)
			addr, chroot, _ := strings.Cut(svc.root, "/")
			if got, want := c.Stderr.String(), fmt.Sprintf("client: no znode /%s at %s: nothing was ever submitted there (--zk)", chroot, addr); got != want {
				t.Errorf("%s: %q, want %q", command, got, want)
			}
		}
		if got := above.manual.Children(""); !slices.Equal(got, was) {
			t.Errorf("left %q of %q", got, was)
		}
	})
	t.Run("a_chroot_that_may_not_be_created_is_one_line", func(t *testing.T) {
		svc := start(t)
		svc.manual.Create("/locked", "")
		if _, err := svc.manual.Conn.SetACL("/"+strings.SplitN(svc.root, "/", 2)[1]+"/locked", zk.WorldACL(zk.PermRead), -1); err != nil {
			t.Fatal(err)
		}
		svc.root += "/locked/here"
		c := svc.client("", "submit", "0")
		c.Exit(1)
		if got := c.Stderr.Lines(); len(got) != 1 || !strings.Contains(got[0], "/locked/here: no permission: have someone create it who has the right, or choose another chroot (--zk)") {
			t.Errorf("%q", got)
		}
	})
	t.Run("a_misspelt_command_is_refused_with_the_likely_one", func(t *testing.T) {
		c := start(t).client("", "submitt")
		wants(t, c, 2, nil, []string{`client: unknown command "submitt"; did you mean submit? (see 'client --help')`})
	})
	t.Run("a_name_that_cannot_be_an_id_is_reported", func(t *testing.T) {
		svc := start(t)
		for _, command := range []string{"wait", "cancel", "retry"} {
			c := svc.client("", command, "a/b")
			c.Exit(1)
			if got := c.Stderr.Lines(); len(got) != 2 || got[0] != "task a/b: this is no task's id" {
				t.Errorf("%s: %q", command, got)
			}
		}
	})
}
