package cmdtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
)

func TestRunFlags(t *testing.T) {
	t.Parallel()
	start := newService(t)
	finish := func(svc *service, states ...string) {
		for i, id := range svc.tasks(len(states)) {
			svc.manual.Set("/tasks/"+id, states[i])
		}
	}
	const failed = "failed: exit=3 out=4 err=3\nexit status 3: x\na\nb\nc\nx\ny"
	t.Run("tag_begins_each_line_with_its_input", func(t *testing.T) {
		svc := start(t)
		c := svc.client("p\nq r\ns\n", "run", "--tag", "--", "echo")
		finish(svc, "done: exit=0 err=4\n1\n\nwarn", failed, "done")
		wants(t, c, 1, []string{"p\t1", "p\t", "p\t", "q r\tb", "q r\tc", "s\t"}, []string{"p\twarn", "q r\tx", "q r\ty", `payload "q r": failed: exit status 3`, "client: 1 of 3 tasks failed"})
	})
	t.Run("null_output_ends_results_with_NUL", func(t *testing.T) {
		svc := start(t)
		c := svc.run("p\nq\n", "--null-output", "--tag", "--quiet")
		finish(svc, "done 1\n2", failed)
		wants(t, c, 1, []string{"p\t1", "p\t2\x00q\tb", "q\tc", "\x00"}, []string{`payload "q": failed: exit status 3: x`, "  a", "client: 1 of 2 tasks failed"})
	})
	t.Run("jobs_bounds_the_tasks_under_way", func(t *testing.T) {
		svc := start(t)
		c := svc.run(strings.Repeat("x\n", 30), "-j", "2")
		first := svc.tasks(2)[0]
		for n := range 29 { // the first result is waited for meanwhile
			ids := svc.tasks(2)
			svc.manual.Set("/tasks/"+ids[1], fmt.Sprint("done ", n+2))
			zktest.Eventually(t, "another one", func() (bool, string) {
				got := svc.manual.Children("/tasks")
				if len(got) > 2 {
					t.Fatalf("%d tasks", len(got))
				}
				return n == 28 && len(got) == 1 || len(got) == 2 && got[1] != ids[1], fmt.Sprint(got)
			})
		}
		svc.manual.Set("/tasks/"+first, "done 1")
		c.Exit(0)
		if got := c.Stdout.Lines(); len(got) != 30 || got[0] != "1" || got[29] != "30" {
			t.Errorf("stdout %q", got)
		}
	})
	t.Run("halt_soon_finishes_what_is_under_way", func(t *testing.T) {
		svc := start(t)
		c := svc.run(strings.Repeat("x\n", 9), "-j", "2", "--halt", "soon,fail=1")
		ids := svc.tasks(2)
		svc.manual.Set("/tasks/"+ids[0], "failed so")
		svc.tasks(1)
		svc.manual.Set("/tasks/"+ids[1], "done 2")
		wants(t, c, 1, []string{"2"}, []string{`payload "x": failed: so`, "not done: inputs all from 3 on", "client: stopped by --halt soon,fail=1: 1 done, 1 failed, 0 withdrawn"})
		svc.empty()
	})
	t.Run("halt_now_withdraws_what_is_under_way_at_a_share_of_failures", func(t *testing.T) {
		svc := start(t)
		c := svc.run("a\nb\nc\nd\ne\n", "--unordered", "--halt", "now,fail=50%")
		ids := svc.tasks(5)
		for i, state := range []string{"failed 1", "failed 2", "done 3"} { // of two it says nothing, and a result is no failure
			svc.manual.Set("/tasks/"+ids[i], state)
			svc.tasks(4 - i)
		}
		svc.manual.Set("/tasks/"+ids[3], "failed 4")
		wants(t, c, 1, []string{"3"}, []string{`payload "a": failed: 1`, `payload "b": failed: 2`, `payload "d": failed: 4`, "not done: inputs 5",
			"client: stopped by --halt now,fail=50%: 1 done, 3 failed, 1 withdrawn"})
		svc.empty()
	})
	t.Run("delay_is_between_two_submissions", func(t *testing.T) {
		svc := start(t)
		began := time.Now()
		svc.run("a\nb\nc\n", "--delay", "400ms")
		for i, id := range svc.tasks(3) {
			stat, _ := svc.manual.Stat("/tasks/" + id)
			if after := time.UnixMilli(stat.Ctime + 1).Sub(began); after < time.Duration(i)*400*time.Millisecond {
				t.Errorf("submission %d after %s", i+1, after)
			}
		}
	})
	t.Run("timeout_ends_an_execution_and_not_the_waiting", func(t *testing.T) {
		svc := start(t)
		c := svc.run("3600\n0\n", "--timeout", "500ms")
		svc.tasks(2)
		svc.master()
		svc.worker("--timeout", "1h")
		wants(t, c, 1, []string{"0"}, []string{`payload "3600": failed: timed out after 500ms`, "client: 1 of 2 tasks failed"})
	})
	t.Run("are_refused_with_a_reason", func(t *testing.T) {
		svc := start(t)
		for want, args := range map[string][]string{
			`client: --halt: must be now,fail=N, soon,fail=N, or with N% from 1% to 100%, not "never"`: {"--halt", "never"},
			`client: --jobs: must be a number from 0 to 2000, not "3000"`:                              {"-j", "3000"},
			`client: --delay: must be a duration from 0s to 24h`:                                       {"--delay", "1"},
			"client: if any flags in the group [keep-going fail-fast halt]":                            {"--halt", "now,fail=1", "--fail-fast"},
			"client: --file: open /not/there: no such file":                                            {"--file", "/not/there"},
			`client: --window: must be a number from 1 to 2000, not "0"`:                               {"--window", "0"},
			`client: --retries: must be a number from 0`:                                               {"--retries", "-1"},
			`client: --deadline: must be a duration from 0s`:                                           {"--deadline", "5"},
			"client: PAYLOAD and --file: give one of them":                                             {"--file", "-", "0"},
			"client: if any flags in the group [keep-going fail-":                                      {"--keep-going", "--fail-fast"},
			"client: --resume needs a joblog: name its file by --joblog":                               {"--resume"},
			"client: --resume-failed needs a joblog: name its file by --joblog":                        {"--resume-failed"},
			"client: if any flags in the group [resume resume-failed]":                                 {"--resume-failed", "--resume", "--joblog", "x"},
			"client: if any flags in the group [dry-run joblog]":                                       {"--dry-run", "--joblog", "x"},
		} {
			c := svc.run("", args...)
			c.Exit(2)
			oneLine(t, c, want)
		}
	})
}

