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
	parallel(t, "creates_one_empty_ephemeral_znode_for_each_slot", func(t *testing.T) {
		root := zktest.Connect(t)
		m := newManual(t, root)
		p := host(t, harness.Open(t, root), 3, nil)
		for _, id := range m.workers(3) {
			stat := m.stat(task.WorkerPath(id))
			queue, host, pid := task.ParseWorkerName(id)
			if queue != "" || host == "" || pid != os.Getpid() || stat.DataLength != 0 || stat.EphemeralOwner != p.s.ID() {
				t.Errorf("%s: %d bytes, owner %#x, want %#x", id, stat.DataLength, stat.EphemeralOwner, p.s.ID())
			}
		}
	})
	parallel(t, "names_the_queue_and_takes_its_tasks", func(t *testing.T) {
		root := zktest.Connect(t)
		m := newManual(t, root)
		hostAs(t, harness.Open(t, root), Config{Queue: "gpu"})
		worker := m.worker()
		if queue, _, pid := task.ParseWorkerName(worker); queue != "gpu" || pid != os.Getpid() {
			t.Errorf("worker %s", worker)
		}
		id := task.NewSubmitter("gpu").NewID()
		m.submit(id, "0")
		m.assign(worker, id)
		m.state(id, "done 0")
		if err := Run(t.Context(), nil, Config{Queue: "a.b"}); err == nil {
			t.Error("there is a queue a.b")
		}
	})
	parallel(t, "creates_the_permanent_znodes_that_are_missing", func(t *testing.T) {
		root := zktest.Connect(t)
		m := manual{ManualClient: zktest.Conn(t, root), t: t}
		host(t, harness.Open(t, root), 1, nil)
		m.worker()
		if got := m.Children("/"); !slices.Equal(got, []string{"data", "drain", "master", "members", "tasks", "workers"}) {
			t.Errorf("permanent znodes: %q", got)
		}
	})
	parallel(t, "comes_again_when_the_directory_was_removed", func(t *testing.T) {
		m, x, p, old := oneSlot(t)
		m.DeleteAll(task.WorkersDir)
		worker := m.worker()
		if worker == old {
			t.Error("the id was used again")
		}
		m.submit("t", "x")
		m.assign(worker, "t")
		m.state("t", "done x")
		x.began("t")
		p.leave()
	})
	parallel(t, "comes_again_when_the_znode_was_deleted_and_cancels_what_runs", func(t *testing.T) {
		m, x, p, old := oneSlot(t)
		m.submit("t", "wait")
		m.assign(old, "t")
		x.began("t")
		m.Delete(task.WorkerPath(old))
		x.ended("t")
		worker := m.worker()
		if worker == old {
			t.Error("the id was used again")
		}
		m.assign(worker, "t")
		x.began("t", "t")
		x.end("t", "x")
		m.state("t", "done x")
		m.free(worker)
		m.written("t", 1)
		p.leave()
	})
	parallel(t, "comes_again_after_a_pause_when_one_znode_after_the_other_is_deleted", func(t *testing.T) {
		root := zktest.Connect(t)
		m := newManual(t, root)
		j, log := newJournal(t)
		p := hostAs(t, harness.Open(t, root), Config{Logger: log})
		var paused []line
		zktest.Eventually(t, "a pause", func() (bool, string) {
			for _, worker := range m.Children(task.WorkersDir) {
				m.Delete(task.WorkerPath(worker))
			}
			paused = j.lines("the worker's znode is deleted or overwritten again and again: waiting before registering anew")
			return len(paused) > 0, fmt.Sprint(paused)
		})
		before := len(j.lines("registered"))
		if before < 2 {
			t.Errorf("registered %d times before the first pause, want at once the first time", before)
		}
		m.worker()
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
	parallel(t, "comes_again_when_the_znode_belongs_to_another_session", func(t *testing.T) {
		m, _, p, old := oneSlot(t)
		_, err := m.Conn.Multi(
			&zk.DeleteRequest{Path: m.full(task.WorkerPath(old)), Version: -1},
			&zk.CreateRequest{Path: m.full(task.WorkerPath(old)), Acl: zk.WorldACL(zk.PermAll)})
		if err != nil {
			t.Fatal(err)
		}
		m.workers(2)
		p.leave()
		if got := m.workers(1); got[0] != old || m.stat(task.WorkerPath(old)).Version != 0 {
			t.Errorf("left behind %q", got)
		}
	})
	parallel(t, "waits_until_a_cancelled_execution_has_ended", func(t *testing.T) {
		m, x, _, old := oneSlot(t)
		m.submit("t", "stubborn")
		m.assign(old, "t")
		x.began("t")
		m.Delete(task.WorkerPath(old))
		x.ended("t")
		if got := m.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("registered: %q", got)
		}
		x.end("t", "too late")
		m.free(m.worker())
		m.written("t", 0)
	})
	parallel(t, "waits_for_the_right_to_create_its_znode_and_can_be_stopped_before", func(t *testing.T) {
		root := zktest.Connect(t)
		m := newManual(t, root)
		m.SetACL(task.WorkersDir, zk.WorldACL(zk.PermRead|zk.PermAdmin))
		host(t, harness.Open(t, root), 1, nil).leave()
		host(t, harness.Open(t, root), 2, nil)
		if got := m.Children(task.WorkersDir); len(got) > 0 {
			t.Fatalf("registered: %q", got)
		}
		m.SetACL(task.WorkersDir, zk.WorldACL(zk.PermAll))
		m.workers(2)
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
