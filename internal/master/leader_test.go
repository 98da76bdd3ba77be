package master

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/task"
)

// TestMerge lists names that are none of a task or a worker.
func TestMerge(t *testing.T) {
	h, connect := tree(t)
	j := new(journal)
	l := still(harness.Open(t, connect), h, slog.New(slog.NewTextHandler(j, nil)))
	id, long := task.NewID(), strings.Repeat("x", task.MaxID+1)
	h.CreateEphemeral("/workers/w", "")
	l.handle(sched.DrainsListed{})
	for number := range int64(2) {
		l.mergeTasks(listing{names: []string{"-t", id}, number: number + 1})
		l.mergeWorkers(listing{names: []string{long, "w"}, number: number + 1})
	}
	if !l.sched.Knows("w") || l.sched.Knows(long) {
		t.Errorf("knows w: %t, a name of %d bytes: %t", l.sched.Knows("w"), len(long), l.sched.Knows(long))
	}
	if err := l.readWorkers([]string{"w"}); err != nil {
		t.Fatal(err)
	}
	if d := l.sched.Decide(time.Now()); len(d.Moves) != 1 || len(d.ReadTasks)+len(d.ReadWorkers) != 0 {
		t.Errorf("decides %+v", d)
	}
	for _, path := range []string{"/tasks/-t", "/workers/xxx"} {
		if n := strings.Count(j.String(), path); n != 1 {
			t.Errorf("%s is told %d times:\n%s", path, n, j)
		}
	}
}

// TestWhenItLists asks a leader when it is to list and to turn.
func TestWhenItLists(t *testing.T) {
	now := time.Now()
	later := now.Add(time.Hour)
	begin := func() *leader {
		l := &leader{sched: sched.New(0), tasks: newLister("/tasks", nil, nil), workers: newLister("/workers", nil, nil)}
		l.tasks.pace = pace{from: now, last: now}
		l.workers.pace = l.tasks.pace
		return l
	}
	is := func(t *testing.T, what string, got, want time.Time) {
		t.Helper()
		if !got.Equal(want) {
			t.Errorf("%s: after %v, want %v", what, got.Sub(now), want.Sub(now))
		}
	}
	t.Run("lists tasks rarely while every worker has plenty to do", func(t *testing.T) {
		l := begin()
		is(t, "/tasks", l.from(l.tasks), now.Add(plentyPause))
		is(t, "/workers", l.from(l.workers), now)
		l.tasks.pace.from = later
		is(t, "/tasks after a long listing", l.from(l.tasks), later)
	})
	t.Run("lists tasks soon while a worker may need more", func(t *testing.T) {
		l := begin()
		l.handle(sched.WorkersListed{IDs: []string{"w"}})
		l.handle(sched.WorkerRead{ID: "w", Session: 1})
		is(t, "/tasks", l.from(l.tasks), now)
	})
	t.Run("wakes when the first listing or decision is due", func(t *testing.T) {
		l := begin()
		is(t, "/workers is due first", l.wake(sched.Decision{}), now)
		l.workers.pace.from = later
		is(t, "/tasks is due first", l.wake(sched.Decision{}), now.Add(plentyPause))
		is(t, "a decision is due before", l.wake(sched.Decision{Wake: now}), now)
		l.tasks.busy = true
		is(t, "/tasks is being listed", l.wake(sched.Decision{}), later)
		l.workers.due = false
		if at := l.wake(sched.Decision{}); !at.IsZero() {
			t.Errorf("nothing is due: after %v", at.Sub(now))
		}
	})
	t.Run("lists not before the pause is over, and not twice at once", func(t *testing.T) {
		l := begin()
		l.tasks.pace.from, l.workers.busy = later, true
		if err := l.list(); err != nil || l.tasks.number != 0 || l.workers.number != 0 {
			t.Errorf("%v; it began listing %d of /tasks and %d of /workers", err, l.tasks.number, l.workers.number)
		}
		l.tasks.pace.from = time.Time{}
		l.tasks.pace.last = time.Time{}
		if err := l.list(); err != nil || l.tasks.number != 1 || l.tasks.due {
			t.Errorf("%v; it began listing %d of /tasks", err, l.tasks.number)
		}
	})
}

