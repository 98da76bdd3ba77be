package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/task"
)

// fields executes the command and returns the words that it prints.
func fields(t *testing.T, c *Command, payload string) []string {
	t.Helper()
	got, err := execute(t, c, payload)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(got)
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// supervisorOf returns the process id that the command prints: that of its supervisor.
func supervisorOf(t *testing.T, c *Command) int {
	t.Helper()
	return number(t, fields(t, c, "")[0])
}

func TestSupervisorIsReused(t *testing.T) {
	t.Run("for_1000_commands_each_in_a_session_of_its_own", func(t *testing.T) {
		c := command(t, "sh", "-c", `read -r _ _ _ _ _ session _ </proc/self/stat; echo "$PPID $$ $session"`)
		first := fields(t, c, "")
		sessions := map[string]bool{first[1]: true}
		for n := range 999 {
			next := fields(t, c, "")
			if next[0] != first[0] || sessions[next[1]] || next[2] != next[1] {
				t.Fatalf("command %d: supervisor, pid and session %q, at first %q", n+2, next, first)
			}
			sessions[next[1]] = true
		}
	})
	t.Run("so_that_there_are_as_many_as_executions_at_a_time", func(t *testing.T) {
		c := sh(t, "echo $PPID")
		for range 2 {
			fields(t, c, "")
		}
		if n := len(c.idle.all); n != 1 {
			t.Errorf("%d", n)
		}
		c.Close()
		if _, err := execute(t, c, ""); err != nil || len(c.idle.all) > 0 {
			t.Errorf("after Close: %v, %d are left", err, len(c.idle.all))
		}
	})
	t.Run("and_a_command_has_no_descriptor_but_its_own", func(t *testing.T) {
		c := command(t, "ls", "/proc/self/fd")
		held, err := os.Open("/")
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		inherited, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0) // as what a shell had open when it started the worker
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(inherited)
		for n := range 3 {
			if n == 1 { // and while others run
				other := sh(t, "sleep 3600")
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, _ = other.Execute(ctx, task.Execution{})
				}()
				defer func() { cancel(); <-done }()
			}
			if got := fields(t, c, "x"); strings.Join(got, " ") != "0 1 2 3" { // the last is the folder's
				t.Errorf("command %d: %q", n+1, got)
			}
		}
	})
	t.Run("and_a_command_gets_its_own_environment_and_input", func(t *testing.T) {
		c := sh(t, "echo $TASK_ID $WORKER_ID; cat; env | grep -c _ID=")
		for _, id := range []string{"t1", "t2"} {
			o, err := c.Execute(t.Context(), task.Execution{Task: id, Worker: "w" + id, Payload: []byte(id)})
			if want := id + " w" + id + "\n" + id + "2"; err != nil || string(o.Result) != want {
				t.Errorf("%q, %v, want %q", o.Result, err, want)
			}
		}
	})
	t.Run("without_the_variables_of_the_workers_certificate", func(t *testing.T) {
		t.Setenv("ZK_TLS_KEY", "/worker.key")
		got, err := execute(t, sh(t, `env; cat /proc/$PPID/environ`), "")
		if err != nil || !strings.Contains(got, "WORKER_ID=") || strings.Contains(got, "ZK_TLS_") {
			t.Errorf("%v, it sees\n%s", err, got)
		}
	})
	t.Run("after_a_command_that_could_not_be_started", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "prog")
		script := func(mode os.FileMode) {
			if err := errors.Join(os.WriteFile(path, []byte("#!/bin/sh\necho $PPID\n"), 0o755), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
		script(0o755)
		c := command(t, path)
		was := supervisorOf(t, c)
		script(0o644)
		if _, err := execute(t, c, ""); !errors.Is(err, ErrCannotStart) {
			t.Errorf("error %v", err)
		}
		script(0o755)
		if now := supervisorOf(t, c); now != was {
			t.Errorf("supervisor %d, before %d", now, was)
		}
	})
	for name, script := range map[string]string{
		"of_the_group":                 `sleep M & echo x`,
		"of_a_double_fork":             `(sh -c "sleep M & sleep M" &) ; echo x`,
		"in_another_session":           `setsid sleep M & setsid sh -c "setsid sleep M & sleep M" & sleep 0.05; echo x`,
		"that_became_a_daemon":         `(trap '' HUP TERM INT; cd /; exec >/dev/null 2>&1 </dev/null; setsid sh -c "trap '' TERM; sleep M & wait; sleep M" &) ; sleep 0.05; echo x`,
		"of_a_command_that_was_killed": `setsid sleep M & sleep 0.05; kill -9 $$`,
	} {
		t.Run("and_the_next_command_finds_no_process_"+name, func(t *testing.T) {
			m := marker(t)
			c := command(t, "sh", "-c", `case $1 in first) `+strings.ReplaceAll(script, "M", m)+`;; esac
				grep -lz "`+strings.Replace(m, "3600", "^3600", 1)+`$" /proc/[0-9]*/cmdline 2>/dev/null; echo $PPID`, "sh", "{}")
			_, _ = execute(t, c, "first")
			none(t, m)
			was := c.idle.all[0].process.Pid
			if got := fields(t, c, "second"); !slices.Equal(got, []string{strconv.Itoa(was)}) {
				t.Errorf("%q, want %d", got, was)
			}
		})
	}
}

