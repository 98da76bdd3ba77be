package cmdtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

func TestRunInput(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("is_a_task_a_line_and_results_come_in_its_order", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--slots", "4")
		c := svc.run("0.3\nx\n0.1\n0") // the last line has no end
		c.Exit(1)
		if got := c.Stdout.String(); got != "0\n0\n0" {
			t.Errorf("stdout %q", got)
		}
		if got := c.Stderr.Lines(); len(got) != 2 || !strings.HasPrefix(got[0], `payload "x": failed: `) || got[1] != "client: 1 of 4 tasks failed" {
			t.Errorf("stderr %q", got)
		}
		svc.empty()
	})
	t.Run("that_is_empty_makes_no_task", func(t *testing.T) {
		c := start(t).run("")
		c.Exit(0)
		if got := c.Stdout.String() + c.Stderr.String(); got != "" {
			t.Errorf("output %q", got)
		}
	})
	t.Run("may_come_from_a_file_and_end_its_payloads_with_NUL", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker()
		path := writeFile(t, filepath.Join(t.TempDir(), "in"), "0\n\x000")
		c := svc.run("", "-0", "--file", path)
		c.Exit(0)
		if got := c.Stdout.String(); got != "0\n0" {
			t.Errorf("stdout %q", got)
		}
	})
	t.Run("is_read_no_further_than_the_window", func(t *testing.T) {
		svc := start(t)
		c := svc.run(strings.Repeat("0\n", 500), "--window", "7")
		open := func(want int) {
			t.Helper()
			zktest.Eventually(t, "tasks", func() (bool, string) {
				n := len(svc.manual.Children("/tasks"))
				if n > 7 {
					t.Fatalf("%d tasks", n)
				}
				return n == want, fmt.Sprint(n)
			})
		}
		open(7)
		svc.manual.Set("/tasks/"+svc.manual.Children("/tasks")[3], "done not the first") // it waits for the first
		svc.manual.Set("/tasks/"+svc.manual.Children("/tasks")[0], "done first")
		c.Line(c.Stdout, "first")
		open(6) // the result that waits has the seventh place
		svc.master()
		svc.worker("--slots", "8")
		c.Exit(0)
		if got := c.Stdout.Lines(); len(got) != 500 || got[0] != "first" || got[3] != "not the first" {
			t.Errorf("%d results, the first %q", len(got), got[:min(4, len(got))])
		}
		svc.empty()
	})
	t.Run("with_a_line_that_is_too_large_goes_on_with_the_next_one", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker()
		c := svc.run(strings.Repeat("a", 1_000_000) + "\n0\n")
		c.Exit(1)
		if got := c.Stdout.String(); got != "0" {
			t.Errorf("stdout %q", got)
		}
		if got := c.Stderr.String(); !strings.Contains(got, "payload of 1000000 bytes: too large: at most ") {
			t.Errorf("stderr %q", got)
		}
	})
	t.Run("that_cannot_be_read_ends_the_client", func(t *testing.T) {
		svc := start(t)
		dir := t.TempDir()
		directory, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer directory.Close()
		unreadable, err := os.OpenFile(filepath.Join(dir, "in"), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer unreadable.Close()
		for _, verb := range []string{"run", "submit", "wait", "cancel", "retry"} {
			for _, tc := range []struct {
				in     *os.File
				status int
				want   string
			}{
				{directory, 2, "client: standard input is a directory: "},
				{unreadable, 1, "client: read input: read /dev/stdin: bad file descriptor: 0 "},
			} {
				status, stderr := svc.clientTo(tc.in, nil, verb)
				if status != tc.status || !strings.HasPrefix(stderr, tc.want) || strings.Contains(stderr, "\n") {
					t.Errorf("%s: status %d, stderr %q, want %d, %q", verb, status, stderr, tc.status, tc.want)
				}
			}
		}
	})
}

