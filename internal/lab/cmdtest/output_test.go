package cmdtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// unread returns a pipe whose reader has closed it, as head does.
func unread(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	t.Cleanup(func() { w.Close() })
	return w
}

// full returns a file on a disk that is full.
func full(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// clientTo runs a client that reads from in and writes to out, and returns its exit status and its
// stderr. Only errors are logged.
func (svc *service) clientTo(in io.Reader, out io.Writer, args ...string) (status int, stderr string) {
	svc.t.Helper()
	var errs bytes.Buffer
	c := svc.command(append(args, "--log-level", "error")...)
	c.Stdin, c.Stdout, c.Stderr = in, out, &errs
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		svc.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), strings.TrimSuffix(errs.String(), "\n")
}

func TestOutputThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	start := newService(t)
	const n = 60
	payloads := lines(t, n, "0")
	for name, c := range map[string]struct {
		args  []string
		serve bool   // there are a leader and workers
		made  string // the state of n tasks, whose ids are the input
		rest  string // of the line, after the cause
		left  int    // tasks
	}{
		"run":               {args: []string{"run", "--file", payloads}, serve: true, rest: ": 0 done, 0 failed, "},
		"run_json":          {args: []string{"run", "--json", "--unordered", "--file", payloads}, serve: true, rest: ": 0 done, 0 failed, "},
		"submit":            {args: []string{"submit", "--file", payloads}, rest: ": 0 submitted, "}, // and withdrawn as many as were begun by then
		"wait":              {args: []string{"wait"}, made: "done 1", rest: fmt.Sprintf(": 0 done, 0 failed, 0 unknown; the other %d stay", n), left: n},
		"wait_json":         {args: []string{"wait", "--json"}, made: "failed so", rest: fmt.Sprintf(": 0 done, 0 failed, 0 unknown; the other %d stay", n), left: n},
		"cancel":            {args: []string{"cancel"}, made: "pending", rest: " changed"},
		"retry":             {args: []string{"retry"}, made: "failed so", rest: " changed", left: n},
		"status":            {args: []string{"status"}},
		"status_json":       {args: []string{"status", "--json"}},
		"status_watch":      {args: []string{"status", "--watch"}},
		"status_watch_json": {args: []string{"status", "--watch", "--json"}},
		"explain":           {args: []string{"explain", "t1"}, left: 1},
		"explain_json":      {args: []string{"explain", "--json", "t1"}, left: 1},
		"doctor":            {args: []string{"doctor"}},
		"without_a_command": {args: []string{"--count", "1000000", "--max-sleep", "0s"}, serve: true},
	} {
		t.Run("ends_"+name+"_with_the_cause_on_a_full_disk_and_silently_where_nobody_reads", func(t *testing.T) {
			svc := start(t)
			if c.serve {
				svc.master()
				svc.worker("--slots", "4")
			} else {
				svc.manual.Put("/tasks", "")
				svc.manual.Put("/data", "")
			}
			if c.args[0] == "explain" {
				svc.manual.Create("/tasks/t1", "pending")
			}
			ids := func() io.Reader {
				if c.made == "" {
					return nil
				}
				svc.manual.DeleteAll("/tasks")
				svc.manual.Put("/tasks", "")
				var in strings.Builder
				for i := range n {
					svc.manual.Create(fmt.Sprint("/tasks/t", i), c.made)
					fmt.Fprintf(&in, "t%d\n", i)
				}
				return strings.NewReader(in.String())
			}
			left := func() {
				t.Helper()
				if got := len(svc.manual.Children("/tasks")); got != c.left && c.args[0] != "cancel" {
					t.Errorf("%d tasks are left, want %d", got, c.left)
				}
			}
			status, stderr := svc.clientTo(ids(), full(t), c.args...)
			if status != 1 || !strings.HasPrefix(stderr, "client: write /dev/stdout: no space left on device") || !strings.Contains(stderr, c.rest) || strings.Contains(stderr, "\n") {
				t.Errorf("status %d, stderr %.500q, want 1 and … %q", status, stderr, c.rest)
			}
			left()
			if status, stderr = svc.clientTo(ids(), unread(t), c.args...); status != 141 || stderr != "" {
				t.Errorf("status %d, stderr %.500q, want 141 and nothing", status, stderr)
			}
			left()
		})
	}
	t.Run("ends_a_run_that_cannot_say_which_task_failed", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--slots", "2") // either task may come first
		c := svc.command("run", "x", "3600", "--log-level", "error")
		c.Stderr = unread(t)
		if _ = c.Run(); c.ProcessState.ExitCode() != 141 {
			t.Errorf("status %d", c.ProcessState.ExitCode())
		}
		svc.empty()
	})
}

// lines returns the path of a file that holds a line n times.
func lines(t *testing.T, n int, line string) string {
	t.Helper()
	return writeFile(t, filepath.Join(t.TempDir(), "in"), strings.Repeat(line+"\n", n))
}
