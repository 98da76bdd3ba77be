package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/task"
)

// marker returns an argument of sleep that no other process has.
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

func TestProcessesAreEnded(t *testing.T) {
	// start runs a script that makes a file "up" once it is ready, and returns how
	// to end it; what comes back is how long that took.
	start := func(t *testing.T, script string) (dir string, end func() time.Duration) {
		t.Helper()
		dir = t.TempDir()
		c := command(t, "sh", "-c", "cd "+dir+"; "+script)
		c.cfg.KillAfter = time.Second
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
		if took := end(); took < time.Second {
			t.Errorf("took %v", took)
		}
		none(t, m)
	})
	t.Run("after_KillAfter_so_that_all_of_the_group_can_end_well", func(t *testing.T) {
		dir, end := start(t, `(trap 'sleep 0.05; echo bye >said; exit' TERM; >up; while :; do sleep 0.01; done) & wait`)
		end()
		if got := read(dir + "/said"); got != "bye" {
			t.Errorf("it said %q", got)
		}
	})
	t.Run("also_when_the_command_is_stopped", func(t *testing.T) {
		m := marker(t)
		_, end := start(t, `sleep `+m+` & >up; kill -STOP $!; kill -STOP $$; wait`)
		end()
		none(t, m)
	})
	t.Run("also_when_the_supervisor_is_stopped", func(t *testing.T) {
		m := marker(t)
		_, end := start(t, `kill -STOP $PPID; >up; sleep `+m)
		end()
		none(t, m)
	})
	t.Run("also_when_they_left_the_group", func(t *testing.T) {
		m := marker(t)
		_, end := start(t, `(setsid sh -c "trap '' TERM; sleep `+m+` & >up; wait; sleep `+m+`" & ); wait; sleep `+m)
		end()
		none(t, m)
	})
	t.Run("also_in_sessions_within_sessions", func(t *testing.T) {
		m := marker(t)
		_, end := start(t, `trap '' TERM; setsid sh -c "setsid sh -c \"sleep `+m+` & >up; wait; wait\" & kill -STOP \$\$" & wait; sleep `+m)
		end()
		none(t, m)
	})
	t.Run("also_when_the_command_has_just_begun", func(t *testing.T) {
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
	t.Run("in_the_background_when_the_command_ends", func(t *testing.T) {
		m := marker(t)
		began := time.Now()
		result(t, sh(t, `sleep `+m+` & (sleep `+m+` &) ; setsid sleep `+m+` & sh -c "trap '' TERM HUP; sleep `+m+`" & echo x`), "", "x")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		none(t, m)
	})
	t.Run("and_orphans_are_reaped_while_the_command_runs", func(t *testing.T) {
		result(t, sh(t, `for i in 1 2 3 4 5; do (sh -c 'exit 0' &) ; done; sleep 0.2
			grep -l "^PPid:[[:space:]]*$PPID$" /proc/[0-9]*/status 2>/dev/null | wc -l`), "", "1")
	})
}

func TestStopped(t *testing.T) {
	t.Run("command_is_named_in_one_warning_and_can_be_continued", func(t *testing.T) {
		var log strings.Builder
		// Its child lets it go on, twice.
		c := open(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Words: []string{"sh", "-c", `
			stopped() { until grep -q "^State:.T" /proc/$$/status; do sleep 0.01; done; }
			(for i in 1 2; do stopped; kill -CONT $$; done) &
			kill -STOP $$; kill -STOP $$; echo "$$"`}})
		pid, err := execute(t, c, "")
		if err != nil {
			t.Fatal(err)
		}
		want := `level=WARN msg="command is stopped and counts as running; kill -CONT continues it" task=t1 worker=w1 pid=` + pid + "\n"
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, want) {
			t.Errorf("log %q, want %q", got, want)
		}
	})
	t.Run("command_is_ended_by_a_time_limit", func(t *testing.T) {
		m := marker(t)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := sh(t, "sleep "+m+" & kill -STOP $$; wait").Execute(ctx, task.Execution{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		none(t, m)
	})
	t.Run("supervisor_is_named_in_a_warning_and_can_be_continued", func(t *testing.T) {
		var log strings.Builder
		logged := filepath.Join(t.TempDir(), "logged")
		write := writer(func(p []byte) (int, error) {
			_ = os.WriteFile(logged, nil, 0o600)
			return log.Write(p)
		})
		c := open(t, Config{Logger: slog.New(slog.NewTextHandler(write, nil)), Words: []string{"sh", "-c",
			"kill -STOP $PPID; until [ -e " + logged + " ]; do sleep 0.01; done; kill -CONT $PPID; echo $PPID"}})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		pid, err := c.Execute(ctx, task.Execution{Task: "t1", Worker: "w1"})
		if err != nil {
			t.Fatal(err)
		}
		want := `level=WARN msg="the command's supervisor is stopped, so the command counts as running; kill -CONT continues it" task=t1 worker=w1 pid=` + string(pid.Result) + "\n"
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, want) {
			t.Errorf("log %q, want %q", got, want)
		}
	})
	t.Run("supervisor_is_ended_by_a_time_limit_though_it_is_stopped_again_and_again", func(t *testing.T) {
		m := marker(t)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		done := make(chan error, 1)
		c := sh(t, "trap '' TERM; sleep "+m+" & while :; do kill -STOP $PPID; done")
		go func() {
			_, err := c.Execute(ctx, task.Execution{})
			done <- err
		}()
		select {
		case err := <-done:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
		case <-time.After(patience):
			t.Fatal("it runs on")
		}
		eventually(t, "all processes are gone", func() bool { return len(alive(m)) == 0 })
	})
	t.Run("supervisor_does_not_hide_the_command_which_is_found_by_its_environment", func(t *testing.T) {
		start := func(worker string) string {
			m := marker(t)
			c := exec.CommandContext(t.Context(), "sh", "-c", "setsid sleep "+m+" & setsid sleep "+m+"; sleep "+m)
			c.Env = append(os.Environ(), "TASK_ID=t1", "WORKER_ID="+worker)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			go c.Wait()
			eventually(t, "it runs", func() bool { return len(alive(m)) == 3 })
			return m
		}
		m, other := start("w1"), start("w12")
		killByName("t1", "w1")
		eventually(t, "all of it is gone", func() bool { return len(alive(m)) == 0 })
		if got := alive(other); len(got) != 3 {
			t.Errorf("of the other worker's processes %q are left, want all 3", got)
		}
		killByName("t1", "w12")
	})
	t.Run("child_is_not_taken_for_the_command", func(t *testing.T) {
		// An orphan becomes the supervisor's own child before it stops.
		result(t, sh(t, `(sh -c 'sleep 0.1; kill -STOP $$' &); sleep 0.3; echo x`), "", "x")
	})
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestSupervisor(t *testing.T) {
	t.Run("outlives_the_signals_that_the_command_sends", func(t *testing.T) {
		result(t, sh(t, "for s in ABRT TRAP SEGV BUS FPE ILL SYS USR1 USR2 ALRM PIPE TERM INT HUP QUIT TSTP; do kill -$s $PPID; done; echo x"), "", "x")
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run("ends_all_processes_when_the_worker_is_gone_by_"+sig.String(), func(t *testing.T) {
			m := marker(t)
			up := filepath.Join(t.TempDir(), "up")
			p := harness.Run(t, harness.Command{Path: self, Env: []string{programEnv + "=1"}, Args: []string{
				"sh", "-c", `trap '' TERM; (setsid sleep ` + m + ` &); sh -c "sleep ` + m + `" & >` + up + `; wait; sleep ` + m}})
			eventually(t, "the command is up", func() bool { _, err := os.Stat(up); return err == nil })
			p.Send(sig)
			p.Exit(128 + int(sig))
			eventually(t, "all processes are gone", func() bool { return len(alive(m)) == 0 })
		})
	}
	t.Run("has_a_name_of_its_own_in_ps", func(t *testing.T) {
		result(t, sh(t, "cat /proc/$PPID/comm; head -zn1 /proc/$PPID/cmdline | tr -d '\\0'"), "", "task-supervisor\ntask-supervisor")
	})
	t.Run("that_is_killed_takes_the_group_of_the_command_with_it", func(t *testing.T) {
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
			t.Error("a signal other than SIGKILL ended the supervisor")
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

func TestCannotStartWithoutDescriptors(t *testing.T) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	set := func(limit syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}
	c := command(t, "cat")
	for room := range 16 { // from none at all to nearly enough
		set(syscall.Rlimit{Cur: uint64(len(open) + room), Max: was.Max})
		_, err := execute(t, c, "x")
		set(was)
		if err != nil && !errors.Is(err, ErrCannotStart) {
			t.Errorf("%d more descriptors: %v", room, err)
		}
		if err == nil && room == 0 {
			t.Error("the limit had no effect")
		}
	}
	result(t, c, "x", "x")
}

func TestCannotStartWithoutProcesses(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: the limit is per user, and the user must run nothing else")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "program")
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.WriteFile(path, program, 0o755)); err != nil { // others may execute it
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), shortageEnv+"=1")
	user := uint32(54_000 + os.Getpid()%10_000)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: 54_000}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	count := make(map[string]int)
	for line := range strings.Lines(string(out)) {
		what := strings.Fields(line)[1]
		count[what]++
		if what == "exec" && !strings.HasSuffix(line, `"x", <nil>`+"\n") || strings.Contains(line, "while the command ran") ||
			what == "while" && !strings.Contains(line, `"", exit status`) {
			t.Error(line)
		}
	}
	if count["cannot:"] == 0 || count["exec"] == 0 || count["while"] == 0 || count["bomb()"] == 0 {
		t.Errorf("the limits were not around what it needs: %v:\n%s", count, out)
	}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		var stat syscall.Stat_t
		if syscall.Stat(path, &stat) == nil && stat.Uid == user {
			t.Errorf("left: %s %s", path, read(path+"/cmdline"))
		}
	}
}
