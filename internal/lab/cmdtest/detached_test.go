package cmdtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// client starts one of its commands, with something on standard input.
func (sv *service) client(in string, args ...string) *harness.Child {
	sv.t.Helper()
	return harness.Run(sv.t, harness.Command{
		Path: filepath.Join(sv.dir, "client"), In: in,
		Args: sv.with(args, "--log-level", "error"),
	})
}

// submit submits tasks and returns their ids.
func (sv *service) submit(payloads ...string) []string {
	sv.t.Helper()
	c := sv.client("", append([]string{"submit"}, payloads...)...)
	c.Exit(0)
	ids := c.Stdout.Lines()
	if len(ids) != len(payloads) {
		sv.t.Fatalf("%d payloads, ids %q", len(payloads), ids)
	}
	return ids
}

// wants checks a command's end.
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
		sv := start(t)
		c := sv.client("0\nx\n0.1", "submit")
		c.Exit(0)
		ids := c.Stdout.Lines()
		if !slices.Equal(ids, sv.hand.Children("/tasks")) || len(ids) != 3 || !slices.IsSorted(ids) {
			t.Fatalf("ids %q, tasks %q", ids, sv.hand.Children("/tasks"))
		}
		for i, want := range []string{"0", "x", "0.1"} {
			if got, _ := sv.hand.Get("/data/" + ids[i]); got != want {
				t.Errorf("payload %q, want %q", got, want)
			}
			if stat, ok := sv.hand.Stat("/tasks/" + ids[i]); !ok || stat.EphemeralOwner != 0 {
				t.Errorf("task %d: %+v", i, stat)
			}
		}
		sv.master()
		sv.worker()
		w := sv.client(strings.Join(ids, "\n"), "wait")
		wants(t, w, 1, []string{"0", "0"}, []string{
			`task ` + ids[1] + `: failed: payload "x" is not a number of seconds from 0 to 86400`, "client: 1 of 3 tasks failed"})
		sv.empty()
	})
	t.Run("takes_a_file_and_payloads_that_end_with_NUL", func(t *testing.T) {
		sv := start(t)
		path := filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(path, []byte("a\nb\x00c"), 0o644); err != nil {
			t.Fatal(err)
		}
		c := sv.client("", "submit", "-0", "--file", path)
		c.Exit(0)
		for i, id := range c.Stdout.Lines() {
			if got, _ := sv.hand.Get("/data/" + id); got != []string{"a\nb", "c"}[i] {
				t.Errorf("payload %d: %q", i, got)
			}
		}
	})
	t.Run("tells_what_is_too_large_and_goes_on", func(t *testing.T) {
		sv := start(t)
		c := sv.client(strings.Repeat("a", 1_000_000)+"\n0\n", "submit")
		c.Exit(1)
		if got := c.Stdout.Lines(); !slices.Equal(got, sv.hand.Children("/tasks")) || len(got) != 1 {
			t.Errorf("stdout %q", got)
		}
		if got := c.Stderr.Lines(); len(got) != 2 || !strings.HasSuffix(got[0], "payload of 1000000 bytes: too large: at most 899000") || got[1] != "client: 1 of 2 tasks not submitted" {
			t.Errorf("stderr %q", got)
		}
	})
	t.Run("takes_any_number_and_Ctrl_C_prints_the_id_of_each_that_is_there", func(t *testing.T) {
		sv := start(t)
		c := sv.client(strings.Repeat("0\n", 1_000_000), "submit")
		zktest.Eventually(t, "a thousand", func() (bool, string) {
			n := len(c.Stdout.Lines())
			return n > 1000, fmt.Sprint(n)
		})
		c.Send(syscall.SIGINT)
		c.Exit(130)
		ids := c.Stdout.Lines()
		if got := sv.hand.Children("/tasks"); !slices.Equal(ids, got) {
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
		sv := start(t)
		ids := sv.submit("a", "b", "c")
		sv.hand.Set("/tasks/"+ids[0], "done 1")
		sv.hand.Set("/tasks/"+ids[2], "done 3\n")
		c := sv.client("", "wait", ids[2], ids[1], ids[0], ids[2])
		c.Line(c.Stdout, "3")
		sv.hand.Set("/tasks/"+ids[1], "failed so")
		wants(t, c, 1, []string{"3", "", "1"}, []string{"task " + ids[1] + ": failed: so", "client: 1 of 3 tasks failed"})
		sv.empty()
		wants(t, sv.client("", "wait", ids[0]), 3, nil, []string{"task " + ids[0] + ": " + noTask, "client: 1 of 1 task unknown"})
	})
	t.Run("keep_leaves_the_tasks", func(t *testing.T) {
		sv := start(t)
		ids := sv.submit("a")
		sv.hand.Set("/tasks/"+ids[0], "done 1")
		for range 2 {
			wants(t, sv.client(" "+ids[0]+" \n\n", "wait", "--keep"), 0, []string{"1"}, nil)
		}
	})
	t.Run("leaves_a_task_to_the_client_that_waits_for_it", func(t *testing.T) {
		sv := start(t)
		sv.hand.Put("/tasks", "")
		sv.hand.CreateEphemeral("/tasks/mine", "done 1")
		wants(t, sv.client("", "wait", "mine"), 0, []string{"1"}, nil)
		if got, _ := sv.hand.Get("/tasks/mine"); got != "done 1" {
			t.Errorf("left %q", got)
		}
	})
	t.Run("unordered_prints_what_is_finished", func(t *testing.T) {
		sv := start(t)
		ids := sv.submit("a", "b")
		c := sv.client("", "wait", "--unordered", ids[0], ids[1])
		sv.hand.Set("/tasks/"+ids[1], "done second")
		c.Line(c.Stdout, "second")
		sv.hand.Set("/tasks/"+ids[0], "done first")
		wants(t, c, 0, []string{"second", "first"}, nil)
	})
	t.Run("json_is_an_object_a_line_for_every_id", func(t *testing.T) {
		sv := start(t)
		ids := append(sv.submit("a", "b", "c"), "none")
		sv.hand.Set("/tasks/"+ids[0], "done 1")
		sv.hand.Set("/tasks/"+ids[1], "failed so")
		c := sv.client("", append([]string{"wait", "--json", "--timeout", "300ms"}, ids...)...)
		c.Exit(3)
		var got []map[string]any
		for _, l := range c.Stdout.Lines() {
			var o map[string]any
			if err := json.Unmarshal([]byte(l), &o); err != nil {
				t.Fatalf("%s: %v", l, err)
			}
			delete(o, "seconds")
			got = append(got, o)
		}
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
		if got := sv.hand.Children("/tasks"); !slices.Equal(got, ids[2:3]) {
			t.Errorf("left %q", got)
		}
	})
	t.Run("Ctrl_C_leaves_what_is_not_finished", func(t *testing.T) {
		sv := start(t)
		ids := sv.submit("a", "b")
		sv.hand.Set("/tasks/"+ids[0], "done 1")
		c := sv.client("", "wait", ids[0], ids[1])
		c.Line(c.Stdout, "1")
		c.Send(syscall.SIGINT)
		wants(t, c, 130, []string{"1"}, []string{"client: stopped by SIGINT: 1 done, 0 failed, 0 unknown, 1 left"})
		if got, _ := sv.hand.Get("/tasks/" + ids[1]); got != "pending" {
			t.Errorf("left %q", got)
		}
	})
	t.Run("reads_ids_as_submit_prints_them", func(t *testing.T) {
		sv := start(t)
		sv.master()
		sv.worker("--slots", "8", "--exec", "cat")
		sh := harness.Run(t, harness.Command{Path: "/bin/sh", Args: []string{"-c", `seq 1 60 | "$1" submit --zk "$2" | "$1" wait --zk "$2"`, "sh",
			filepath.Join(sv.dir, "client"), sv.root}})
		sh.Exit(0)
		var want []string
		for i := range 60 {
			want = append(want, fmt.Sprint(i+1))
		}
		if got := sh.Stdout.Lines(); !slices.Equal(got, want) {
			t.Errorf("%d results: %q", len(got), got)
		}
		sv.empty()
	})
}

