package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

func TestOutcome(t *testing.T) {
	long := strings.Repeat("0123456789\n", 10_000) // 110,000 bytes
	kept := maxStream - 64
	lastOf := func(s string, n int) string { return s[len(s)-n:] }
	seq := "i=0; while [ $i -lt 10000 ]; do echo 0123456789; i=$((i+1)); done"
	for name, c := range map[string]struct {
		script string
		want   task.Outcome
		err    string
	}{
		"of_a_success":    {"printf 'a\\377\\n\\n'; printf ' e\\377\\n' >&2", task.Outcome{Result: []byte("a\xff\n"), Exit: "0", Stderr: []byte(" e\xff\n")}, ""},
		"of_a_failure":    {"printf 'a\\377\\n\\n'; printf 'e\\377\\n\\n' >&2; exit 3", task.Outcome{Exit: "3", Stdout: []byte("a\xff\n\n"), Stderr: []byte("e\xff\n\n")}, "exit status 3: e\uFFFD"},
		"of_a_signal":     {"echo a; kill -KILL $$", task.Outcome{Exit: "SIGKILL", Stdout: []byte("a\n")}, "ended by SIGKILL"},
		"without_streams": {"exit 1", task.Outcome{Exit: "1"}, "exit status 1"},
		"with_the_end_of_much_standard_error": {"exec >&2; " + seq, task.Outcome{Exit: "0",
			Stderr: []byte(fmt.Sprintf("[... %d bytes left out]\n", len(long)-kept) + lastOf(long, kept))}, ""},
		"with_the_beginning_of_much_standard_output": {seq + "; exit 1", task.Outcome{Exit: "1",
			Stdout: []byte(long[:kept] + fmt.Sprintf("[... %d bytes left out]\n", len(long)-kept))}, "exit status 1"},
		"with_a_line_for_the_mark": {"printf x; " + seq + "; exit 1", task.Outcome{Exit: "1",
			Stdout: []byte("x" + long[:kept-1] + fmt.Sprintf("\n[... %d bytes left out]\n", len(long)+1-kept))}, "exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := sh(t, c.script).Execute(t.Context(), task.Execution{})
			reason := ""
			if err != nil {
				reason = err.Error()
			}
			same := func(what string, got, want []byte) {
				if string(got) != string(want) {
					t.Errorf("%s: %d bytes %.60q … %.60q, want %d bytes %.60q", what, len(got), got, got[max(0, len(got)-60):], len(want), want)
				}
			}
			same("result", o.Result, c.want.Result)
			same("stdout", o.Stdout, c.want.Stdout)
			same("stderr", o.Stderr, c.want.Stderr)
			if o.Exit != c.want.Exit || reason != c.err {
				t.Errorf("exit %q, %q, want %q, %q", o.Exit, reason, c.want.Exit, c.err)
			}
			if len(o.Stdout) > maxStream || len(o.Stderr) > maxStream {
				t.Errorf("%d and %d bytes", len(o.Stdout), len(o.Stderr))
			}
		})
	}
	t.Run("has_the_streams_of_a_command_that_was_ended", func(t *testing.T) {
		up := filepath.Join(t.TempDir(), "up")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		var o task.Outcome
		var err error
		c := sh(t, "echo a; echo e >&2; >"+up+"; sleep 3600")
		go func() {
			defer close(done)
			o, err = c.Execute(ctx, task.Execution{})
		}()
		eventually(t, "it is up", func() bool { _, err := os.Stat(up); return err == nil })
		cancel()
		<-done
		if !errors.Is(err, context.Canceled) || string(o.Stdout) != "a\n" || string(o.Stderr) != "e\n" || o.Exit != "SIGTERM" {
			t.Errorf("%q, %v", o, err)
		}
	})
	t.Run("comes_also_when_a_command_with_3_MB_of_output_is_ended", func(t *testing.T) {
		m := marker(t)
		for n := range 8 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*20*time.Millisecond)
			_, err := sh(t, "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; sleep "+m).Execute(ctx, task.Execution{})
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			none(t, m)
		}
	})
	t.Run("does_not_wait_for_a_process_that_kept_the_streams", func(t *testing.T) {
		m := marker(t)
		c := sh(t, "setsid sleep "+m+" & sleep 0.05; echo x; kill -9 $PPID; sleep "+m)
		began := time.Now()
		_, err := execute(t, c, "")
		if took := time.Since(began); err == nil || took > 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		left := alive("sleep\x00" + m)
		if len(left) != 1 {
			t.Fatalf("alive: %q", left)
		}
		kill(t, left[0])
		result(t, sh(t, "echo y"), "", "y")
	})
}

// kill ends a process that alive has found.
func kill(t *testing.T, found string) {
	t.Helper()
	pid, _, _ := strings.Cut(found, " ")
	p, err := os.FindProcess(number(t, pid))
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Error(err)
	}
}
