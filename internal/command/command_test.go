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
	"golang.org/x/sys/unix"

	"taskkeeper/internal/task"
)

// programEnv makes this test binary a program that executes its arguments.
const programEnv = "COMMAND_TEST_PROGRAM"

// programs are others that this test binary is, by the variable that says so.
var programs = map[string]func(){shortageEnv: executeShortOfProcesses}

func TestMain(m *testing.M) {
	if Supervise() {
		return
	}
	for env, run := range programs {
		if os.Getenv(env) != "" {
			run()
			os.Exit(0)
		}
	}
	if os.Getenv(programEnv) != "" {
		c, err := New(Config{Words: os.Args[1:], KillAfter: time.Second})
		if err != nil {
			panic(err)
		}
		result, err := c.Execute(context.Background(), task.Execution{Task: "t"})
		fmt.Printf("%s, %v\n", result.Result, err)
		if os.Getenv(programEnv) == "idle" {
			select {}
		}
		c.Close()
		os.Exit(0)
	}
	// The race detector makes each process that ends well sleep for a second.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	goleak.VerifyTestMain(m)
}

// shortageEnv makes this test binary a program that executes commands again and
// again, each time with one more process allowed to its user.
const shortageEnv = "COMMAND_TEST_SHORTAGE"

func executeShortOfProcesses() {
	createThreads(40) // so that it is not this program that lacks one
	for more := range 24 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			panic(err)
		}
		limit := syscall.Rlimit{Cur: uint64(len(threads) + more), Max: 1 << 16}
		if err := syscall.Setrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
			panic(err)
		}
		for _, script := range []string{"exec cat", "while :; do sleep 3600 & done", "bomb() { bomb | bomb & bomb & }; bomb; sleep 0.05"} {
			c, err := New(Config{Words: []string{"sh", "-c", script}})
			if err != nil {
				panic(err)
			}
			result, err := c.Execute(context.Background(), task.Execution{Payload: []byte("x")})
			c.Close()
			if errors.Is(err, ErrCannotStart) {
				fmt.Printf("%d cannot: %v\n", more, err)
			} else {
				fmt.Printf("%d %s %q, %s\n", more, strings.Fields(script)[0], result.Result, strings.ReplaceAll(fmt.Sprint(err), "\n", " "))
			}
		}
	}
}

// patience is how long tests wait. Only a failure takes so long.
const patience = 20 * time.Second

func command(t *testing.T, words ...string) *Command {
	t.Helper()
	return open(t, Config{Words: words, KillAfter: 200 * time.Millisecond})
}