func TestRunOutput(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("with_unordered_has_results_as_they_come", func(t *testing.T) {
		svc := start(t)
		c := svc.run("0\n0\n", "--unordered")
		ids := svc.tasks(2)
		svc.manual.Set("/tasks/"+ids[1], "done second")
		c.Line(c.Stdout, "second")
		svc.manual.Set("/tasks/"+ids[0], "done first")
		c.Exit(0)
		if got := c.Stdout.String(); got != "second\nfirst" {
			t.Errorf("stdout %q", got)
		}
	})
	t.Run("with_json_has_one_object_for_each_task", func(t *testing.T) {
		svc := start(t)
		c := svc.run("a\n\xff\n", "--json")
		ids := svc.tasks(2)
		svc.manual.Set("/tasks/"+ids[0], "done \xfe")
		svc.manual.Set("/tasks/"+ids[1], "failed <so>")
		c.Exit(1)
		if n := strings.Count(c.Stdout.String(), `"seconds":`); n != 2 {
			t.Errorf("%d of 2 lines have seconds: %s", n, c.Stdout)
		}
		got := objects(t, c)
		want := []map[string]any{
			{"id": ids[0], "index": 1., "payload": "a", "state": "done", "result_base64": "/g=="},
			{"id": ids[1], "index": 2., "payload_base64": "/w==", "state": "failed", "reason": "<so>"},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if got := c.Stderr.String(); got != "client: 1 of 2 tasks failed" {
			t.Errorf("stderr %q", got)
		}
	})
}

func TestRunFailure(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("is_tried_again_under_a_new_id", func(t *testing.T) {
		svc := start(t)
		c := svc.run("t\n", "--retries", "2", "--json")
		var ids []string
		for _, state := range []string{"failed once", "failed twice", "done at last"} {
			zktest.Eventually(t, "a new task", func() (bool, string) {
				got := svc.manual.Children("/tasks")
				return len(got) == 1 && !slices.Contains(ids, got[0]), fmt.Sprint(got)
			})
			ids = append(ids, svc.manual.Children("/tasks")[0])
			svc.manual.Set("/tasks/"+ids[len(ids)-1], state)
		}
		c.Exit(0)
		if got := c.Stdout.String(); !strings.Contains(got, `"result":"at last","attempts":3`) || !strings.Contains(got, ids[2]) {
			t.Errorf("stdout %s", got)
		}
	})
	t.Run("is_reported_after_the_last_retry", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker()
		c := svc.run("x\n", "--retries", "1", "--json")
		c.Exit(1)
		if got := c.Stdout.String(); !strings.Contains(got, `"state":"failed"`) || !strings.Contains(got, `"attempts":2`) {
			t.Errorf("stdout %s", got)
		}
	})
	t.Run("to_meet_the_deadline_withdraws_the_task_and_ends_its_execution", func(t *testing.T) {
		svc := start(t)
		svc.master()
		w := svc.worker("--slots", "2")
		c := svc.run("3600\n0\n", "--deadline", "1s")
		w.Line(w.Stderr, "taken away")
		c.Exit(1)
		if got := c.Stdout.String(); got != "0" {
			t.Errorf("stdout %q", got)
		}
		if got := c.Stderr.String(); !strings.HasPrefix(got, `payload "3600": not finished in time: withdrawn after 1s`) {
			t.Errorf("stderr %q", got)
		}
		svc.empty()
	})
	for _, order := range []string{"--unordered", "--unordered=false"} {
		t.Run("ends_all_with_fail_fast_"+order, func(t *testing.T) {
			svc := start(t)
			svc.master()
			svc.worker("--slots", "4")
			c := svc.run("0\n3600\nx\n3600\n", "--fail-fast", order)
			c.Exit(1)
			want := regexp.MustCompile("^client: stopped at the first failure: (1 done, 1 failed, 2|0 done, 1 failed, 3) withdrawn$")
			if got := c.Stderr.Lines(); len(got) < 3 || !want.MatchString(got[len(got)-1]) || !regexp.MustCompile("^not done: inputs (1-)?2(, | and all from )4").MatchString(got[1]) {
				t.Errorf("stderr %q", got)
			}
			svc.empty()
		})
	}
	t.Run("of_the_run_by_Ctrl_C_says_what_was_done", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--slots", "3") // whichever is submitted first
		c := svc.run("0\n3600\n3600\n")
		c.Line(c.Stdout, "0")
		c.Send(syscall.SIGINT)
		c.Exit(130)
		if got := c.Stderr.String(); got != "not done: inputs 2-3\nclient: stopped by SIGINT: 1 done, 0 failed, 2 withdrawn" {
			t.Errorf("stderr %q", got)
		}
		svc.empty()
	})
}
