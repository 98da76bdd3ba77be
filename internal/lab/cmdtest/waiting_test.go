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

// The client waits where no program can execute its task. Its log is no terminal.
func TestWaitingClient(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, needsViewer)
	start := newService(t)
	for name, begin := range map[string]func(svc *service) *harness.Child{
		"run": func(svc *service) *harness.Child { return svc.start("client", "run", "0") },
		"wait": func(svc *service) *harness.Child {
			return svc.start("client", "wait", svc.submit("0")[0], "--log-level", "info")
		},
		"without_a_command": func(svc *service) *harness.Child { return svc.start("client", "--count", "1", "--max-sleep", "0s") },
	} {
		t.Run(name+"_logs_what_is_missing_and_when_tasks_can_be_executed", func(t *testing.T) {
			svc := start(t)
			c := begin(svc)
			c.Line(c.Stderr, `WRN no task can be done tasks=1 missing="a leader: start a master; a worker: start one"`)
			svc.master()
			c.Line(c.Stderr, `missing="a worker: start one"`)
			svc.worker()
			c.Exit(0)
			if n := logged(c, "WRN tasks can be done again"); n != 1 || logged(c, "no task can be done") != 2 {
				t.Errorf("stderr %s", c.Stderr)
			}
		})
	}
}

// Programs that have nothing to do send ZooKeeper three pings in a session timeout, which is 4 s here.
// With the answers that makes about 8 wake-ups a second of a process's threads.
func TestIdlePrograms(t *testing.T) {
	t.Parallel()
	svc := newService(t)(t)
	svc.timeout = "4s"
	svc.master()
	w := svc.worker()
	clients := map[string]*harness.Child{
		"run":  svc.start("client", "run", "3600", "--log-level", "info"),
		"wait": svc.start("client", "wait", svc.submit("3600")[0], "--log-level", "info"),
	}
	programs := map[string]*harness.Child{"worker": w, "backup": svc.master()}
	for name, c := range clients {
		c.Line(c.Stderr, "connected")
		programs["client "+name] = c
	}
	svc.tasks(2)
	const most = 25 // a second
	for name, p := range programs {
		t.Run(strings.ReplaceAll(name, " ", "_")+"_rarely_wakes_up", func(t *testing.T) {
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

// wakeUps returns how often the threads of a process have gone to sleep so far.
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
