package cmdtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/zktest"
)

// screen is a terminal that nobody looks at: what was written to it, so far.
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

// openTerminal makes a terminal: the person's side, and the program's.
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

func TestRunProgress(t *testing.T) {
	sv := newService(t)(t)
	side, shown := terminal(t)
	var out bytes.Buffer
	c := exec.CommandContext(t.Context(), filepath.Join(sv.dir, "client"), "run", "--zk", sv.root, "0", "x", "0")
	c.Stdout, c.Stderr = &out, side
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	see := func(text string) {
		t.Helper()
		zktest.Eventually(t, text, shown.shows(text))
	}
	see("0 done, 0 failed, 3 under way  (there is no leader: start a master)")
	sv.master()
	see("(there is no worker: start one)")
	sv.worker()
	if err := c.Wait(); c.ProcessState.ExitCode() != 1 {
		t.Errorf("client: %v", err)
	}
	see("1 of 3 tasks failed")
	if out.String() != "0\n0\n" {
		t.Errorf("stdout %q", &out)
	}
}
