package cmdtest

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// tasks waits until there are n tasks, and returns their ids.
func (svc *service) tasks(n int) (ids []string) {
	svc.t.Helper()
	zktest.Eventually(svc.t, fmt.Sprintf("%d tasks", n), func() (bool, string) {
		ids = svc.manual.Children("/tasks")
		return len(ids) == n, fmt.Sprint(ids)
	})
	return ids
}

// objects returns the lines of JSON that a program printed, without the times, which differ.
func objects(t *testing.T, c *harness.Child) (all []map[string]any) {
	t.Helper()
	for _, l := range c.Stdout.Lines() {
		var o map[string]any
		if err := json.Unmarshal([]byte(l), &o); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		if s, there := o["seconds"]; there && (s.(float64) < 0 || s.(float64) > 60) {
			t.Errorf("seconds in %s", l)
		}
		delete(o, "seconds")
		all = append(all, o)
	}
	return all
}

// executed are a worker's facts of an execution that began in the year 2100.
const executed = "worker=gpu.box:7-00000000-0000-4000-8000-000000000000 began=4102444800123 ran=1500 attempt=2"

func TestStandardStreams(t *testing.T) {
	t.Parallel()
	start := newService(t)
	const failed = "failed: " + executed + " exit=3 out=3 err=5\nexit status 3: bad\nok\n\xff\nbad"
	t.Run("of_commands_are_passed_on_byte_by_byte", func(t *testing.T) {
		svc := start(t)
		c := svc.run("a\nb\n")
		ids := svc.tasks(2)
		svc.manual.Set("/tasks/"+ids[0], failed)
		svc.manual.Set("/tasks/"+ids[1], "done: "+executed+" exit=0 err=5\nrightwarn\n")
		wants(t, c, 1, []string{"ok", "right"}, []string{"\xff", "bad", `payload "a": failed: exit status 3`, "warn", "client: 1 of 2 tasks failed"})
	})
	t.Run("with_quiet_are_standard_output_alone", func(t *testing.T) {
		svc := start(t)
		c := svc.run("a\nb\n", "--quiet")
		ids := svc.tasks(2)
		svc.manual.Set("/tasks/"+ids[0], failed)
		svc.manual.Set("/tasks/"+ids[1], "done: exit=0 err=5\nrightwarn\n")
		wants(t, c, 1, []string{"ok", "right"}, []string{`payload "a": failed: exit status 3: bad`, "client: 1 of 2 tasks failed"})
	})
	t.Run("are_printable_on_a_terminal", func(t *testing.T) {
		svc := start(t)
		side, screen := terminal(t)
		c := svc.command("run", "a")
		c.Stdout, c.Stderr = side, side
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Process.Kill(); c.Wait() })
		svc.manual.Set("/tasks/"+svc.tasks(1)[0], "failed: exit=3 out=3 err=4\nexit status 3\x1b]0\x1b[2J")
		zktest.Eventually(t, "both", screen.shows(`\x1b]0`+"\r\n"))
		zktest.Eventually(t, "both", screen.shows(`\x1b[2J`+"\r\n"))
		zktest.Eventually(t, "the failure", screen.shows(`payload "a": failed: exit status 3`+"\r\n"))
	})
	t.Run("are_fields_of_the_JSON_with_the_facts_of_the_execution", func(t *testing.T) {
		svc := start(t)
		c := svc.run("a\n", "--json", "--queue", "gpu")
		id := svc.tasks(1)[0]
		svc.manual.Set("/tasks/"+id, failed)
		c.Exit(1)
		got := objects(t, c)
		if waited, ok := got[0]["waited_seconds"].(float64); !ok || waited < 2_000_000_000 || waited > 3_000_000_000 {
			t.Errorf("waited_seconds %v", got[0]["waited_seconds"])
		}
		delete(got[0], "waited_seconds")
		began, _ := got[0]["began"].(string)
		if !strings.HasSuffix(strings.SplitN(began, "+", 2)[0], "0.123Z") && !strings.Contains(began, ":00.123") {
			t.Errorf("began %q", began)
		}
		delete(got[0], "began")
		want := []map[string]any{{
			"id": id, "index": 1., "payload": "a", "queue": "gpu", "state": "failed", "reason": "exit status 3: bad", "stdout": "ok\n", "stderr_base64": "/wpiYWQ=",
			"worker": "gpu.box:7-00000000-0000-4000-8000-000000000000", "host": "box", "attempt": 2., "ran_seconds": 1.5, "exit": "3",
		}}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if got := c.Stderr.String(); got != "client: 1 of 1 task failed" {
			t.Errorf("stderr %q", got)
		}
	})
	t.Run("come_with_the_facts_of_a_real_execution", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--exec", "cat")
		c := svc.run("a\n", "--json")
		c.Exit(0)
		got := objects(t, c)[0]
		host, _ := os.Hostname()
		host, _, _ = strings.Cut(host, ".")
		if got["attempt"] != 1. || got["host"] != host || got["worker"] == nil || got["began"] == nil || got["ran_seconds"] == nil || got["attempts"] != nil {
			t.Errorf("%v", got)
		}
		if waited, ok := got["waited_seconds"].(float64); !ok || waited < 0 || waited > 30 {
			t.Errorf("waited_seconds %v", got["waited_seconds"])
		}
	})
}

