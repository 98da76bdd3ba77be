//go:build !race

package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/client"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/master"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
	"taskkeeper/internal/worker"
)

// role runs a role on one session after the other, until the test ends or it
// is stopped.
func role(t *testing.T, connect string, cfg session.Config, do session.Role) (stop func()) {
	t.Helper()
	cfg.Address = harness.SessionConfig(t, connect).Address
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := session.Run(ctx, cfg, 20*time.Second, do); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// TestReconnectRun judges a real run, in which the leader's session, a worker's
// and the client's are ended, and a worker leaves.
func TestReconnectRun(t *testing.T) {
	const tasks, chroot = 400, "/app"
	server := zktest.NewServer(t, zktest.Options{})
	connect := server.Addr() + chroot
	cfg := session.Config{Timeout: 5 * time.Second}

	var masters, workers []func()
	for range 2 {
		masters = append(masters, role(t, connect, cfg, func(ctx context.Context, s *session.Session) error {
			return master.Run(ctx, s, master.Config{})
		}))
	}
	for range 3 {
		workers = append(workers, role(t, connect, cfg, func(ctx context.Context, s *session.Session) error {
			return worker.Run(ctx, s, worker.Config{Slots: 2})
		}))
	}
	c := client.New(client.Config{})
	stopClient := role(t, connect, cfg, c.Serve)

	var all sync.WaitGroup
	places := make(chan struct{}, 50)
	answered := make(chan struct{}, tasks)
	all.Go(func() {
		for range tasks {
			places <- struct{}{}
			all.Go(func() {
				r, err := c.Do(t.Context(), fmt.Appendf(nil, "%.3f", 0.02*rand.Float64()))
				if err != nil || r.State.Phase != task.Done {
					t.Errorf("task %s: %s, %v", r.ID, r.State.Phase, err)
				}
				<-places
				answered <- struct{}{}
			})
		}
	})
	after := func(n int) {
		t.Helper()
		for range n {
			select {
			case <-answered:
			case <-time.After(20 * time.Second):
				t.Fatal("no answers any more")
			}
		}
	}
	hand := zktest.Conn(t, connect)
	expire := func(dir string, which func([]string) string) {
		t.Helper()
		zktest.Eventually(t, "one to expire in "+dir, func() (bool, string) {
			names := hand.Children(dir)
			if len(names) == 0 {
				return false, "nobody"
			}
			stat, ok := hand.Stat(dir + "/" + which(names))
			if ok {
				zktest.Expire(t, server.Addr(), stat.EphemeralOwner)
			}
			return ok, "it is gone"
		})
	}
	lowest := func(names []string) (low string) {
		for _, name := range names {
			if n, _ := number(name); low == "" {
				low = name
			} else if m, _ := number(low); n < m {
				low = name
			}
		}
		return low
	}
	busy := func(names []string) string {
		for _, name := range names {
			if list, _ := hand.Get(task.WorkerPath(name)); list != "" {
				return name
			}
		}
		return names[0]
	}
	after(50)
	expire(task.WorkersDir, busy)
	after(50)
	expire(task.MasterDir, lowest)
	after(50)
	expire(task.TasksDir, func(names []string) string { return names[0] })
	after(50)
	workers[0]()
	after(tasks - 4*50)
	all.Wait()
	stopClient()
	for _, stop := range append(workers, masters...) {
		stop()
	}
	hand.Close()

	txns, err := Read(server.DataDir())
	if err != nil {
		t.Fatal(err)
	}
	r := Check(Under(txns, chroot), Options{Finished: true})
	t.Log(r)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	// An execution or a resubmission more than what was asked for, at most, for
	// each slot and each task in flight.
	switch {
	case r.Created < tasks || r.Created > tasks+50,
		r.Done < tasks || r.Done > r.Created || r.Failed != 0 || r.Done+r.Withdrawn != r.Created,
		r.Assigned < r.Done || r.MostAssigned > 3,
		r.Losses > 2 || r.WorkersLost != 2 || r.Workers != 3*2+2,
		len(r.Terms) != 2 || r.Terms[0].Ended.IsZero() || r.Terms[1].FirstAssign.Before(r.Terms[0].Ended),
		r.Terms[0].Assigned+r.Terms[1].Assigned != r.Assigned+r.Returned:
		t.Errorf("this cannot be: %v, %d returned, terms %+v", r, r.Returned, r.Terms)
	}
	for _, o := range r.Orphans {
		if o.Again.Before(o.Gone) && !o.Again.IsZero() {
			t.Errorf("assigned again before it was lost: %+v", o)
		}
	}
}