// TestTurn has a leader turn once.
func TestTurn(t *testing.T) {
	begin := func(t *testing.T) (*leader, *zktest.ManualClient, *zktest.Proxy) {
		h, connect := tree(t)
		proxy, via := zktest.Via(t, connect)
		submit(h, "t1")
		h.CreateEphemeral("/workers/w", "t1")
		l := still(harness.Open(t, via), h, harness.Logger(t))
		if err := l.watchTrees(); err != nil {
			t.Fatal(err)
		}
		turnUntilQuiet(t, l)
		return l, h, proxy
	}
	t.Run("takes what a worker committed amid a listing for no withdrawal", func(t *testing.T) {
		l, h, proxy := begin(t)
		l.tasks.due, l.tasks.pace = true, pace{}
		var d sched.Decision
		var err error
		during(t, proxy, zktest.OpGetChildren, "/tasks", func() { d, err = l.turn(false) }, func() {
			finish(h, "w", "t1")
			h.Delete("/tasks/t1")
		})
		if err != nil || len(d.Moves) > 0 || !slices.Equal(d.ReadWorkers, []string{"w"}) {
			t.Errorf("%v; decides %+v", err, d)
		}
	})
	t.Run("lists nothing while it may not decide before it has read", func(t *testing.T) {
		l, _, _ := begin(t)
		l.tasks.due, l.tasks.pace = true, pace{}
		before := l.tasks.number
		if _, err := l.turn(true); err != nil || l.tasks.number != before {
			t.Errorf("%v; it listed", err)
		}
		if _, err := l.turn(false); err != nil || l.tasks.number != before+1 {
			t.Errorf("%v; it did not list afterwards", err)
		}
	})
	t.Run("lists tasks while many are assigned, and else is told of each", func(t *testing.T) {
		l, h, proxy := begin(t)
		comes := func(id string) (listings int) {
			t.Helper()
			proxy.Seen()
			submit(h, id)
			zktest.Eventually(t, "the leader knows "+id, func() (bool, string) {
				turnUntilQuiet(t, l)
				return l.sched.KnowsTask(id), ""
			})
			return count(proxy.Seen(), zktest.OpGetChildren)
		}
		asks := func(op zktest.Op) {
			t.Helper()
			proxy.Seen()
			zktest.Eventually(t, "the leader asks for "+op.String(), func() (bool, string) {
				turnUntilQuiet(t, l)
				return count(proxy.Seen(), op) > 0, ""
			})
			zktest.Eventually(t, "it has listed", func() (bool, string) {
				turnUntilQuiet(t, l)
				return !l.tasks.due && !l.tasks.busy, ""
			})
		}
		if n := comes("t2"); n > 0 {
			t.Errorf("%d listings for a task at first", n)
		}
		l.lately.assigned = many
		asks(zktest.OpUnwatch)
		if n := comes("t3"); n == 0 {
			t.Error("no listing for a task after many")
		}
		h.Delete("/tasks/t3")
		zktest.Eventually(t, "the leader misses t3", func() (bool, string) {
			turnUntilQuiet(t, l)
			return !l.sched.KnowsTask("t3"), ""
		})
		l.lately.since = time.Time{}
		asks(zktest.OpAddWatch)
		if n := comes("t4"); n > 0 {
			t.Errorf("%d listings for a task after some quiet", n)
		}
		h.Delete("/tasks/t4")
		zktest.Eventually(t, "the leader is told of the end of t4", func() (bool, string) {
			turnUntilQuiet(t, l)
			return !l.sched.KnowsTask("t4"), ""
		})
	})
	t.Run("wants another listing for a task that none has named yet", func(t *testing.T) {
		l, h, _ := begin(t)
		l.tasks.due = false
		h.Set("/workers/w", "no-such-task")
		if err := l.readWorkers([]string{"w"}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.turn(true); err != nil || !l.tasks.due {
			t.Errorf("%v; due: %t", err, l.tasks.due)
		}
	})
}
