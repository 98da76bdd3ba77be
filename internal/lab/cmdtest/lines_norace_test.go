//go:build !race

package cmdtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
)

// 100,000 lines go through a run. Every 3 s a worker is killed, and another one starts. The output has
// each line once, in order.
func TestLongRunOfLinesWhileWorkersAreKilled(t *testing.T) {
	const lines = 100_000
	svc := newService(t)(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, "%de-9\n", i+1) // seconds to sleep: a payload of its own
	}
	writeFile(t, in, text.String())
	svc.master("--max-losses", "0") // on a busy machine one task may meet three of the kills
	worker := func() *harness.Child { return svc.worker("--slots", "16", "--log-level", "info") }
	workers := []*harness.Child{worker(), worker()}
	c := harness.Run(t, harness.Command{Path: "/bin/sh", Args: []string{"-c", `"$0" run --json --zk "$1" --file "$2" > "$3"`,
		filepath.Join(svc.dir, "client"), svc.root, in, out}})
	kills := 0
	during(t, c, func() time.Duration { return 3 * time.Second }, func() {
		kills++
		workers = append(workers, worker())
		workers[0].Send(syscall.SIGKILL)
		workers = workers[1:]
	})
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := json.NewDecoder(f)
	n := 0
	for ; d.More(); n++ {
		var l struct {
			Index           int
			Payload, Result string
			State           string
		}
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		if l.Index != n+1 || l.Payload != fmt.Sprintf("%de-9", n+1) || l.State != "done" || l.Result != "0" {
			t.Fatalf("line %d: %+v", n+1, l)
		}
	}
	if n != lines || kills == 0 {
		t.Errorf("%d lines of output for %d; %d workers were killed", n, lines, kills)
	}
	t.Logf("%d workers were killed", kills)
	svc.empty()
}

// during calls a function after each pause until a process ends, which must have status 0 within 5
// minutes.
func during(t *testing.T, p *harness.Child, pause func() time.Duration, do func()) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); {
		select {
		case <-p.Done():
			p.Exit(0)
			return
		case <-time.After(pause()):
			do()
		}
	}
	t.Fatalf("%s has not ended after 5 minutes", p)
}

// endsWell waits up to 5 minutes for the end of a process, which must have status 0.
func endsWell(t *testing.T, p *harness.Child) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if status, err := p.Wait(ctx); err != nil || status != 0 {
		t.Fatalf("%s: exit status %d, %v", p, status, err)
	}
}
