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
	parallel(t, "deletes_the_znode_of_a_free_slot_at_once", func(t *testing.T) {
		m, _, p, _ := oneSlot(t)
		p.leave()
		if got := m.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("left behind %q", got)
		}
		if err := p.s.Err(); err != nil {
			t.Errorf("session: %v", err)
		}
	})
	parallel(t, "gives_its_tasks_back_in_one_transaction", func(t *testing.T) {
		m, x, p, worker := oneSlot(t)
		for _, id := range []string{"a", "b", "finished"} {
			m.submit(id, "wait")
		}
		m.Set(task.StatePath("a"), "pending: losses=2 timeout=100000")
		m.assign(worker, "a", "b", "finished", "unknown")
		x.began("a")
		m.Set(task.StatePath("finished"), "done by hand")
		p.leave()
		x.ended("a")
		for id, want := range map[string]string{"a": "pending: timeout=100000 losses=2", "b": "pending", "finished": "done by hand"} {
			if got, _ := m.Get(task.StatePath(id)); got != want {
				t.Errorf("%s: %q, want %q", id, got, want)
			}
		}
		m.written("a", 2)
		m.written("b", 1)
		m.written("finished", 1)
		at := m.stat(task.WorkersDir).Pzxid
		if a, b := m.stat(task.StatePath("a")).Mzxid, m.stat(task.StatePath("b")).Mzxid; a != at || b != at {
			t.Errorf("given back at %#x and %#x, left at %#x", a, b, at)
		}
		if got := m.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("left behind %q", got)
		}
	})
	parallel(t, "gives_many_tasks_back_with_few_reads", func(t *testing.T) {
		m, x, p, worker, proxy := proxied(t)
		ids := make([]string, 100)
		for i := range ids {
			ids[i] = fmt.Sprint("t", i)
			m.submit(ids[i], "wait")
		}
		m.Set(task.StatePath("t50"), "done by hand")
		ids = append(ids, "unknown")
		m.assign(worker, ids...)
		x.began("t0")
		proxy.Seen()
		p.leave()
		seen := proxy.Seen()
		if reads := count(seen, zktest.OpGetData) + count(seen, zktest.OpMultiRead); reads > 20 { // 4 chunks, some of them in two requests, and what was read ahead
			t.Errorf("%d requests to read %d states", reads, len(ids))
		}
		for _, id := range ids[:100] {
			m.written(id, 1)
		}
		m.state("t50", "done by hand")
		m.workers(0)
	})
	parallel(t, "gives_its_tasks_back_where_it_may_not_delete_its_znode", func(t *testing.T) {
		m, x, p, worker := oneSlot(t)
		m.submit("a", "wait")
		m.assign(worker, "a")
		x.began("a")
		m.SetACL(task.WorkersDir, zk.WorldACL(zk.PermAll&^zk.PermDelete))
		p.leave()
		x.ended("a")
		m.written("a", 1)
		if got := m.worker(); got != worker {
			t.Errorf("worker %q, want %q until its session ends", got, worker)
		}
	})
	parallel(t, "gives_back_the_rest_when_one_task_may_not_be_written", func(t *testing.T) {
		m, x, p, worker := oneSlot(t)
		m.submit("a", "wait")
		m.submit("b", "wait")
		m.SetACL(task.StatePath("a"), zk.WorldACL(zk.PermRead))
		m.assign(worker, "a", "b")
		x.began("a")
		p.leave()
		m.workers(0)
		m.written("a", 0)
		m.written("b", 1)
	})
	parallel(t, "gives_back_work_that_came_in_the_same_moment", func(t *testing.T) {
		m, x, p, worker, proxy := proxied(t)
		m.submit("t", "wait")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		p.stop()
		zktest.Receive(t, "delete", held)
		m.assign(worker, "t")
		release()
		p.leave()
		m.state("t", "pending")
		m.written("t", 1)
		x.began()
		if got := m.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("left behind %q", got)
		}
	})
	parallel(t, "overwrites_no_result_typed_by_hand_in_the_same_moment", func(t *testing.T) {
		m, x, p, worker, proxy := proxied(t)
		begin(m, x, worker, "t")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		p.stop()
		zktest.Receive(t, "give back", held)
		m.Set(task.StatePath("t"), "done by hand")
		release()
		p.leave()
		m.state("t", "done by hand")
		m.written("t", 1)
		m.workers(0)
	})
	parallel(t, "gives_back_what_is_listed_now_when_its_list_changes_in_the_same_moment", func(t *testing.T) {
		m, x, p, worker, proxy := proxied(t)
		for _, id := range []string{"a", "b", "c"} {
			m.submit(id, "wait")
		}
		m.assign(worker, "a", "b")
		x.began("a")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		p.stop()
		zktest.Receive(t, "give back", held)
		m.Set(task.StatePath("b"), "pending 1")
		m.assign(worker, "b", "c")
		release()
		p.leave()
		m.state("a", "pending")
		m.state("b", "pending 1")
		m.state("c", "pending")
		m.written("a", 0)
		m.written("b", 2)
		m.written("c", 1)
	})
	parallel(t, "writes_a_result_that_was_ready", func(t *testing.T) {
		m, x, p, worker, proxy := proxied(t)
		begin(m, x, worker, "a", "b")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		x.end("a", "1")
		zktest.Receive(t, "commit", held)
		p.stop()
		m.assign(worker, "b", "a") // so the commit is refused
		release()
		p.leave()
		m.workers(0)
		m.state("a", "done 1")
		m.state("b", "pending")
		m.written("a", 1)
		m.written("b", 1)
		at := m.stat(task.WorkersDir).Pzxid
		if a, b := m.stat(task.StatePath("a")).Mzxid, m.stat(task.StatePath("b")).Mzxid; a != at || b != at {
			t.Errorf("written at %#x, given back at %#x, left at %#x", a, b, at)
		}
		x.once("a")
	})
	parallel(t, "loses_nothing_whenever_work_comes", func(t *testing.T) {
		root := zktest.Connect(t)
		m, x := newManual(t, root), newExecutor(t)
		s := harness.Open(t, root)
		for i := range 30 {
			p := host(t, s, 1, x.run)
			worker := m.worker()
			id := fmt.Sprint("t", i)
			m.submit(id, "wait")
			go p.stop()
			_, err := m.Conn.Set(m.full(task.WorkerPath(worker)), []byte(id), 0)
			if err != nil && !errors.Is(err, zk.ErrNoNode) {
				t.Fatal(err)
			}
			p.leave()
			m.workers(0)
			if got, _ := m.Get(task.StatePath(id)); got != "pending" {
				t.Errorf("%s: %q", id, got)
			}
			given := int32(0)
			if err == nil {
				given = 1
			}
			m.written(id, given)
		}
	})
	parallel(t, "succeeds_when_the_znode_is_gone_already", func(t *testing.T) {
		m, _, p, worker, proxy := proxied(t)
		held, release := proxy.Hold(zktest.OpMulti, 1)
		p.stop()
		zktest.Receive(t, "delete", held)
		m.Delete(task.WorkerPath(worker))
		release()
		p.leave()
		m.workers(0)
	})
}
