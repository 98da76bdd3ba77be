//go:build !race

package cmdtest

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
)

// Most tasks end at once. A few take 0.7 s, so that the leader asks workers for the tasks that they have
// not begun. The server is paused now and then, for less than the session timeout. Each execution
// leaves a line.
func TestLongRunExecutesNothingTwice(t *testing.T) {
	const tasks = 10_000
	server := zktest.NewServer(t, zktest.Options{})
	svc := newServiceOn(t, server, "")
	svc.timeout = "10s"
	svc.master()
	executions := filepath.Join(t.TempDir(), "executions")
	for range 2 {
		svc.startTo(executions, "worker", "--slots", "8", "--log-level", "info")
	}
	in := filepath.Join(t.TempDir(), "in")
	var text strings.Builder
	for i := range tasks {
		payload := "0"
		if i%500 == 499 {
			payload = "0.7" // the tasks behind it are asked back
		}
		fmt.Fprintln(&text, payload)
	}
	writeFile(t, in, text.String())
	c := svc.start("client", "run", "--file", in)
	during(t, c, func() time.Duration { return rand.N(time.Second) }, func() {
		server.Pause()
		<-time.After(30*time.Millisecond + rand.N(570*time.Millisecond))
		server.Resume()
	})
	log, err := os.Open(executions)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	times := make(map[string]int)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if _, id, ok := strings.Cut(lines.Text(), " task="); ok && strings.Contains(lines.Text(), "task started") {
			times[id]++
		}
	}
	for id, n := range times {
		if n > 1 {
			t.Errorf("task %s was executed %d times", id, n)
		}
	}
	if len(times) != tasks {
		t.Errorf("%d executions are recorded of %d tasks", len(times), tasks)
	}
}
