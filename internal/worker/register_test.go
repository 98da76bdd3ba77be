package worker

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	parallel(t, "one_empty_ephemeral_znode_for_each_slot", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		p := host(t, harness.Open(t, root), 3, nil)
		for _, id := range d.workers(3) {
			stat := d.stat(task.WorkerPath(id))
			queue, host, pid := task.ParseWorkerName(id)
			if queue != "" || host == "" || pid != os.Getpid() || stat.DataLength != 0 || stat.EphemeralOwner != p.s.ID() {
				t.Errorf("%s: %d bytes, owner %#x, want %#x", id, stat.DataLength, stat.EphemeralOwner, p.s.ID())
			}
		}
	})
	parallel(t, "in_its_queue", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		hostAs(t, harness.Open(t, root), Config{Queue: "gpu"})
		worker := d.worker()
		if queue, _, pid := task.ParseWorkerName(worker); queue != "gpu" || pid != os.Getpid() {
			t.Errorf("worker %s", worker)
		}
		id := task.NewSubmitter("gpu").NewID()
		d.submit(id, "0")
		d.assign(worker, id)
		d.state(id, "done 0")
		if err := Run(t.Context(), nil, Config{Queue: "a.b"}); err == nil {
			t.Error("there is a queue a.b")
		}
	})
	parallel(t, "makes_the_permanent_znodes_that_are_missing", func(t *testing.T) {
		root := zktest.Connect(t)
		d := desk{ManualClient: zktest.Conn(t, root), t: t}
		host(t, harness.Open(t, root), 1, nil)
		d.worker()
		if got := d.Children("/"); !slices.Equal(got, []string{"data", "drain", "master", "members", "tasks", "workers"}) {
			t.Errorf("permanent znodes: %q", got)
		}
	})
	parallel(t, "comes_back_when_the_directory_was_removed", func(t *testing.T) {
		d, b, p, old := one(t)
		d.DeleteAll(task.WorkersDir)
		worker := d.worker()
		if worker == old {
			t.Error("the id was used again")
		}
		d.submit("t", "x")
		d.assign(worker, "t")
		d.state("t", "done x")
		b.began("t")
		p.leave()
	})
	parallel(t, "anew_when_its_znode_was_deleted_and_cancels_what_it_ran", func(t *testing.T) {
		d, b, p, old := one(t)
		d.submit("t", "wait")
		d.assign(old, "t")
		b.began("t")
		d.Delete(task.WorkerPath(old))
		b.ended("t")
		worker := d.worker()
		if worker == old {
			t.Error("the id was used again")
		}
		d.assign(worker, "t")
		b.began("t", "t")
		b.end("t", "x")
		d.state("t", "done x")
		d.free(worker)
		d.written("t", 1)
		p.leave()
	})
	parallel(t, "anew_after_a_pause_when_its_znodes_are_deleted_one_after_the_other", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		j, log := newJournal(t)
		p := hostAs(t, harness.Open(t, root), Config{Logger: log})
		var paused []line
		zktest.Eventually(t, "a pause", func() (bool, string) {
			for _, worker := range d.Children(task.WorkersDir) {
				d.Delete(task.WorkerPath(worker))
			}
			paused = j.lines("the worker's znode is deleted or overwritten again and again: waiting before registering anew")
			return len(paused) > 0, fmt.Sprint(paused)
		})
		before := len(j.lines("registered"))
		if before < 2 {
			t.Errorf("registered %d times before the first pause, want at once the first time", before)
		}
		d.worker()
		var again []line
		zktest.Eventually(t, "registered", func() (bool, string) {
			again = j.lines("registered")[before:]
			return len(again) > 0, ""
		})
		if d := again[0].Time.Sub(paused[0].Time); d < firstPause {
			t.Errorf("registered %s after the pause began, want %s", d, firstPause)
		}
		p.leave()
	})
	parallel(t, "anew_when_its_znode_was_replaced_by_another", func(t *testing.T) {
		d, _, p, old := one(t)
		_, err := d.Conn.Multi(
			&zk.DeleteRequest{Path: d.full(task.WorkerPath(old)), Version: -1},
			&zk.CreateRequest{Path: d.full(task.WorkerPath(old)), Acl: zk.WorldACL(zk.PermAll)})
		if err != nil {
			t.Fatal(err)
		}
		d.workers(2)
		p.leave()
		if got := d.workers(1); got[0] != old || d.stat(task.WorkerPath(old)).Version != 0 {
			t.Errorf("left behind %q", got)
		}
	})
	parallel(t, "not_while_an_execution_still_ends", func(t *testing.T) {
		d, b, _, old := one(t)
		d.submit("t", "stubborn")
		d.assign(old, "t")
		b.began("t")
		d.Delete(task.WorkerPath(old))
		b.ended("t")
		if got := d.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("registered: %q", got)
		}
		b.end("t", "too late")
		d.free(d.worker())
		d.written("t", 0)
	})
	parallel(t, "when_it_may_and_can_be_told_to_leave_before", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		permit := func(perms int32) {
			t.Helper()
			if _, err := d.Conn.SetACL(d.full(task.WorkersDir), zk.WorldACL(perms), -1); err != nil {
				t.Fatal(err)
			}
		}
		permit(zk.PermRead | zk.PermAdmin)
		host(t, harness.Open(t, root), 1, nil).leave()
		host(t, harness.Open(t, root), 2, nil)
		if got := d.Children(task.WorkersDir); len(got) > 0 {
			t.Fatalf("registered: %q", got)
		}
		permit(zk.PermAll)
		d.workers(2)
	})
}

func TestPausesBetweenRegistrations(t *testing.T) {
	type loss struct{ lived, pause time.Duration }
	const ms, s = time.Millisecond, time.Second
	for name, losses := range map[string][]loss{
		"grow_while_znodes_are_lost_soon":                    {{ms, 0}, {ms, 1 * s}, {ms, 2 * s}, {ms, 4 * s}, {ms, 8 * s}, {ms, 10 * s}, {ms, 10 * s}},
		"do_not_follow_the_first_loss":                       {{time.Hour, 0}, {time.Hour, 0}},
		"begin_anew_when_a_znode_lived_longer_than_the_next": {{ms, 0}, {ms, 1 * s}, {2 * s, 2 * s}, {5 * s, 0}, {ms, 1 * s}},
	} {
		t.Run(name, func(t *testing.T) {
			var r renewals
			for i, l := range losses {
				if got := r.pause(l.lived); got != l.pause {
					t.Errorf("loss %d, after %s: pause of %s, want %s", i+1, l.lived, got, l.pause)
				}
			}
		})
	}
}
