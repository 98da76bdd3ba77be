package worker

import (
	"errors"
	"fmt"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestLeave(t *testing.T) {
	t.Parallel()
	parallel(t, "a_free_slot_at_once", func(t *testing.T) {
		d, _, p, _ := one(t)
		p.leave()
		if got := d.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("left behind %q", got)
		}
		if err := p.s.Err(); err != nil {
			t.Errorf("session: %v", err)
		}
	})
	parallel(t, "gives_its_tasks_back_in_one_transaction", func(t *testing.T) {
		d, b, p, worker := one(t)
		for _, id := range []string{"a", "b", "finished"} {
			d.submit(id, "wait")
		}
		d.Set(task.StatePath("a"), "pending: losses=2 timeout=100000")
		d.assign(worker, "a", "b", "finished", "unknown")
		b.began("a")
		d.Set(task.StatePath("finished"), "done by hand")
		p.leave()
		b.ended("a")
		for id, want := range map[string]string{"a": "pending: timeout=100000 losses=2", "b": "pending", "finished": "done by hand"} {
			if got, _ := d.Get(task.StatePath(id)); got != want {
				t.Errorf("%s: %q, want %q", id, got, want)
			}
		}
		d.written("a", 2)
		d.written("b", 1)
		d.written("finished", 1)
		at := d.stat(task.WorkersDir).Pzxid
		if a, b := d.stat(task.StatePath("a")).Mzxid, d.stat(task.StatePath("b")).Mzxid; a != at || b != at {
			t.Errorf("given back at %#x and %#x, left at %#x", a, b, at)
		}
		if got := d.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("left behind %q", got)
		}
	})
	parallel(t, "gives_many_tasks_back_with_few_reads", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, harness.Open(t, through), 1, b.run)
		worker := d.worker()
		ids := make([]string, 100)
		for i := range ids {
			ids[i] = fmt.Sprint("t", i)
			d.submit(ids[i], "wait")
		}
		d.Set(task.StatePath("t50"), "done by hand")
		ids = append(ids, "unknown")
		d.assign(worker, ids...)
		b.began("t0")
		proxy.Seen()
		p.leave()
		seen := proxy.Seen()
		if reads := count(seen, zktest.OpGetData) + count(seen, zktest.OpMultiRead); reads > 20 { // 4 chunks, some of them in two requests, and what was read ahead
			t.Errorf("%d requests to read %d states", reads, len(ids))
		}
		for _, id := range ids[:100] {
			d.written(id, 1)
		}
		d.state("t50", "done by hand")
		d.workers(0)
	})
	parallel(t, "gives_its_tasks_back_where_it_may_not_delete_its_znode", func(t *testing.T) {
		d, b, p, worker := one(t)
		d.submit("a", "wait")
		d.assign(worker, "a")
		b.began("a")
		if _, err := d.Conn.SetACL(d.full(task.WorkersDir), zk.WorldACL(zk.PermAll&^zk.PermDelete), -1); err != nil {
			t.Fatal(err)
		}
		p.leave()
		b.ended("a")
		d.written("a", 1)
		if got := d.worker(); got != worker {
			t.Errorf("worker %q, want %q until its session ends", got, worker)
		}
	})
	parallel(t, "gives_back_the_rest_when_one_task_may_not_be_written", func(t *testing.T) {
		d, b, p, worker := one(t)
		d.submit("a", "wait")
		d.submit("b", "wait")
		if _, err := d.Conn.SetACL(d.full(task.StatePath("a")), zk.WorldACL(zk.PermRead), -1); err != nil {
			t.Fatal(err)
		}
		d.assign(worker, "a", "b")
		b.began("a")
		p.leave()
		d.workers(0)
		d.written("a", 0)
		d.written("b", 1)
	})
	parallel(t, "gives_back_work_that_came_in_the_same_moment", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, harness.Open(t, through), 1, b.run)
		worker := d.worker()
		d.submit("t", "wait")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		p.stop()
		happened(t, "delete", held)
		d.assign(worker, "t")
		release()
		p.leave()
		d.state("t", "pending")
		d.written("t", 1)
		b.began()
		if got := d.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("left behind %q", got)
		}
	})
	parallel(t, "overwrites_no_result_typed_by_hand_in_the_same_moment", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, harness.Open(t, through), 1, b.run)
		worker := d.worker()
		begin(d, b, worker, "t")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		p.stop()
		happened(t, "give back", held)
		d.Set(task.StatePath("t"), "done by hand")
		release()
		p.leave()
		d.state("t", "done by hand")
		d.written("t", 1)
		d.workers(0)
	})
	parallel(t, "gives_back_what_is_listed_now_when_its_list_changes_in_the_same_moment", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, harness.Open(t, through), 1, b.run)
		worker := d.worker()
		for _, id := range []string{"a", "b", "c"} {
			d.submit(id, "wait")
		}
		d.assign(worker, "a", "b")
		b.began("a")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		p.stop()
		happened(t, "give back", held)
		d.Set(task.StatePath("b"), "pending 1")
		d.assign(worker, "b", "c")
		release()
		p.leave()
		d.state("a", "pending")
		d.state("b", "pending 1")
		d.state("c", "pending")
		d.written("a", 0)
		d.written("b", 2)
		d.written("c", 1)
	})
	parallel(t, "writes_a_result_that_was_ready", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, harness.Open(t, through), 1, b.run)
		worker := d.worker()
		begin(d, b, worker, "a", "b")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end("a", "1")
		happened(t, "commit", held)
		p.stop()
		d.assign(worker, "b", "a") // so the commit is refused
		release()
		p.leave()
		d.workers(0)
		d.state("a", "done 1")
		d.state("b", "pending")
		d.written("a", 1)
		d.written("b", 1)
		at := d.stat(task.WorkersDir).Pzxid
		if a, b := d.stat(task.StatePath("a")).Mzxid, d.stat(task.StatePath("b")).Mzxid; a != at || b != at {
			t.Errorf("written at %#x, given back at %#x, left at %#x", a, b, at)
		}
		b.once("a")
	})
	parallel(t, "loses_nothing_whenever_work_comes", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		s := harness.Open(t, root)
		for i := range 30 {
			p := host(t, s, 1, b.run)
			worker := d.worker()
			id := fmt.Sprint("t", i)
			d.submit(id, "wait")
			go p.stop()
			_, err := d.Conn.Set(d.full(task.WorkerPath(worker)), []byte(id), 0)
			if err != nil && !errors.Is(err, zk.ErrNoNode) {
				t.Fatal(err)
			}
			p.leave()
			d.workers(0)
			if got, _ := d.Get(task.StatePath(id)); got != "pending" {
				t.Errorf("%s: %q", id, got)
			}
			given := int32(0)
			if err == nil {
				given = 1
			}
			d.written(id, given)
		}
	})
	parallel(t, "when_its_znode_is_gone_already", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, harness.Open(t, through), 1, b.run)
		worker := d.worker()
		held, release := proxy.Hold(zktest.OpMulti, 1)
		p.stop()
		happened(t, "delete", held)
		d.Delete(task.WorkerPath(worker))
		release()
		p.leave()
		d.workers(0)
	})
}
