package cmdtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// status returns a line of /proc/PID/status, by its name; "" if the process is gone.
func status(pid, name string) string {
	text, _ := os.ReadFile("/proc/" + pid + "/status")
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestExecInAContainer(t *testing.T) {
	t.Parallel()
	svc := newService(t)(t)
	svc.master()
	// The first task's command leaves a process behind in a session of its own, and
	// kills its supervisor, so that only process 1 can wait for that process.
	script := `case $1 in leave) setsid sleep "$2" & sleep 0.2; kill -9 $PPID; sleep 60;; *) echo "$1, process $$";; esac`
	nap := fmt.Sprintf("6.%d", os.Getpid())
	args := []string{"--pid", "--fork", "--mount-proc", filepath.Join(svc.dir, "worker"), "--zk", svc.root, "--session-timeout", svc.timeout,
		"--", "sh", "-c", script, "sh", "{}", nap}
	if os.Getuid() != 0 {
		args = append([]string{"--map-root-user"}, args...)
	}
	w := harness.Run(t, harness.Command{Path: "unshare", Args: args})
	w.Line(w.Stderr, "registered")
	first := svc.start("client", "run", "leave")
	first.Exit(1)
	first.Line(first.Stderr, "the supervisor of sh was ended: signal: killed")

	left := sleeping(nap)
	if len(left) != 1 {
		t.Fatalf("left behind: processes %q", left)
	}
	ids := strings.Fields(status(status(left[0], "PPid"), "NSpid")) // of its parent, in the namespaces
	if len(ids) != 2 || ids[1] != "1" {
		t.Fatalf("its parent's ids: %q", ids)
	}
	second := svc.start("client", "run", "work")
	second.Exit(0)
	if got := second.Stdout.String(); !strings.HasPrefix(got, "work, process ") {
		t.Errorf("stdout %q", got)
	}
	zktest.Eventually(t, "the process left behind is gone", func() (bool, string) {
		state := status(left[0], "State")
		return state == "", state
	})
}
