package cmdtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// TestStall is a client that waits where nobody can do its task, with a log that is no
// terminal.
func TestStall(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, blind)
	start := newService(t)
	for name, begin := range map[string]func(sv *service) *harness.Child{
		"run": func(sv *service) *harness.Child { return sv.start("client", "run", "0") },
		"wait": func(sv *service) *harness.Child {
			s := sv.start("client", "submit", "0", "--log-level", "error")
			s.Exit(0)
			return sv.start("client", "wait", s.Stdout.Lines()[0], "--log-level", "info")
		},
		"without_a_command": func(sv *service) *harness.Child { return sv.start("client", "--count", "1", "--max-sleep", "0s") },
	} {
		t.Run("of_a_client_"+name+"_is_told_and_so_is_its_end", func(t *testing.T) {
			sv := start(t)
			c := begin(sv)
			c.Line(c.Stderr, `WRN no task can be done tasks=1 missing="a leader: start a master; a worker: start one"`)
			sv.master()
			c.Line(c.Stderr, `missing="a worker: start one"`)
			sv.worker()
			c.Exit(0)
			if n := logged(c, "WRN tasks can be done again"); n != 1 || logged(c, "no task can be done") != 2 {
				t.Errorf("stderr %s", c.Stderr)
			}
		})
	}
}

// TestIdle counts how often programs wake up that have nothing to do. ZooKeeper wants to
// hear from each three times in a session timeout, which here is 4 s: with the answers
// that makes some 8 wake-ups a second of the process's threads.
func TestIdle(t *testing.T) {
	t.Parallel()
	sv := newService(t)(t)
	sv.timeout = "4s"
	sv.master()
	w := sv.worker()
	s := sv.start("client", "submit", "3600", "--log-level", "error")
	s.Exit(0)
	clients := map[string]*harness.Child{
		"run":  sv.start("client", "run", "3600", "--log-level", "info"),
		"wait": sv.start("client", "wait", s.Stdout.Lines()[0], "--log-level", "info"),
	}
	programs := map[string]*harness.Child{"worker": w, "backup": sv.master()}
	for name, c := range clients {
		c.Line(c.Stderr, "connected")
		programs["client "+name] = c
	}
	zktest.Eventually(t, "both are submitted", func() (bool, string) {
		n := len(sv.hand.Children("/tasks"))
		return n == 2, fmt.Sprint(n)
	})
	const most = 25 // a second
	for name, p := range programs {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			// What it does at first, it does a few times: it may take several looks.
			zktest.Eventually(t, "is quiet", func() (bool, string) {
				before, began := wakeUps(t, p.Pid()), time.Now()
				time.Sleep(2 * time.Second)
				rate := float64(wakeUps(t, p.Pid())-before) / time.Since(began).Seconds()
				return rate <= most, fmt.Sprintf("%.0f wake-ups a second", rate)
			})
		})
	}
}

var voluntary = regexp.MustCompile(`(?m)^voluntary_ctxt_switches:\s+(\d+)$`)

// wakeUps is how often the threads of a process have gone to sleep so far.
func wakeUps(t *testing.T, pid int) (n int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads of %d: %v, %v", pid, threads, err)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		if m := voluntary.FindSubmatch(status); m != nil {
			count, _ := strconv.Atoi(string(m[1]))
			n += count
		}
	}
	return n
}
