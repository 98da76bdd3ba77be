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

// unread is an output whose reader has gone, as that of head.
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

// full is an output on a disk that is full.
func full(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// clientTo has a client read from in and write to out, and returns its exit status and
// what it wrote to stderr, without the log below errors.
func (sv *service) clientTo(in io.Reader, out io.Writer, args ...string) (status int, stderr string) {
	sv.t.Helper()
	var errs bytes.Buffer
	c := exec.CommandContext(sv.t.Context(), filepath.Join(sv.dir, "client"), append(args, "--zk", sv.root, "--log-level", "error")...)
	c.Stdin, c.Stdout, c.Stderr = in, out, &errs
	c.Env = append(environ(c), "GORACE=atexit_sleep_ms=10")
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		sv.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), strings.TrimSuffix(errs.String(), "\n")
}

// TestOutput is what each verb does where its output cannot be written.
func TestOutput(t *testing.T) {
	t.Parallel()
	start := newService(t)
	const n = 60
	payloads := lines(t, n, "0")
	for name, c := range map[string]struct {
		args  []string
		serve bool   // there are a leader and workers
		made  string // the state of n tasks, whose ids are the input
		told  string // after the cause
		left  int    // tasks
	}{
		"run":               {args: []string{"run", "--file", payloads}, serve: true, told: ": 0 done, 0 failed, "},
		"run_json":          {args: []string{"run", "--json", "--unordered", "--file", payloads}, serve: true, told: ": 0 done, 0 failed, "},
		"submit":            {args: []string{"submit", "--file", payloads}, told: ": 0 submitted, "}, // and withdrawn as many as were begun by then
		"wait":              {args: []string{"wait"}, made: "done 1", told: fmt.Sprintf(": 0 done, 0 failed, 0 unknown; the other %d stay", n), left: n},
		"wait_json":         {args: []string{"wait", "--json"}, made: "failed so", told: fmt.Sprintf(": 0 done, 0 failed, 0 unknown; the other %d stay", n), left: n},
		"cancel":            {args: []string{"cancel"}, made: "pending", told: " changed"},
		"retry":             {args: []string{"retry"}, made: "failed so", told: " changed", left: n},
		"status":            {args: []string{"status"}},
		"status_json":       {args: []string{"status", "--json"}},
		"status_watch":      {args: []string{"status", "--watch"}},
		"status_watch_json": {args: []string{"status", "--watch", "--json"}},
		"explain":           {args: []string{"explain", "t1"}, left: 1},
		"explain_json":      {args: []string{"explain", "--json", "t1"}, left: 1},
		"doctor":            {args: []string{"doctor"}},
		"without_a_command": {args: []string{"--count", "1000000", "--max-sleep", "0s"}, serve: true},
	} {
		t.Run("of_"+name+"_on_a_full_disk_or_that_nobody_reads_ends_it", func(t *testing.T) {
			sv := start(t)
			if c.serve {
				sv.master()
				sv.worker("--slots", "4")
			} else {
				sv.hand.Put("/tasks", "")
				sv.hand.Put("/data", "")
			}
			if c.args[0] == "explain" {
				sv.hand.Create("/tasks/t1", "pending")
			}
			ids := func() io.Reader {
				if c.made == "" {
					return nil
				}
				sv.hand.DeleteAll("/tasks")
				sv.hand.Put("/tasks", "")
				var in strings.Builder
				for i := range n {
					sv.hand.Create(fmt.Sprint("/tasks/t", i), c.made)
					fmt.Fprintf(&in, "t%d\n", i)
				}
				return strings.NewReader(in.String())
			}
			left := func() {
				t.Helper()
				if got := len(sv.hand.Children("/tasks")); got != c.left && c.args[0] != "cancel" {
					t.Errorf("%d tasks are left, want %d", got, c.left)
				}
			}
			status, stderr := sv.clientTo(ids(), full(t), c.args...)
			if status != 1 || !strings.HasPrefix(stderr, "client: write /dev/stdout: no space left on device") || !strings.Contains(stderr, c.told) || strings.Contains(stderr, "\n") {
				t.Errorf("status %d, stderr %.500q, want 1 and … %q", status, stderr, c.told)
			}
			left()
			if status, stderr = sv.clientTo(ids(), unread(t), c.args...); status != 141 || stderr != "" {
				t.Errorf("status %d, stderr %.500q, want 141 and nothing", status, stderr)
			}
			left()
		})
	}
	t.Run("of_what_failed_that_nobody_reads_ends_a_run_too", func(t *testing.T) {
		sv := start(t)
		sv.master()
		sv.worker("--slots", "2") // either task may come first
		c := exec.CommandContext(t.Context(), filepath.Join(sv.dir, "client"), "run", "x", "3600", "--zk", sv.root, "--log-level", "error")
		c.Stderr = unread(t)
		if _ = c.Run(); c.ProcessState.ExitCode() != 141 {
			t.Errorf("status %d", c.ProcessState.ExitCode())
		}
		sv.empty()
	})
}

// lines returns a file that holds so many.
func lines(t *testing.T, n int, line string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte(strings.Repeat(line+"\n", n)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
