package cmdtest

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/client"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/master"
	"taskkeeper/internal/session"
	"taskkeeper/internal/worker"
)

// TestTasksLeaveNoWatchAndNoMemoryBehind runs 4,000 tasks through one client, one worker and one master,
// all in this process: a watch that nobody removes would leave a channel here and an entry at the server.
func TestTasksLeaveNoWatchAndNoMemoryBehind(t *testing.T) {
	const slots = 16
	// At rest the leader watches its candidate, /master and /drain, and all below /tasks and
	// /workers. Those two, those of the workers, each on itself, and those of the three
	// sessions on /access are for good, which the server counts twice.
	const watches = 3 + 2*2 + 2*slots + 2*3
	server := zktest.NewServer(t, zktest.Options{})
	address, err := session.ParseAddress(zktest.Chroot(t, server, "/leak"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := session.Config{Address: address, TLS: server.Identity("admin"), Timeout: 20 * time.Second}
	ctx, stop := context.WithCancel(context.Background())
	var roles sync.WaitGroup
	defer roles.Wait()
	defer stop()
	c := client.New(client.Config{})
	for _, role := range []session.Role{
		func(ctx context.Context, s *session.Session) error { return master.Run(ctx, s, master.Config{}) },
		func(ctx context.Context, s *session.Session) error {
			return worker.Run(ctx, s, worker.Config{Slots: slots})
		},
		c.Serve,
	} {
		roles.Go(func() {
			if err := session.Run(ctx, cfg, time.Minute, role); err != nil {
				t.Error(err)
			}
		})
	}

	do := func(n int) {
		var callers sync.WaitGroup
		work := make(chan struct{})
		for range 200 {
			callers.Go(func() {
				for range work {
					if r, err := c.Do(ctx, []byte("0")); err != nil || string(r.State.Text) != "0" {
						t.Errorf("%+v, %v", r, err)
					}
				}
			})
		}
		for range n {
			work <- struct{}{}
		}
		close(work)
		callers.Wait()
	}
	type usage struct {
		goroutines, heap int
	}
	measure := func() (u usage) {
		zktest.Eventually(t, "the server has no watch but those of roles at rest", func() (bool, string) {
			answer, err := server.Ask("mntr")
			if err != nil {
				return false, err.Error()
			}
			for line := range strings.Lines(answer) {
				if v, ok := strings.CutPrefix(line, "zk_watch_count"); ok {
					n, err := strconv.Atoi(strings.TrimSpace(v))
					return err == nil && n == watches, line
				}
			}
			return false, answer
		})
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u.goroutines, u.heap = runtime.NumGoroutine(), int(m.HeapAlloc)
		return u
	}

	do(500)
	before := measure()
	do(4000)
	after := measure()
	t.Logf("after 500 tasks %+v, after 4,000 more %+v", before, after)
	if after.goroutines > before.goroutines+10 {
		t.Errorf("goroutines: %d, then %d", before.goroutines, after.goroutines)
	}
	if after.heap > before.heap+1<<20 { // 300 bytes a task would show
		t.Errorf("heap: %d bytes, then %d", before.heap, after.heap)
	}
}
