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
func (svc *service) startTo(stderr, program string, args ...string) *harness.Child {
	svc.t.Helper()
	return harness.Run(svc.t, harness.Command{
		Path: "/bin/sh",
		Args: append([]string{"-c", `exec "$0" "$@" 2>>"$STDERR"`, filepath.Join(svc.dir, program), "--zk", svc.root, "--session-timeout", svc.timeout}, args...),
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
	// So much fills a pipe of the default size. It is one line.
	if _, err := r.WriteString(strings.Repeat("-", 64<<10-1) + "\n"); err != nil {
		t.Fatal(err)
	}
	return path, r
}

// stopped returns the path of a terminal in which someone has typed Ctrl-S.
func stopped(t *testing.T) (path string) {
	t.Helper()
	master, side := openTerminal(t)
	if _, err := master.WriteString("\x13"); err != nil {
		t.Fatal(err)
	}
	return side.Name()
}

// The logs of a leader and of a worker block while both write much.
func TestBlockedLog(t *testing.T) {
	t.Parallel()
	start := newService(t)
	const (
		many    = 1000 // the leader and the worker say more of them than a pipe holds
		tooMany = 3000 // and of these more than is kept
	)
	for name, blocked := range map[string]func(t *testing.T) string{
		"on_a_stopped_terminal": stopped,
		"on_a_full_pipe":        func(t *testing.T) string { path, _ := fullPipe(t); return path },
		"on_a_full_disk":        func(*testing.T) string { return "/dev/full" },
	} {
		for _, format := range []string{"text", "json"} {
			t.Run(name+"_stops_nothing_in_"+format, func(t *testing.T) {
				svc := start(t)
				log := []string{"--log-level", "debug", "--log-format", format}
				leader := svc.startTo(blocked(t), "master", log...)
				eventually(t, "a leader", func() (bool, string) { return svc.status().Leader != nil, "" })
				backup := svc.start("master")
				backup.Line(backup.Stderr, "backup")
				worker := svc.startTo(blocked(t), "worker", append(log, "--slots", "8")...)
				done := func(tasks int) {
					t.Helper()
					c := svc.run(strings.Repeat("0\n", tasks))
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
		svc := start(t)
		svc.master()
		svc.worker("--slots", "8")
		pipe, _ := fullPipe(t)
		c := svc.startTo(pipe, "client", "run", "--log-level", "debug", "0", "0", "0")
		c.Exit(0)
		if got := c.Stdout.String(); got != "0\n0\n0" {
			t.Errorf("stdout %q", got)
		}
	})
	for _, format := range []string{"text", "json"} {
		t.Run("says_how_many_lines_are_missing_when_it_is_read_again_in_"+format, func(t *testing.T) {
			svc := start(t)
			svc.master()
			pipe, r := fullPipe(t)
			worker := svc.startTo(pipe, "worker", "--log-level", "debug", "--log-format", format, "--slots", "8")
			svc.run(strings.Repeat("0\n", tooMany)).Exit(0)
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

// A call of the leader never returns, though its session lives.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	start := newService(t)
	for _, format := range []string{"text", "json"} {
		t.Run("ends_a_leader_whose_loop_and_log_are_stuck_in_"+format, func(t *testing.T) {
			t.Parallel()
			svc := start(t)
			pipe, _ := fullPipe(t)
			proxy, behind := svc.via()
			leader := behind.startTo(pipe, "master", "--log-format", format)
			eventually(t, "a leader", func() (bool, string) { return svc.status().Leader != nil, "" })
			backup := svc.master()
			lost := proxy.Lose(zktest.OpMulti, 1, zktest.Naming("/workers/"))
			svc.worker()
			c := svc.run("0\n0\n")
			<-lost
			leader.Exit(1)
			backup.Line(backup.Stderr, " leader ")
			c.Exit(0)
		})
	}
}