func open(t *testing.T, cfg Config) *Command {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// sh returns a command that runs a script. The payload is its standard input.
func sh(t *testing.T, script string) *Command {
	t.Helper()
	return command(t, "sh", "-c", script)
}

func execute(t *testing.T, c *Command, payload string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := c.Execute(ctx, task.Execution{Task: "t1", Worker: "w1", Payload: []byte(payload)})
	return string(result.Result), err
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
		"no_word":                       {nil, "the command is empty: give a program and its arguments"},
		"an_empty_word":                 {[]string{""}, "the command is empty: give a program and its arguments"},
		"an_unknown_program":            {[]string{"no-such-program", "x"}, `cannot run "no-such-program": executable file not found in $PATH`},
		"a_file_that_is_missing":        {[]string{dir + "/missing"}, `cannot run "` + dir + `/missing": no such file or directory`},
		"a_file_that_is_not_executable": {[]string{plain}, `cannot run "` + plain + `": permission denied`},
		"a_folder":                      {[]string{dir}, `cannot run "` + dir + `": is a directory`},
		"a_payload_in_a_script":         {[]string{"/bin/sh", "-ec", "echo {}", "sh"}, "{} after \"/bin/sh\": a payload may become code, a program or an option there: use a script that takes it as \"$1\", sh -c SCRIPT sh {} or --shell; or leave {} out and read standard input"},
		"a_payload_as_program":          {[]string{"{}"}, `"{}": {} cannot be in the program's name: a payload never chooses the program`},
	} {
		t.Run("refuses_"+name, func(t *testing.T) {
			if _, err := New(Config{Words: c.words}); err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestCommand(t *testing.T) {
	var every strings.Builder
	for i := range 256 {
		every.WriteByte(byte(i))
	}
	t.Run("gets_the_payload_on_standard_input", func(t *testing.T) { result(t, command(t, "cat"), every.String(), every.String()) })
	t.Run("gets_the_payload_as_an_argument", func(t *testing.T) {
		result(t, command(t, "printf", "%s,", "{}", "={}:{}="), "$HOME `x` *", "$HOME `x` *,=$HOME `x` *:$HOME `x` *=,")
	})
	t.Run("gets_the_payload_either_as_an_argument_or_on_standard_input", func(t *testing.T) {
		result(t, command(t, "sh", "-c", `echo "$1"; cat; readlink /proc/self/fd/0`, "sh", "{}"), "a", "a\n/dev/null")
		result(t, sh(t, `echo "$#"; cat`), "a", "0\na")
	})
	t.Run("never_gets_the_payload_as_code", func(t *testing.T) {
		words, err := Shell(`printf '%s!' "$1"; cat`)
		if err != nil {
			t.Fatal(err)
		}
		nasty := `"; echo $(id) '; exit 7 #`
		result(t, command(t, words...), nasty, nasty+"!")
	})
	t.Run("gets_the_ids_of_task_and_worker_in_its_environment", func(t *testing.T) { result(t, sh(t, "echo $TASK_ID $WORKER_ID"), "", "t1 w1") })
	t.Run("has_a_result_without_the_newline_at_the_end", func(t *testing.T) { result(t, command(t, "cat"), "a\n\n", "a\n") })
	t.Run("keeps_that_newline_with_KeepEnd", func(t *testing.T) {
		c := command(t, "cat")
		c.cfg.KeepEnd = true
		result(t, c, "a\n\n", "a\n\n")
	})
	large := strings.Repeat("x", 700_000)
	t.Run("may_leave_the_payload_unread", func(t *testing.T) {
		result(t, command(t, "true"), large, "")
		result(t, sh(t, "exec <&-; echo x"), large, "x")
		result(t, command(t, "head", "-c", "1"), large, "x")
	})
	t.Run("may_write_standard_error", func(t *testing.T) { result(t, sh(t, "echo a >&2; echo b"), "", "b") })
	t.Run("gets_a_large_payload", func(t *testing.T) { result(t, command(t, "cat"), large, large) })
	t.Run("gets_its_own_payload_among_many_at_a_time", func(t *testing.T) {
		c := command(t, "cat")
		errs := make(chan error)
		for i := range 20 {
			go func() {
				want := strconv.Itoa(i)
				got, err := c.Execute(t.Context(), task.Execution{Payload: []byte(want)})
				if err == nil && string(got.Result) != want {
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
	t.Run("is_started_as_by_a_shell", func(t *testing.T) {
		result(t, command(t, "sh", "-c", `trap - TERM; kill -0 $$; echo $0 $#`, "zero", "a", "b"), "", "zero 2")
	})
}

func TestReasonOfAFailure(t *testing.T) {
	t.Run("is_the_exit_status", func(t *testing.T) { failure(t, sh(t, "echo lost; exit 3"), "", "exit status 3") })
	t.Run("ends_with_the_last_lines_of_standard_error", func(t *testing.T) {
		failure(t, sh(t, "echo one >&2; echo two >&2; exit 1"), "", "exit status 1: one\ntwo")
	})
	t.Run("is_the_signal", func(t *testing.T) {
		failure(t, sh(t, "kill -USR1 $$"), "", "ended by SIGUSR1")
		failure(t, sh(t, "echo oh >&2; kill -9 $$"), "", "ended by SIGKILL: oh")
		failure(t, sh(t, "kill -34 $$"), "", "ended by signal 34")
	})
	t.Run("is_a_payload_that_cannot_be_an_argument", func(t *testing.T) {
		c := command(t, "echo", "{}")
		failure(t, c, "a\x00b", "the payload holds a zero byte, so it cannot be an argument: a command without {}, or a script without \"$1\", reads it from standard input")
		failure(t, c, strings.Repeat("x", 200_000), "start echo: the payload of 200000 bytes is too long for an argument: a command without {}, or a script without \"$1\", reads it from standard input")
	})
	t.Run("is_a_result_that_is_too_large", func(t *testing.T) {
		failure(t, command(t, "head", "-c", "5000000", "/dev/zero"), "", "result of 5000000 bytes is too large: at most 800000")
		failure(t, command(t, "head", "-c", "800001", "/dev/zero"), "", "result of 800001 bytes is too large: at most 800000")
		result(t, command(t, "head", "-c", "800000", "/dev/zero"), "", strings.Repeat("\x00", 800000))
		result(t, sh(t, "head -c 800000 /dev/zero; echo"), "", strings.Repeat("\x00", 800000))
	})
	t.Run("is_a_result_without_an_end", func(t *testing.T) {
		failure(t, command(t, "yes"), "", "result of more than 67108864 bytes is too large: at most 800000")
	})
}

func TestCannotStart(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(path string) error // after New has found the program
		want  string
	}{
		"a_program_that_was_moved_away":                            {os.Remove, "no such file or directory"},
		"a_program_that_may_not_be_executed":                       {func(path string) error { return os.Chmod(path, 0o644) }, "permission denied"},
		"a_program_without_a_first_line_that_names_an_interpreter": {func(path string) error { return os.WriteFile(path, []byte("echo x\n"), 0o755) }, "exec format error"},
		"a_program_whose_interpreter_is_missing": {func(path string) error { return os.WriteFile(path, []byte("#!/bin/sh\r\necho x\r\n"), 0o755) },
			"no such file or directory: the file is there, but not the interpreter that its first line names"},
		"a_program_that_is_being_written": {func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				t.Cleanup(func() { f.Close() })
			}
			return err
		}, "text file busy"},
		"a_folder_in_its_place": {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) }, "permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "prog")
			if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, words := range [][]string{{path}, {path, "{}"}} {
				cmd := command(t, words...)
				if err := c.spoil(path); err != nil {
					t.Fatal(err)
				}
				_, err := execute(t, cmd, "x")
				if want := "cannot start the command: " + path + ": " + c.want; !errors.Is(err, ErrCannotStart) || err.Error() != want {
					t.Errorf("%v, want %s", err, want)
				}
				if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	t.Run("is_not_the_error_where_the_task_is_at_fault", func(t *testing.T) {
		for _, c := range []struct {
			cmd     *Command
			payload string
		}{
			{sh(t, "exit 127"), ""},
			{sh(t, "exec /no/such/program"), ""},
			{sh(t, "kill -9 $$"), ""},
			{sh(t, "kill -9 $PPID; sleep 60"), ""}, // its supervisor: the command, or somebody, did it
			{command(t, "echo", "{}"), "a\x00b"},
			{command(t, "echo", "{}"), strings.Repeat("x", 200_000)},
			{command(t, "sh", "-c", `head -c "$1" /dev/zero`, "sh", "{}"), "900000"},
		} {
			if _, err := execute(t, c.cmd, c.payload); err == nil || errors.Is(err, ErrCannotStart) {
				t.Errorf("%q: %v", c.cmd.cfg.Words, err)
			}
		}
	})
}
