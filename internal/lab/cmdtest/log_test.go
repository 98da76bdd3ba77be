package cmdtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// startTo starts a program whose stderr is a file.
func (sv *service) startTo(stderr, program string, args ...string) *harness.Child {
	sv.t.Helper()
	return harness.Run(sv.t, harness.Command{
		Path: "/bin/sh",
		Args: append([]string{"-c", `exec "$0" "$@" 2>>"$STDERR"`, filepath.Join(sv.dir, program), "--zk", sv.root, "--session-timeout", sv.timeout}, args...),
		Env:  []string{"STDERR=" + stderr},
	})
}

// fullPipe makes a pipe that takes nothing until the file that it returns is read.
func fullPipe(t *testing.T) (path string, r *os.File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	// What a pipe holds unless it is told otherwise, as one line.
	if _, err := r.WriteString(strings.Repeat("-", 64<<10-1) + "\n"); err != nil {
		t.Fatal(err)
	}
	return path, r
}

// stopped makes a terminal in which someone has typed Ctrl-S.
func stopped(t *testing.T) (path string) {
	t.Helper()
	master, side := openTerminal(t)
	if _, err := master.WriteString("\x13"); err != nil {
		t.Fatal(err)
	}
	return side.Name()
}

// TestBlockedLog has the leader's and the worker's log block, while they have much to
// say.
func TestBlockedLog(t *testing.T) {
	t.Parallel()
	start := newService(t)
	const (
		many    = 1000 // the leader and the worker say more of them than a pipe holds
		tooMany = 3000 // and of these more than is kept
	)
	for name, blocked := range map[string]func(t *testing.T) string{
		"that_is_a_stopped_terminal": stopped,
		"that_is_a_full_pipe":        func(t *testing.T) string { path, _ := fullPipe(t); return path },
		"that_is_a_full_disk":        func(*testing.T) string { return "/dev/full" },
	} {
		for _, format := range []string{"text", "json"} {
			t.Run(name+"_stops_nothing_in_"+format, func(t *testing.T) {
				sv := start(t)
				log := []string{"--log-level", "debug", "--log-format", format}
				leader := sv.startTo(blocked(t), "master", log...)
				zktest.Eventually(t, "a leader", func() (bool, string) { return sv.status().Leader != nil, "" })
				backup := sv.start("master")
				backup.Line(backup.Stderr, "backup")
				worker := sv.startTo(blocked(t), "worker", append(log, "--slots", "8")...)
				done := func(tasks int) {
					t.Helper()
					c := sv.pipe(strings.Repeat("0\n", tasks))
					c.Exit(0)
					if n := len(c.Stdout.Lines()); n != tasks {
						t.Errorf("%d results", n)
					}
				}
				done(many)
				if format == "text" {
					leader.Send(syscall.SIGTERM)
					leader.Exit(0)
				} else {
					leader.Send(syscall.SIGKILL)
				}
				backup.Line(backup.Stderr, " leader ")
				done(10)
				worker.Send(syscall.SIGTERM)
				worker.Exit(0)
			})
		}
	}
	t.Run("of_a_client_stops_no_batch", func(t *testing.T) {
		sv := start(t)
		sv.master()
		sv.worker("--slots", "8")
		pipe, _ := fullPipe(t)
		c := sv.startTo(pipe, "client", "run", "--log-level", "debug", "0", "0", "0")
		c.Exit(0)
		if got := c.Stdout.String(); got != "0\n0\n0" {
			t.Errorf("stdout %q", got)
		}
	})
	for _, format := range []string{"text", "json"} {
		t.Run("tells_when_it_is_read_again_how_much_is_missing_in_"+format, func(t *testing.T) {
			sv := start(t)
			sv.master()
			pipe, r := fullPipe(t)
			worker := sv.startTo(pipe, "worker", "--log-level", "debug", "--log-format", format, "--slots", "8")
			sv.pipe(strings.Repeat("0\n", tooMany)).Exit(0)
			worker.Send(syscall.SIGSTOP) // so that it ends while it is read
			worker.Send(syscall.SIGTERM)
			worker.Send(syscall.SIGCONT)
			in := bufio.NewScanner(r)
			in.Scan() // what filled the pipe
			lines, dropped := 0, 0
			for dropped == 0 && in.Scan() {
				lines++
				if format == "text" {
					if _, rest, ok := strings.Cut(in.Text(), "log lines dropped: stderr did not take them lines="); ok {
						fmt.Sscan(rest, &dropped)
					}
					continue
				}
				var rec struct {
					Level, Msg string
					Lines      int
				}
				if err := json.Unmarshal(in.Bytes(), &rec); err != nil {
					t.Fatalf("line %d: %v: %s", lines, err, in.Text())
				}
				if strings.HasPrefix(rec.Msg, "log lines dropped") {
					dropped = rec.Lines
				}
			}
			t.Logf("%d lines, then %d dropped", lines, dropped)
			worker.Exit(0)
		})
	}
}

// TestWatchdog has a call of the leader never return, though its session lives.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	start := newService(t)
	for _, format := range []string{"text", "json"} {
		t.Run("ends_a_leader_whose_loop_and_log_are_stuck_in_"+format, func(t *testing.T) {
			t.Parallel()
			sv := start(t)
			pipe, _ := fullPipe(t)
			proxy, root := zktest.Via(t, sv.root)
			direct := sv.root
			sv.root = root
			leader := sv.startTo(pipe, "master", "--log-format", format)
			sv.root = direct
			zktest.Eventually(t, "a leader", func() (bool, string) { return sv.status().Leader != nil, "" })
			backup := sv.master()
			lost := proxy.Lose(zktest.OpMulti, 1, zktest.Naming("/workers/"))
			sv.worker()
			c := sv.pipe("0\n0\n")
			<-lost
			leader.Exit(1)
			backup.Line(backup.Stderr, " leader ")
			c.Exit(0)
		})
	}
}
