package harness

import (
	"context"
	"errors"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sh(script string) Command { return Command{Path: "/bin/sh", Args: []string{"-c", script}} }

func TestProcess(t *testing.T) {
	t.Run("passes_arguments_and_environment_and_keeps_both_outputs_as_lines", func(t *testing.T) {
		c := sh("echo $0 $X; echo b >&2; printf 'c\\n\\nd'")
		c.Args, c.Env = append(c.Args, "one"), []string{"X=y"}
		p := Run(t, c)
		p.Exit(0)
		if got := p.Stdout.Lines(); !slices.Equal(got, []string{"one y", "c", "", "d"}) {
			t.Errorf("stdout %q", got)
		}
		if got := p.Stderr.Lines(); !slices.Equal(got, []string{"b"}) {
			t.Errorf("stderr %q", got)
		}
	})
	t.Run("returns_the_exit_status", func(t *testing.T) {
		Run(t, sh("exit 3")).Exit(3)
		p := Run(t, sh("echo up; sleep 100"))
		p.Line(p.Stdout, "up")
		p.Send(syscall.SIGTERM)
		p.Exit(128 + 15)
	})
	t.Run("ignores_no_signal_that_its_parent_ignores", func(t *testing.T) {
		signal.Ignore(syscall.SIGHUP, syscall.SIGINT)
		defer signal.Reset(syscall.SIGHUP, syscall.SIGINT)
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
			p := Run(t, sh("echo up; exec sleep 100"))
			p.Line(p.Stdout, "up")
			p.Send(sig)
			p.Exit(128 + int(sig))
		}
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil { // still ignored, else this ends the test
			t.Error(err)
		}
	})
	t.Run("follows_while_it_runs", func(t *testing.T) {
		p := Run(t, sh("echo 1; read x; echo 2; sleep 100"))
		var got []string
		for line := range p.Stdout.lines.follow(t.Context()) {
			if got = append(got, line); line == "2" {
				break
			}
		}
		if !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("lines %q", got)
		}
	})
	t.Run("ends_a_wait_with_its_context_or_the_end_of_the_process", func(t *testing.T) {
		p := Run(t, sh("sleep 100"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		for line := range p.Stdout.lines.follow(ctx) {
			t.Errorf("line %q", line)
		}
		if _, err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("wait: %v", err)
		}
		p.Kill()
		for line := range p.Stdout.lines.follow(t.Context()) {
			t.Errorf("line %q", line)
		}
		if err := p.Signal(syscall.SIGTERM); err == nil {
			t.Error("signal after the end: no error")
		}
		p.Kill() // again
	})
	t.Run("kills_what_it_has_started", func(t *testing.T) {
		p := Run(t, sh("sleep 100 & echo $!; wait"))
		p.Line(p.Stdout, "")
		start := time.Now()
		p.Kill()
		// A child that lived on would hold the output open.
		if took := time.Since(start); took >= drain {
			t.Errorf("took %v", took)
		}
		p.Exit(128 + 9)
	})
	t.Run("waits_for_its_standard_error_to_be_read", func(t *testing.T) {
		p := Run(t, sh("trap 'go=1' USR1; echo up; until [ \"$go\" ]; do sleep 0.01; done; echo 1; head -c 100000 /dev/zero >&2; echo 2"))
		p.Line(p.Stdout, "up")
		unblock, err := p.BlockStderr()
		if err != nil {
			t.Fatal(err)
		}
		p.Send(syscall.SIGUSR1)
		p.Line(p.Stdout, "1")
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := p.Wait(ctx); err == nil || slices.Contains(p.Stdout.Lines(), "2") {
			t.Error("it went on although nobody reads its standard error")
		}
		unblock()
		p.Line(p.Stdout, "2")
		p.Exit(0)
	})
	t.Run("fails_to_start_what_is_not_there", func(t *testing.T) {
		if _, err := Start(Command{Path: "/none", Args: []string{"x"}}); err == nil || !strings.HasPrefix(err.Error(), "start none x: ") {
			t.Errorf("start: %v", err)
		}
	})
}
