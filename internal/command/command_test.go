package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"taskkeeper/internal/proc"
	"taskkeeper/internal/task"
)

// programEnv makes this test binary a program that executes its arguments.
const programEnv = "COMMAND_TEST_PROGRAM"

func TestMain(m *testing.M) {
	Supervise()
	if os.Getenv(programEnv) != "" {
		c, err := New(Config{Words: os.Args[1:], KillAfter: time.Second})
		if err != nil {
			panic(err)
		}
		result, err := c.Execute(context.Background(), task.Execution{Task: "t"})
		fmt.Printf("%s, %v\n", result, err)
		os.Exit(0)
	}
	// The race detector makes each process that ends well sleep for a second.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	goleak.VerifyTestMain(m)
}

// patience is how long tests wait. Only a failure takes so long.
const patience = 20 * time.Second

func command(t *testing.T, words ...string) *Command {
	t.Helper()
	c, err := New(Config{Words: words, KillAfter: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sh is a script that is not to see its payload in an argument.
func sh(t *testing.T, script string) *Command {
	t.Helper()
	return command(t, "sh", "-c", script)
}

func execute(t *testing.T, c *Command, payload string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := c.Execute(ctx, task.Execution{Task: "t1", Worker: "w1", Payload: []byte(payload)})
	return string(result), err
}

func result(t *testing.T, c *Command, payload, want string) {
	t.Helper()
	got, err := execute(t, c, payload)
	if err != nil || got != want {
		t.Errorf("%.100q, %v, want %.100q", got, err, want)
	}
}

func failure(t *testing.T, c *Command, payload, want string) {
	t.Helper()
	got, err := execute(t, c, payload)
	if err == nil || err.Error() != want {
		t.Errorf("%.100q, %v, want %q", got, err, want)
	}
}

// marker is an argument of sleep that no other process has.
func marker(t *testing.T) string {
	return fmt.Sprintf("3600.%d%d", os.Getpid(), time.Now().UnixNano())
}

// alive lists the processes that have a text among their arguments, but for
// supervisors.
func alive(text string) (found []string) {
	all, _ := os.ReadDir("/proc")
	for _, p := range all {
		line, err := os.ReadFile("/proc/" + p.Name() + "/cmdline")
		if err == nil && strings.Contains(string(line), text) && !strings.HasPrefix(string(line), supervisorName) {
			found = append(found, p.Name()+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func none(t *testing.T, text string) {
	t.Helper()
	if got := alive(text); len(got) > 0 {
		t.Errorf("alive: %q", got)
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func read(path string) string {
	data, _ := os.ReadFile(path)
	return strings.TrimSpace(string(data))
}

func TestNew(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		words []string
		want  string
	}{
		"no_word":                {nil, "the command is empty: give a program and its arguments"},
		"an_empty_word":          {[]string{""}, "the command is empty: give a program and its arguments"},
		"an_unknown_program":     {[]string{"no-such-program", "x"}, `cannot run "no-such-program": executable file not found in $PATH`},
		"a_file_that_is_missing": {[]string{dir + "/missing"}, `cannot run "` + dir + `/missing": no such file or directory`},
		"a_file_without_the_bit": {[]string{plain}, `cannot run "` + plain + `": permission denied`},
		"a_folder":               {[]string{dir}, `cannot run "` + dir + `": is a directory`},
		"a_payload_as_program":   {[]string{"{}"}, `"{}": {} cannot be in the program's name: a payload never chooses what is run`},
	} {
		t.Run("refuses_"+name, func(t *testing.T) {
			if _, err := New(Config{Words: c.words}); err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestExecute(t *testing.T) {
	var every strings.Builder
	for i := range 256 {
		every.WriteByte(byte(i))
	}
	t.Run("gives_the_payload_on_standard_input", func(t *testing.T) { result(t, command(t, "cat"), every.String(), every.String()) })
	t.Run("gives_the_payload_as_an_argument", func(t *testing.T) {
		result(t, command(t, "printf", "%s,", "{}", "<{}|{}>"), "$HOME `x` *", "$HOME `x` *,<$HOME `x` *|$HOME `x` *>,")
	})
	t.Run("never_makes_code_of_a_payload", func(t *testing.T) {
		words, err := Shell(`printf '%s!' "$1"; cat`)
		if err != nil {
			t.Fatal(err)
		}
		nasty := `"; echo $(id) '; exit 7 #`
		result(t, command(t, words...), nasty, nasty+"!"+nasty)
	})
	t.Run("tells_who_it_is", func(t *testing.T) { result(t, sh(t, "echo $TASK_ID $WORKER_ID"), "", "t1 w1") })
	t.Run("drops_one_newline_at_the_end", func(t *testing.T) { result(t, command(t, "cat"), "a\n\n", "a\n") })
	t.Run("keeps_it_when_told_so", func(t *testing.T) {
		c := command(t, "cat")
		c.cfg.KeepEnd = true
		result(t, c, "a\n\n", "a\n\n")
	})
	large := strings.Repeat("x", 700_000)
	t.Run("does_not_mind_when_the_payload_is_not_read", func(t *testing.T) {
		result(t, command(t, "true"), large, "")
		result(t, sh(t, "exec <&-; echo x"), large, "x")
		result(t, command(t, "head", "-c", "1"), large, "x")
	})
	t.Run("does_not_mind_when_standard_error_is_used", func(t *testing.T) { result(t, sh(t, "echo a >&2; echo b"), "", "b") })
	t.Run("passes_a_large_payload_through", func(t *testing.T) { result(t, command(t, "cat"), large, large) })
	t.Run("many_at_a_time", func(t *testing.T) {
		c := command(t, "cat")
		errs := make(chan error)
		for i := range 20 {
			go func() {
				want := strconv.Itoa(i)
				got, err := c.Execute(t.Context(), task.Execution{Payload: []byte(want)})
				if err == nil && string(got) != want {
					err = fmt.Errorf("%q, want %q", got, want)
				}
				errs <- err
			}()
		}
		for range 20 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("starts_the_command_as_a_shell_does", func(t *testing.T) {
		result(t, command(t, "sh", "-c", `trap - TERM; kill -0 $$; echo $0 $#`, "zero", "a", "b"), "", "zero 2")
	})
}

func TestFailure(t *testing.T) {
	t.Run("by_exit_status", func(t *testing.T) { failure(t, sh(t, "echo lost; exit 3"), "", "exit status 3") })
	t.Run("with_what_it_said_last", func(t *testing.T) {
		failure(t, sh(t, "echo one >&2; echo two >&2; exit 1"), "", "exit status 1: one\ntwo")
	})
	t.Run("by_a_signal", func(t *testing.T) {
		failure(t, sh(t, "kill -USR1 $$"), "", "ended by SIGUSR1")
		failure(t, sh(t, "echo oh >&2; kill -9 $$"), "", "ended by SIGKILL: oh")
	})
	t.Run("when_the_program_vanished", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "prog")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		c := command(t, path)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		failure(t, c, "", "start "+path+": no such file or directory")
	})
	t.Run("for_a_payload_that_is_no_argument", func(t *testing.T) {
		c := command(t, "echo", "{}")
		failure(t, c, "a\x00b", "the payload holds a zero byte, so it cannot be an argument: the command is to read its standard input")
		failure(t, c, strings.Repeat("x", 200_000), "start echo: the payload of 200000 bytes is too long for an argument: the command is to read its standard input")
	})
	t.Run("of_a_result_too_large", func(t *testing.T) {
		failure(t, command(t, "head", "-c", "5000000", "/dev/zero"), "", "result of 5000000 bytes is too large: at most 800000")
		failure(t, command(t, "head", "-c", "800001", "/dev/zero"), "", "result of 800001 bytes is too large: at most 800000")
		result(t, command(t, "head", "-c", "800000", "/dev/zero"), "", strings.Repeat("\x00", 800000))
		result(t, sh(t, "head -c 800000 /dev/zero; echo"), "", strings.Repeat("\x00", 800000))
	})
	t.Run("of_a_result_without_an_end", func(t *testing.T) {
		failure(t, command(t, "yes"), "", "result of more than 67108864 bytes is too large: at most 800000")
	})
}

func TestEnd(t *testing.T) {
	// start runs a script that makes a file "up" once it is ready, and returns how
	// to end it; what comes back is how long that took.
	start := func(t *testing.T, script string) (dir string, end func() time.Duration) {
		t.Helper()
		dir = t.TempDir()
		c := command(t, "sh", "-c", "cd "+dir+"; "+script)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := c.Execute(ctx, task.Execution{})
			done <- err
		}()
		end = func() time.Duration {
			t.Helper()
			began := time.Now()
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			return time.Since(began)
		}
		t.Cleanup(cancel)
		eventually(t, "the command is up", func() bool { _, err := os.Stat(dir + "/up"); return err == nil })
		return dir, end
	}
	t.Run("by_SIGTERM_when_the_context_ends", func(t *testing.T) {
		m := marker(t)
		dir, end := start(t, `trap 'echo bye >said; exit 0' TERM; sleep `+m+` & >up; wait`)
		end()
		if got := read(dir + "/said"); got != "bye" {
			t.Errorf("it said %q", got)
		}
		none(t, m)
	})
	t.Run("by_SIGKILL_when_SIGTERM_is_ignored", func(t *testing.T) {
		m := marker(t)
		_, end := start(t, `trap '' TERM; sh -c "sleep `+m+`" & >up; wait; sleep `+m)
		if took := end(); took < 200*time.Millisecond {
			t.Errorf("took %v", took)
		}
		none(t, m)
	})
	t.Run("gives_all_of_the_group_the_time_to_end_well", func(t *testing.T) {
		dir, end := start(t, `(trap 'sleep 0.05; echo bye >said; exit' TERM; >up; while :; do sleep 0.01; done) & wait`)
		end()
		if got := read(dir + "/said"); got != "bye" {
			t.Errorf("it said %q", got)
		}
	})
	t.Run("of_a_stopped_one", func(t *testing.T) {
		m := marker(t)
		_, end := start(t, `sleep `+m+` & >up; kill -STOP $!; kill -STOP $$; wait`)
		end()
		none(t, m)
	})
	t.Run("also_of_what_left_the_group", func(t *testing.T) {
		m := marker(t)
		_, end := start(t, `(setsid sh -c "trap '' TERM; sleep `+m+` & >up; wait; sleep `+m+`" & ); wait; sleep `+m)
		end()
		none(t, m)
	})
	t.Run("at_once_when_it_has_begun_just_now", func(t *testing.T) {
		m := marker(t)
		c := command(t, "sleep", m)
		for i := range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*5*time.Millisecond)
			if _, err := c.Execute(ctx, task.Execution{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			cancel()
			none(t, m)
		}
	})
	t.Run("of_children_in_the_background_with_the_command", func(t *testing.T) {
		m := marker(t)
		began := time.Now()
		result(t, sh(t, `sleep `+m+` & (sleep `+m+` &) ; setsid sleep `+m+` & sh -c "trap '' TERM HUP; sleep `+m+`" & echo x`), "", "x")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		none(t, m)
	})
	t.Run("reaps_orphans_meanwhile", func(t *testing.T) {
		result(t, sh(t, `for i in 1 2 3 4 5; do (sh -c 'exit 0' &) ; done; sleep 0.2
			grep -l "^PPid:[[:space:]]*$PPID$" /proc/[0-9]*/status 2>/dev/null | wc -l`), "", "1")
	})
}

func TestGuard(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run("ends_all_when_the_worker_is_gone_by_"+sig.String(), func(t *testing.T) {
			m := marker(t)
			up := filepath.Join(t.TempDir(), "up")
			p := proc.Run(t, proc.Command{Path: self, Env: []string{programEnv + "=1"}, Args: []string{
				"sh", "-c", `trap '' TERM; (setsid sleep ` + m + ` &); sh -c "sleep ` + m + `" & >` + up + `; wait; sleep ` + m}})
			eventually(t, "the command is up", func() bool { _, err := os.Stat(up); return err == nil })
			p.Send(sig)
			p.Exit(128 + int(sig))
			eventually(t, "all processes are gone", func() bool { return len(alive(m)) == 0 })
		})
	}
	t.Run("ends_the_group_when_the_supervisor_is_killed", func(t *testing.T) {
		m := marker(t)
		dir := t.TempDir()
		c := sh(t, "cd "+dir+`; sleep `+m+` & sh -c "sleep `+m+` & wait" & echo $PPID >up; wait`)
		done := make(chan error, 1)
		go func() {
			_, err := c.Execute(t.Context(), task.Execution{})
			done <- err
		}()
		eventually(t, "the command is up", func() bool { return read(dir+"/up") != "" })
		pid, err := strconv.Atoi(read(dir + "/up"))
		if err != nil {
			t.Fatal(err)
		}
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
			if err := syscall.Kill(pid, sig); err != nil {
				t.Fatal(err)
			}
		}
		if got := alive(m); len(got) == 0 {
			t.Error("the supervisor obeys whoever")
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err == nil || err.Error() != "the supervisor of sh was ended: signal: killed" {
			t.Errorf("error %v", err)
		}
		eventually(t, "all processes are gone", func() bool { return len(alive(m)) == 0 })
	})
}
