package cmdtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

const (
	cannotStart   = "cannot start tasks, giving them back"
	canStartAgain = "can start tasks again"
)

// The program that a worker executes is spoiled while the worker is under load.
func TestBrokenWorker(t *testing.T) {
	t.Parallel()
	// No script: its interpreter opens it some time after it was executed.
	good := readFile(t, "/bin/sh")
	start := newService(t)
	// place writes a program beside another one, which may be running, and puts it there.
	place := func(path, text string) error {
		return errors.Join(os.WriteFile(path+".new", []byte(text), 0o755), os.Rename(path+".new", path))
	}
	for name, c := range map[string]struct {
		spoil, mend func(path string) error
		why         string
	}{
		"that_was_moved_away": {
			spoil: func(path string) error { return os.Rename(path, path+".away") },
			mend:  func(path string) error { return os.Rename(path+".away", path) },
			why:   "no such file or directory",
		},
		"that_may_not_be_executed": {
			spoil: func(path string) error { return os.Chmod(path, 0o644) },
			mend:  func(path string) error { return os.Chmod(path, 0o755) },
			why:   "permission denied",
		},
		"without_a_line_that_names_its_interpreter": {
			spoil: func(path string) error { return place(path, "echo 0\n") },
			why:   "exec format error",
		},
		"whose_interpreter_ends_in_a_carriage_return": {
			spoil: func(path string) error { return place(path, "#!/bin/sh\r\necho 0\r\n") },
			why:   "no such file or directory",
		},
		"that_is_being_written": {
			spoil: func(path string) error {
				err := place(path, good)
				f, open := os.OpenFile(path, os.O_WRONLY, 0)
				t.Cleanup(func() { f.Close() })
				return errors.Join(err, open)
			},
			why: "text file busy",
		},
	} {
		t.Run("fails_no_task_for_a_program_"+name, func(t *testing.T) {
			svc := start(t)
			svc.master()
			path := filepath.Join(t.TempDir(), "c")
			if err := place(path, good); err != nil {
				t.Fatal(err)
			}
			broken, healthy := svc.worker("--slots", "2", "--exec", path+` -c "read x; echo 0"`), svc.worker()
			client := svc.start("client", append([]string{"run"}, slices.Repeat([]string{"0.02"}, 100)...)...)
			client.Line(client.Stdout, "0")
			if err := c.spoil(path); err != nil {
				t.Fatal(err)
			}
			client.Exit(0)
			if got := client.Stdout.Lines(); len(got) != 100 || slices.ContainsFunc(got, func(s string) bool { return s != "0" }) {
				t.Errorf("%d results: %q", len(got), got)
			}
			if line := broken.Line(broken.Stderr, cannotStart); !strings.Contains(line, path+": ") || !strings.Contains(line, c.why) {
				t.Error(line)
			}
			if c.mend == nil {
				return
			}
			healthy.Kill()
			client = svc.start("client", "run", "1", "2", "3") // has to wait for it
			if err := c.mend(path); err != nil {
				t.Fatal(err)
			}
			client.Exit(0)
			if n, m := logged(broken, cannotStart), logged(broken, canStartAgain); n != 1 || m != 1 {
				t.Errorf("the fault is logged %d times, its end %d times", n, m)
			}
		})
	}
	t.Run("fails_no_task_where_no_more_processes_can_be_had", func(t *testing.T) {
		zktest.OpenOnly(t, "another user runs the worker, who may not read its key")
		setpriv, err := exec.LookPath("setpriv")
		if err != nil || os.Getuid() != 0 {
			t.Skip("needs root, for a user with no other processes, and util-linux:", err)
		}
		svc := start(t)
		m := svc.master()
		if err := errors.Join(os.Chmod(filepath.Dir(svc.dir), 0o755), os.Chmod(svc.dir, 0o755)); err != nil { // for that user
			t.Fatal(err)
		}
		worker := func(processes int) *harness.Child {
			p := harness.Run(t, harness.Command{Path: setpriv, Args: []string{
				"--reuid", fmt.Sprint(54321 + os.Getpid()), "--clear-groups", "prlimit", fmt.Sprint("--nproc=", processes),
				filepath.Join(svc.dir, "worker"), "--zk", svc.root, "--slots", "8", "--exec", "cat"}})
			p.Line(p.Stderr, "registered")
			return p
		}
		w := worker(24) // some of the slots find enough
		client := svc.run(strings.Repeat("x\n", 24))
		w.Line(w.Stderr, cannotStart)
		svc.worker("--exec", "cat")
		client.Exit(0)
		if got := client.Stdout.Lines(); len(got) != 24 || slices.ContainsFunc(got, func(s string) bool { return s != "x" }) {
			t.Errorf("%d results: %q", len(got), got)
		}
		if n := logged(m, "lost with"); n != 0 {
			t.Errorf("%d losses", n)
		}
	})
}