// A signal ends a run while an input is not done and a later one is.
func TestClientStoppedByASignal(t *testing.T) {
	t.Parallel()
	start := newService(t)
	stop := func(t *testing.T, args ...string) *harness.Child {
		svc := start(t)
		c := svc.run("a\nb\nc\nd\n", args...)
		ids := svc.tasks(4)
		svc.manual.Set("/tasks/"+ids[0], "done 1")
		c.Line(c.Stdout, "1")
		svc.manual.Set("/tasks/"+ids[2], "failed so")
		svc.manual.Set("/tasks/"+ids[3], "done 4")
		svc.tasks(1) // the results are fetched
		c.Send(syscall.SIGTERM)
		c.Exit(143)
		svc.empty()
		return c
	}
	t.Run("run_prints_up_to_the_first_input_that_is_not_done_and_says_which_are_not", func(t *testing.T) {
		wants(t, stop(t), 143, []string{"1"}, []string{
			`payload "c": failed: so`, "not done: inputs 2", "finished, but not printed, because an earlier one is not done: inputs 3-4",
			"client: stopped by SIGTERM: 2 done, 1 failed, 1 withdrawn"})
	})
	t.Run("run_with_unordered_prints_all_that_is_done", func(t *testing.T) {
		wants(t, stop(t, "--unordered"), 143, []string{"1", "4"}, []string{
			`payload "c": failed: so`, "not done: inputs 2", "client: stopped by SIGTERM: 2 done, 1 failed, 1 withdrawn"})
	})
	t.Run("run_with_json_prints_an_object_for_what_is_withdrawn", func(t *testing.T) {
		got := objects(t, stop(t, "--json"))
		if len(got) != 4 || got[1]["state"] != "withdrawn" || got[1]["payload"] != "b" || got[1]["reason"] != "stopped by SIGTERM" ||
			got[2]["state"] != "failed" || got[3]["result"] != "4" {
			t.Errorf("%v", got)
		}
	})
	t.Run("wait_leaves_what_it_has_not_printed", func(t *testing.T) {
		svc := start(t)
		ids := svc.submit("a", "b", "c")
		svc.manual.Set("/tasks/"+ids[0], "done 1")
		svc.manual.Set("/tasks/"+ids[2], "done 3")
		c := svc.client("", append([]string{"wait"}, ids...)...)
		c.Line(c.Stdout, "1")
		c.Send(syscall.SIGTERM)
		wants(t, c, 143, []string{"1"}, []string{"client: stopped by SIGTERM: 1 done, 0 failed, 0 unknown, 2 left"})
		svc.manual.Set("/tasks/"+ids[1], "done 2")
		wants(t, svc.client("", append([]string{"wait"}, ids[1:]...)...), 0, []string{"2", "3"}, nil)
	})
}
