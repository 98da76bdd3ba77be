//go:build !race

package cmdtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// A client is killed five times amid 10,000 lines, and a worker each time. The last run prints each result once, in order; the joblog has each line once.
func TestLongRunThatIsResumed(t *testing.T) {
	const lines, kills = 10_000, 5
	svc := newService(t)(t)
	dir := t.TempDir()
	in, out, log, kept := filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "log"), filepath.Join(dir, "kept")
	var text, want strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, "%de-9\n", i+1) // seconds to sleep: a payload of its own
		fmt.Fprintf(&want, "%de-9\t0\n", i+1)
	}
	writeFile(t, in, text.String())
	svc.master("--max-losses", "0") // on a busy machine one task may meet three of the kills
	worker := func() *harness.Child { return svc.worker("--slots", "16") }
	workers := []*harness.Child{worker(), worker()}
	client := func() *harness.Child {
		return harness.Run(t, harness.Command{Path: "/bin/sh", Args: []string{"-c", `exec "$0" run --zk "$1" --session-timeout 2s --log-level error --file "$2" --tag --joblog "$3" --results "$4" --resume >"$5"`,
			filepath.Join(svc.dir, "client"), svc.root, in, log, kept, out}})
	}
	for kill := range kills {
		c := client()
		zktest.Eventually(t, "enough lines for the next kill", func() (bool, string) {
			info, err := os.Stat(log)
			const size = 50 // of a line, about
			return err == nil && info.Size() > int64((kill+1)*lines/(kills+1)*size), fmt.Sprint(info, err)
		})
		c.Send(syscall.SIGKILL)
		c.Exit(137)
		workers[0].Send(syscall.SIGKILL)
		workers = append(workers[1:], worker())
	}
	before, beforeLines := logFile(t, log)
	if beforeLines == lines || beforeLines != len(before) {
		t.Fatalf("the kills came too late: %d lines of the joblog, of %d tasks", beforeLines, len(before))
	}
	client().Exit(0)
	if got := readFile(t, out); got != want.String() {
		t.Errorf("output of %d bytes, want %d", len(got), want.Len())
	}
	last, n := logFile(t, log)
	if n != lines || len(last) != lines {
		t.Errorf("the joblog has %d lines, of %d tasks", n, len(last))
	}
	for i := range lines {
		seq := strconv.Itoa(i + 1)
		if e := last[seq]; e == nil || e[6] != "0" || e[7] != "0" || e[8] != fmt.Sprintf("%de-9", i+1) {
			t.Fatalf("Seq %s: %q", seq, e)
		}
		names, err := os.ReadDir(filepath.Join(kept, seq))
		if err != nil || fmt.Sprint(names) != "[- exit - stderr - stdout]" {
			t.Fatalf("results of %s: %v, %v", seq, names, err)
		}
		holds(t, filepath.Join(kept, seq, "stdout"), "0")
		holds(t, filepath.Join(kept, seq, "exit"), "0\n")
	}
	t.Logf("%d lines stood in the joblog when the last run began", beforeLines)
	svc.empty()
}
