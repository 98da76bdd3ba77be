package cmdtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/lab/zktest"
)

// screen is what was written to a terminal so far.
type screen struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer

	keys *os.File // takes what a person types
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) shows(text string) func() (bool, string) {
	return func() (bool, string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(s.text.String(), text), s.text.String()
	}
}

// openTerminal opens a terminal, and returns its two sides: the person's and the program's.
func openTerminal(t *testing.T) (master, side *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if side, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { side.Close() })
	resize(t, master, 160)
	return master, side
}

func resize(t *testing.T, terminal *os.File, columns uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 25, Col: columns}); err != nil {
		t.Fatal(err)
	}
}

// terminal returns the program's side of a new terminal.
func terminal(t *testing.T) (side *os.File, shown *screen) {
	t.Helper()
	master, side := openTerminal(t)
	shown = &screen{keys: master}
	var reading sync.WaitGroup
	reading.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			shown.Write(b[:n])
		}
	})
	t.Cleanup(func() { side.Close(); reading.Wait() })
	return side, shown
}

func TestRunSaysOnATerminalWhyNoTaskIsExecuted(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, needsViewer)
	svc := newService(t)(t)
	side, shown := terminal(t)
	var out bytes.Buffer
	c := svc.command("run", "0", "x", "0")
	c.Stdout, c.Stderr = &out, side
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	see := func(text string) {
		t.Helper()
		zktest.Eventually(t, text, shown.shows(text))
	}
	see("0 done, 0 failed, 3 under way  (there is no leader: start a master)")
	svc.master()
	see("(there is no worker: start one)")
	svc.manual.Create("/drain/w", "")
	svc.manual.CreateEphemeral("/workers/w", "")
	see("(the only worker is drained: client undrain w)")
	svc.worker()
	if err := c.Wait(); c.ProcessState.ExitCode() != 1 {
		t.Errorf("client: %v", err)
	}
	see("1 of 3 tasks failed")
	if out.String() != "0\n0\n" {
		t.Errorf("stdout %q", &out)
	}
}

// frames returns the bars that were drawn on a terminal, one after the other.
func frames(s *screen) []string {
	_, text := s.shows("")()
	return strings.Split(text, "\r\x1b[K")[1:]
}

func TestRunProgressBar(t *testing.T) {
	t.Parallel()
	start := newService(t)
	begin := func(t *testing.T, svc *service, in string, side *os.File, args ...string) *exec.Cmd {
		t.Helper()
		c := svc.command(append([]string{"run", "--log-level", "error"}, args...)...)
		c.Stderr = side
		if in != "" {
			c.Stdin = strings.NewReader(in)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Process.Kill(); c.Wait() })
		return c
	}
	t.Run("is_never_wider_than_a_terminal_that_is_resized", func(t *testing.T) {
		zktest.OpenOnly(t, needsViewer)
		svc := start(t)
		side, shown := terminal(t)
		resize(t, side, 80)
		begin(t, svc, "", side, "0", "0", "0")
		zktest.Eventually(t, "a bar of 80 columns", shown.shows("[                    ]  0 done, 0 failed, 3 under way"))
		zktest.Eventually(t, "with the cause", shown.shows("\x1b[K0% of 3  0 done, 0 failed, 3 under way  (there is no leader: start a master)"))
		for _, columns := range []int{40, 20} {
			resize(t, side, uint16(columns))
			zktest.Eventually(t, "it becomes narrower", func() (bool, string) {
				all := frames(shown)
				return len(all[len(all)-1]) < columns, fmt.Sprintf("%q", all)
			})
		}
		widest := 80
		for _, f := range frames(shown) {
			for _, columns := range []int{40, 20} {
				if len(f) < columns && len(f) > 0 {
					widest = min(widest, columns)
				}
			}
			if len(f) >= widest {
				t.Errorf("%d columns, after some of %d: %q", len(f), widest, f)
			}
		}
	})
	t.Run("shows_the_total_when_the_input_has_ended_and_an_ETA_when_a_task_is_done", func(t *testing.T) {
		svc := start(t)
		side, shown := terminal(t)
		c := begin(t, svc, strings.Repeat("0.5\n", 20), side)
		zktest.Eventually(t, "the total", shown.shows("0% of 20  [                    ]  0 done, 0 failed, 20 under way"))
		if ok, text := shown.shows("ETA")(); ok {
			t.Errorf("%q", text)
		}
		svc.master()
		svc.worker("--slots", "10")
		zktest.Eventually(t, "an ETA", shown.shows("ETA "))
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
		zktest.Eventually(t, "nothing is left on the terminal", func() (bool, string) {
			all := frames(shown)
			return all[len(all)-1] == "", all[len(all)-1]
		})
	})
	t.Run("counts_finished_tasks_that_are_not_printed_yet", func(t *testing.T) {
		svc := start(t)
		side, shown := terminal(t)
		svc.master()
		svc.worker("--slots", "2")
		begin(t, svc, "60\n"+strings.Repeat("0\n", 20), side)
		zktest.Eventually(t, "20 of 21", shown.shows("95% of 21  [################### ]  20 done, 0 failed, 1 under way"))
	})
	t.Run("shows_from_the_start_how_many_lines_a_file_has", func(t *testing.T) {
		svc := start(t)
		side, shown := terminal(t)
		begin(t, svc, "", side, "--window", "5", "--file", lines(t, 500, "0"))
		zktest.Eventually(t, "the total", shown.shows("0% of 500  [                    ]  0 done, 0 failed, 5 under way"))
	})
	t.Run("is_not_drawn_by_a_process_in_the_background", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--slots", "2")
		for script, drawn := range map[string]bool{`set -m; "$0" "$@" & wait`: false, `set -m; "$0" "$@"; true`: true} {
			side, shown := terminal(t)
			c := exec.CommandContext(t.Context(), "/bin/sh", "-c", script, filepath.Join(svc.dir, "client"), "run", "--zk", svc.root, "1")
			c.Stdin, c.Stdout, c.Stderr = side, side, side
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if out := c.Run(); out != nil {
				t.Fatal(out)
			}
			zktest.Eventually(t, "the result", shown.shows("0\r\n"))
			if ok, text := shown.shows("1 under way")(); ok != drawn {
				t.Errorf("%s: %q", script, text)
			}
		}
	})
	t.Run("on_a_stopped_terminal_stops_no_run", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--slots", "8")
		person, side := openTerminal(t)
		if _, err := person.WriteString("\x13"); err != nil {
			t.Fatal(err)
		}
		c := svc.startTo(side.Name(), "client", append([]string{"run", "--log-level", "debug"}, slices.Repeat([]string{"0"}, 500)...)...)
		c.Exit(0)
		if n := len(c.Stdout.Lines()); n != 500 {
			t.Errorf("%d results", n)
		}
	})
}