func TestIdleSupervisor(t *testing.T) {
	t.Run("that_was_killed_is_replaced", func(t *testing.T) {
		c := sh(t, "echo $PPID")
		for range 3 {
			was := supervisorOf(t, c)
			if err := syscall.Kill(was, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if now := supervisorOf(t, c); now == was {
				t.Errorf("it is still %d", now)
			}
		}
	})
	t.Run("that_is_stopped_is_replaced_at_once", func(t *testing.T) {
		c := sh(t, "echo $PPID")
		was := supervisorOf(t, c)
		if err := syscall.Kill(was, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is stopped", func() bool { return isStopped(was) })
		if now := supervisorOf(t, c); now == was {
			t.Errorf("it is still %d", now)
		}
		if err := syscall.Kill(was, 0); err != syscall.ESRCH {
			t.Errorf("the stopped one: %v", err)
		}
	})
	t.Run("outlives_other_signals", func(t *testing.T) {
		c := sh(t, "echo $PPID")
		was := supervisorOf(t, c)
		for sig := syscall.Signal(1); sig <= 64; sig++ {
			// Go can catch no more of them.
			if sig != syscall.SIGKILL && sig != syscall.SIGSTOP && (sig < 32 || sig > 34) {
				if err := syscall.Kill(was, sig); err != nil {
					t.Fatal(err)
				}
			}
		}
		if now := supervisorOf(t, c); now != was {
			t.Errorf("%d, before %d", now, was)
		}
	})
	t.Run("ends_with_Close", func(t *testing.T) {
		c := sh(t, "echo $PPID")
		was := supervisorOf(t, c)
		c.Close()
		if err := syscall.Kill(was, 0); err != syscall.ESRCH {
			t.Errorf("%v", err)
		}
	})
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run("ends_when_the_worker_is_gone_by_"+sig.String(), func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			p := harness.Run(t, harness.Command{Path: self, Env: []string{programEnv + "=idle"}, Args: []string{"sh", "-c", "echo supervisor $PPID"}})
			pid := number(t, strings.TrimSuffix(strings.TrimPrefix(p.Line(p.Stdout, "supervisor "), "supervisor "), ", <nil>"))
			p.Send(sig)
			p.Exit(128 + int(sig))
			eventually(t, "the supervisor is gone", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
		})
	}
}

func TestCommandEndsWhenWorkerAndSupervisorAreKilledTogether(t *testing.T) {
	m := marker(t)
	up := filepath.Join(t.TempDir(), "up")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := harness.Run(t, harness.Command{Path: self, Env: []string{programEnv + "=1"}, Args: []string{"sh", "-c", `echo $PPID >` + up + `; exec sleep ` + m}})
	eventually(t, "the command is up", func() bool { return read(up) != "" && len(alive("sleep\x00"+m)) == 1 })
	_ = syscall.Kill(number(t, read(up)), syscall.SIGKILL)
	p.Send(syscall.SIGKILL)
	p.Exit(128 + 9)
	eventually(t, "the command is gone", func() bool { return len(alive("sleep\x00"+m)) == 0 })
}

// forkersEnv makes this test binary a program that leaves processes behind which fork,
// setsid and exit, again and again, as fast as they can.
const forkersEnv = "COMMAND_TEST_FORKERS"

func init() { programs[forkersEnv] = startForkers }

//go:norace
func startForkers() {
	fork := func() uintptr {
		pid, _, _ := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
		return pid
	}
	now := func() int64 {
		var t syscall.Timespec
		syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&t)), 0)
		return t.Sec
	}
	end := now() + 60 // if nobody kills them
	for range 16 {
		if fork() > 0 {
			continue
		}
		for now() < end {
			if fork() > 0 {
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
			}
			syscall.RawSyscall(syscall.SYS_SETSID, 0, 0, 0)
		}
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

func TestProcessesThatForkAndExitAreKilled(t *testing.T) {
	t.Setenv(forkersEnv, "1")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m := marker(t)
	c := command(t, self, m)
	for range 3 {
		began := time.Now()
		if _, err := execute(t, c, ""); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		} else {
			t.Log(took)
		}
		none(t, m)
	}
}