func TestCancelAndRetry(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("cancel_stops_what_a_worker_runs_within_a_second", func(t *testing.T) {
		sv := start(t)
		sv.master()
		w := sv.worker("--exec", "sleep 3600")
		ids := append(sv.submit("a"), sv.submit("b")...) // the first one is executed
		w.Line(w.Stderr, "task started")
		wants(t, sv.client(ids[0], "cancel"), 0, ids[:1], nil)
		w.Line(w.Stderr, "task was taken away, cancelling it")
		wants(t, sv.client("", "cancel", ids[0], ids[1]), 3, ids[1:], []string{"task " + ids[0] + ": " + noTask, "client: 1 of 2 tasks unknown"})
		sv.empty()
		sv.free()
	})
	t.Run("cancel_leaves_what_is_finished_and_says_how_to_collect_it", func(t *testing.T) {
		sv := start(t)
		ids := sv.submit("a")
		sv.hand.Set("/tasks/"+ids[0], "done 1")
		wants(t, sv.client("", "cancel", ids[0]), 1, nil, []string{
			"task " + ids[0] + ": is finished: done; collect it: client wait " + ids[0], "client: 1 of 1 task not changed"})
		wants(t, sv.client("", "wait", ids[0]), 0, []string{"1"}, nil)
	})
	t.Run("retry_has_a_failed_task_done_again", func(t *testing.T) {
		sv := start(t)
		sv.master()
		ok := filepath.Join(t.TempDir(), "ok")
		sv.worker("--shell", "--exec", "cat "+ok)
		ids := sv.submit("a")
		c := sv.client("", "wait", "--keep", ids[0])
		c.Exit(1)
		if err := os.WriteFile(ok, []byte("at last"), 0o644); err != nil {
			t.Fatal(err)
		}
		wants(t, sv.client("", "retry", ids[0]), 0, ids, nil)
		wants(t, sv.client("", "wait", ids[0]), 0, []string{"at last"}, nil)
		wants(t, sv.client("", "retry", ids[0]), 3, nil, []string{"task " + ids[0] + ": " + noTask, "client: 1 of 1 task unknown"})
		sv.empty()
	})
	t.Run("retry_leaves_what_has_not_failed", func(t *testing.T) {
		sv := start(t)
		ids := sv.submit("a")
		wants(t, sv.client("", "retry", ids[0]), 1, nil, []string{"task " + ids[0] + ": has not failed: pending", "client: 1 of 1 task not changed"})
		sv.hand.Set("/tasks/"+ids[0], "banana")
		wants(t, sv.client("", "retry", ids[0]), 1, nil, []string{"task " + ids[0] + ": has not failed: malformed", "client: 1 of 1 task not changed"})
	})
	t.Run("where_nothing_was_ever_submitted_say_so_and_create_nothing", func(t *testing.T) {
		sv := start(t)
		above := *sv
		was := above.hand.Children("")
		sv.root += "/deeper"
		for _, command := range []string{"wait", "cancel", "retry"} {
			c := sv.client("", command, "t")
			c.Exit(1)
			addr, chroot, _ := strings.Cut(sv.root, "/")
			if got, want := c.Stderr.String(), fmt.Sprintf("client: no znode /%s at %s: nothing was ever submitted there (--zk)", chroot, addr); got != want {
				t.Errorf("%s: %q, want %q", command, got, want)
			}
		}
		if got := above.hand.Children(""); !slices.Equal(got, was) {
			t.Errorf("left %q of %q", got, was)
		}
	})
	t.Run("a_chroot_that_may_not_be_created_is_told_in_one_line", func(t *testing.T) {
		sv := start(t)
		sv.hand.Create("/locked", "")
		if _, err := sv.hand.Conn.SetACL("/"+strings.SplitN(sv.root, "/", 2)[1]+"/locked", zk.WorldACL(zk.PermRead), -1); err != nil {
			t.Fatal(err)
		}
		sv.root += "/locked/here"
		c := sv.client("", "submit", "0")
		c.Exit(1)
		if got := c.Stderr.Lines(); len(got) != 1 || !strings.Contains(got[0], "/locked/here: no permission: have someone create it who has the right, or choose another chroot (--zk)") {
			t.Errorf("%q", got)
		}
	})
	t.Run("misspelt_are_told", func(t *testing.T) {
		c := start(t).client("", "submitt")
		wants(t, c, 2, nil, []string{`client: unknown command "submitt"; did you mean submit? (see 'client --help')`})
	})
	t.Run("a_name_that_cannot_be_an_id_is_said_to_be_none", func(t *testing.T) {
		sv := start(t)
		for _, command := range []string{"wait", "cancel", "retry"} {
			c := sv.client("", command, "a/b")
			c.Exit(1)
			if got := c.Stderr.Lines(); len(got) != 2 || got[0] != "task a/b: this is no task's id" {
				t.Errorf("%s: %q", command, got)
			}
		}
	})
}
