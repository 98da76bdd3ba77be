package cmdtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

// logFile returns the columns of the last line of each Seq of a joblog, and the number of lines.
func logFile(t *testing.T, path string) (last map[string][]string, n int) {
	t.Helper()
	text := readFile(t, path)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand" {
		t.Fatalf("header %q", lines[0])
	}
	last = make(map[string][]string)
	for _, line := range lines[1:] {
		columns := strings.Split(line, "\t")
		if len(columns) != 9 {
			t.Fatalf("line %q", line)
		}
		last[columns[0]] = columns
	}
	return last, len(lines) - 1
}

// holds fails unless a file has a content.
func holds(t *testing.T, path, want string) {
	t.Helper()
	if got := readFile(t, path); got != want {
		t.Errorf("%s holds %q, want %q", path, got, want)
	}
}

func TestJoblog(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("gets_a_line_for_each_task_as_it_ends", func(t *testing.T) {
		svc := start(t)
		path := filepath.Join(t.TempDir(), "log")
		c := svc.client("a\nb c\n", "run", "--joblog", path, "--", "echo")
		ids := svc.tasks(2)
		svc.manual.Set("/tasks/"+ids[1], "failed: "+executed+" exit=SIGKILL out=2\nended by SIGKILLhi")
		zktest.Eventually(t, "the second task's line", func() (bool, string) {
			text, _ := os.ReadFile(path)
			_, got, _ := strings.Cut(string(text), "\n")
			return got == "2\tbox\t4102444800.123\t     1.500\t10\t2\t0\t9\techo 'b c'\n", string(text)
		})
		c2 := svc.client("a\nb c\n", "run", "--joblog", path, "--resume", "--", "echo")
		wants(t, c2, 1, nil, []string{"client: --joblog: " + path + " is in use by another run"})
		svc.manual.Set("/tasks/"+ids[0], "done: "+executed+" exit=0\na")
		wants(t, c, 1, []string{"a", "hi"}, []string{`payload "b c": failed: ended by SIGKILL`, "client: 1 of 2 tasks failed"})
		got, n := logFile(t, path)
		if n != 2 || strings.Join(got["1"], " ") != "1 box 4102444800.123      1.500 6 1 0 0 echo a" {
			t.Errorf("%d lines: %q", n, got)
		}
	})
	t.Run("lets_a_run_be_resumed", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--slots", "4", "--exec", `sh -c "read n; [ $n = 0 ] && echo zero >&2 && exit 4; echo $((10/n))"`)
		path := filepath.Join(t.TempDir(), "log")
		wants(t, svc.run("1\n2\n0\n", "--joblog", path, "--quiet"), 1, []string{"10", "5"}, []string{`payload "0": failed: exit status 4: zero`, "client: 1 of 3 tasks failed"})
		wants(t, svc.run("1\n2\n0\n5\n", "--joblog", path), 1, nil, []string{"client: --joblog: " + path + ": is not empty: add --resume to go on with that run, or remove the file"})
		wants(t, svc.run("1\n2\n0\n5\n", "--joblog", path, "--resume"), 1, []string{"2"}, []string{"client: 1 of 4 tasks failed, 1 of them in an earlier run, which --resume-failed does again"})
		wants(t, svc.run("1\n2\n5\n0\n", "--joblog", path, "--resume"), 1, nil, []string{`client: --resume: input 3 is "5", and the joblog has something else for it: it is of another run`})
		wants(t, svc.run("1\n2\n0\n5\n", "--joblog", path, "--resume-failed", "--quiet"), 1, nil, []string{`payload "0": failed: exit status 4: zero`, "client: 1 of 4 tasks failed"})
		got, n := logFile(t, path)
		if n != 5 || got["3"][6] == "0" || got["4"][6] != "0" || got["4"][8] != "5" {
			t.Errorf("%d lines: %q", n, got)
		}
		svc.empty()
	})
	t.Run("holds_what_was_done_when_a_signal_ends_the_run", func(t *testing.T) {
		svc := start(t)
		dir := t.TempDir()
		path, kept := filepath.Join(dir, "log"), filepath.Join(dir, "kept")
		c := svc.run("a\nb\nc\n", "--joblog", path, "--results", kept)
		ids := svc.tasks(3)
		svc.manual.Set("/tasks/"+ids[2], "failed: exit=3 out=2 err=4\nexit status 3: oops\no\noops")
		svc.tasks(2)
		zktest.Eventually(t, "a line", func() (bool, string) { _, n := logFile(t, path); return n == 1, "" })
		c.Send(syscall.SIGINT)
		wants(t, c, 130, nil, []string{"oops", `payload "c": failed: exit status 3`, "not done: inputs 1-2",
			"finished, but not printed, because an earlier one is not done: inputs 3", "client: stopped by SIGINT: 0 done, 1 failed, 2 withdrawn"})
		svc.empty()
		for name, want := range map[string]string{"stdout": "o\n", "stderr": "oops", "exit": "3\n", "reason": "exit status 3: oops"} {
			holds(t, filepath.Join(kept, "3", name), want)
		}
		c = svc.run("a\nb\nc\n", "--joblog", path, "--results", kept, "--resume")
		ids = svc.tasks(2)
		svc.manual.Set("/tasks/"+ids[0], "done A")
		svc.manual.Set("/tasks/"+ids[1], "done B")
		wants(t, c, 1, []string{"A", "B", "o"}, []string{"oops", `payload "c": failed: exit status 3`, "client: 1 of 3 tasks failed, 1 of them in an earlier run, which --resume-failed does again"})
		if _, n := logFile(t, path); n != 3 {
			t.Errorf("%d lines", n)
		}
		t.Run("lets_a_resumed_run_say_what_is_not_done_when_a_signal_ends_it", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			c := svc.run("a\nb\nc\nd\n", "--joblog", path)
			ids := svc.tasks(4)
			for _, i := range []int{1, 3} {
				svc.manual.Set("/tasks/"+ids[i], "done x")
			}
			zktest.Eventually(t, "two lines", func() (bool, string) { _, n := logFile(t, path); return n == 2, "" })
			c.Kill()
			zktest.Eventually(t, "the tasks are gone", func() (bool, string) { return len(svc.manual.Children("/tasks")) == 0, "" })
			c = svc.run("a\nb\nc\nd\ne\n", "--joblog", path, "--resume", "-j", "1")
			svc.tasks(1)
			c.Send(syscall.SIGINT)
			wants(t, c, 130, nil, []string{"not done: inputs 1, 3 and all from 5 on", "client: stopped by SIGINT: 0 done, 0 failed, 1 withdrawn, 2 ended in earlier runs"})
			svc.empty()
		})
		t.Run("lets_a_resumed_run_print_kept_results_as_JSON", func(t *testing.T) {
			c := svc.run("a\nb\nc\n", "--joblog", path, "--results", kept, "--resume", "--json")
			c.Exit(1)
			got := fmt.Sprint(objects(t, c))
			want := "[map[exit:0 index:1 payload:a result:A state:done] map[exit:0 index:2 payload:b result:B state:done] map[exit:3 index:3 payload:c reason:exit status 3: oops state:failed stderr:oops stdout:o\n]]"
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
		t.Run("lets_a_resumed_run_execute_again_what_is_kept_no_longer", func(t *testing.T) {
			if err := os.Remove(filepath.Join(kept, "1", "exit")); err != nil {
				t.Fatal(err)
			}
			c := svc.run("a\nb\nc\n", "--joblog", path, "--results", kept, "--resume", "--quiet")
			svc.manual.Set("/tasks/"+svc.tasks(1)[0], "done AA")
			c.Exit(1)
			if got := c.Stdout.Lines(); strings.Join(got, " ") != "AA B o" {
				t.Errorf("stdout %q", got)
			}
		})
	})
	t.Run("that_cannot_be_written_ends_the_run", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--slots", "2") // either task may come first
		c := svc.run("0\n0\n", "--joblog", "/dev/full")
		c.Exit(1)
		oneLine(t, c, "client: --joblog: /dev/full: is no regular file")
		c = svc.run("0\n3600\n", "--results", filepath.Join(t.TempDir(), "x"), "--joblog", filepath.Join(t.TempDir(), "no", "log"))
		c.Exit(1)
		oneLine(t, c, "client: --joblog: open ")
		file := filepath.Join(t.TempDir(), "file")
		writeFile(t, file, "")
		c = svc.run("0\n", "--results", file)
		c.Exit(1)
		oneLine(t, c, "client: --results: mkdir ")
		kept := filepath.Join(t.TempDir(), "kept")
		if err := os.MkdirAll(filepath.Join(kept, "1", "stdout", "x"), 0o755); err != nil {
			t.Fatal(err)
		}
		c = svc.run("0\n3600\n", "--results", kept)
		c.Exit(1)
		oneLine(t, c, "client: --results: rename ")
		svc.empty()
	})
}