func TestWaitWithMissingOKGoesOnPastUnknownTasks(t *testing.T) {
	t.Parallel()
	svc := newService(t)(t)
	ids := svc.submit("a", "b", "c", "d")
	for i, id := range ids {
		svc.manual.Set("/tasks/"+id, fmt.Sprint("done ", i+1))
	}
	wants(t, svc.client("", append([]string{"wait"}, ids[:2]...)...), 0, []string{"1", "2"}, nil) // as a wait that was killed
	wants(t, svc.client("", append([]string{"wait", "--missing-ok"}, ids...)...), 0, []string{"3", "4"}, []string{"2 of 4 tasks unknown"})
	c := svc.client("", append([]string{"wait", "--missing-ok", "--json"}, ids[:2]...)...)
	c.Exit(0)
	if got := objects(t, c); len(got) != 2 || got[0]["state"] != "unknown" || c.Stderr.String() != "2 of 2 tasks unknown" {
		t.Errorf("%v, stderr %q", got, c.Stderr)
	}
	ids = svc.submit("e")
	svc.manual.Set("/tasks/"+ids[0], "failed so")
	wants(t, svc.client("", "wait", "--missing-ok", "none", ids[0]), 1, nil, []string{"task " + ids[0] + ": failed: so", "1 of 2 tasks unknown", "client: 1 of 2 tasks failed"})
	svc.empty()
}
