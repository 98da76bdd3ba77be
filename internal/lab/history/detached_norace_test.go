//go:build !race

package history

import (
	"errors"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// TestReconnectDetached judges a run with detached tasks while the leader changes. The client
// collects, retries and cancels some of them, and leaves the others to the leader.
func TestReconnectDetached(t *testing.T) {
	const tasks, retention = 60, 3 * time.Second
	s := newService(t, "", 0)
	s.retention = retention
	s.begin("")
	s.hand.Create(task.DataPath(task.NewID()), "a payload without a task")

	submit := func(payload string) string {
		id, err := s.client.Submit(t.Context(), task.NewID(), []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	var ids []string
	for i := range tasks {
		ids = append(ids, submit([]string{"short", bad, "0"}[i%3]))
		if i == tasks/2 {
			for _, candidate := range s.hand.Children(task.MasterDir) {
				stat, _ := s.hand.Stat(task.MasterDir + "/" + candidate)
				zktest.Expire(t, s.root, stat.EphemeralOwner)
			}
		}
	}
	var retried, collected int
	for i, id := range ids {
		r, err := s.client.Await(t.Context(), id)
		switch {
		case err == nil && r.State.Phase == task.Failed && i%2 == 0:
			err = s.client.Retry(t.Context(), id)
			retried++
		case err == nil && i%5 == 0:
			err = s.client.Collect(t.Context(), r)
			collected++
		case errors.Is(err, task.ErrNotFound): // on a slow machine the leader is faster
			err = nil
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.client.Cancel(t.Context(), submit(held)); err != nil {
		t.Fatal(err)
	}
	s.ready()
	s.stop()

	_, r := s.judge(Options{Finished: true, Retention: retention, Manual: []int64{s.hand.Session()}})
	created := s.created + tasks + 1
	if r.Created != created || r.Withdrawn != 1 || retried == 0 || r.Retried != retried || len(r.Terms) < 2 ||
		r.Done+r.Failed != created-1+retried || collected == 0 || r.Uncollected != tasks+1-collected {
		t.Errorf("%d created, %d retried, %d collected; judged: %+v", created, retried, collected, r)
	}
}
