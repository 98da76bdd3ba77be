package worker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	parallel(t, "returns_what_it_has_not_begun_untouched", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		begin(m, x, worker, "a", "b", "c")
		m.assign(worker, "a", "-b", "-c")
		m.holds(task.WorkerPath(worker), "a")
		x.end("a", "1")
		m.free(worker)
		m.state("a", "done 1")
		x.began("a")
		m.written("b", 0)
		m.written("c", 0)
	})
	parallel(t, "keeps_what_it_executes_unmarked", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		begin(m, x, worker, "a", "b")
		m.assign(worker, "-a", "b")
		m.holds(task.WorkerPath(worker), "a\nb")
		m.assign(worker, "-a")
		m.holds(task.WorkerPath(worker), "a")
		x.ended()
		x.end("a", "1")
		m.state("a", "done 1")
		m.free(worker)
		x.began("a")
	})
	parallel(t, "returns_what_comes_marked_and_begins_the_rest", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		for _, id := range []string{"a", "b"} {
			m.submit(id, "wait")
		}
		m.assign(worker, "-a")
		m.free(worker)
		m.assign(worker, "-a", "b")
		m.holds(task.WorkerPath(worker), "b")
		x.began("b")
		m.written("a", 0)
	})
	parallel(t, "returns_what_is_being_read_ahead", func(t *testing.T) {
		m, x, _, worker, proxy := proxied(t)
		begin(m, x, worker, "a")
		m.submit("b", "wait")
		held, release := proxy.Hold(zktest.OpMultiRead, 1, zktest.Naming(task.DataPath("b")))
		// Reads wait for each other, so the slot sees the mark when the proxy goes on.
		m.assign(worker, "a", "b")
		zktest.Receive(t, "read ahead", held)
		m.assign(worker, "a", "-b")
		release()
		m.holds(task.WorkerPath(worker), "a")
		x.end("a", "1")
		m.free(worker)
		x.began("a")
		m.written("b", 0)
	})
	parallel(t, "is_written_together_with_a_commit_that_is_due", func(t *testing.T) {
		m, x, _, worker, proxy := proxied(t)
		begin(m, x, worker, "a", "b", "c")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		x.end("a", "1")
		zktest.Receive(t, "commit", held)
		m.assign(worker, "-a", "-b", "-c") // so the commit is refused
		before := m.stat(task.WorkerPath(worker)).Version
		release()
		m.holds(task.WorkerPath(worker), "b")
		w, s := m.stat(task.WorkerPath(worker)), m.stat(task.StatePath("a"))
		if w.Mzxid != s.Mzxid || w.Version != before+1 {
			t.Errorf("answered at %#x, committed at %#x, %d writes", w.Mzxid, s.Mzxid, w.Version-before)
		}
		x.end("b", "2")
		m.free(worker)
		x.began("a", "b")
		m.written("c", 0)
	})
	parallel(t, "that_was_refused_leaves_to_the_worker_what_is_unmarked_again", func(t *testing.T) {
		m, x, _, worker, proxy := proxied(t)
		begin(m, x, worker, "a", "b")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		m.assign(worker, "a", "-b")
		zktest.Receive(t, "answer", held)
		x.end("a", "1")
		m.assign(worker, "a", "b") // so the answer is refused
		release()
		x.began("a", "b")
		x.end("b", "2")
		m.state("b", "done 2")
		m.free(worker)
	})
	parallel(t, "comes_at_once_from_a_worker_that_drains", func(t *testing.T) {
		m, x, p, workers := drainer(t, 2, testTimeout)
		begin(m, x, workers[0], "a", "b")
		p.stop()
		m.workers(1) // it has seen it
		m.assign(workers[0], "-a", "-b")
		m.holds(task.WorkerPath(workers[0]), "a")
		x.end("a", "1")
		p.leave()
		m.state("a", "done 1")
		m.written("b", 0)
	})
	parallel(t, "executes_nothing_that_was_returned_whenever_the_leader_asks", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		returned := 0
		for round := range 30 {
			var l task.List
			for i := range 6 {
				l.IDs = append(l.IDs, fmt.Sprintf("%d-%d", round, i))
				m.submit(l.IDs[i], "x")
			}
			m.assign(worker, l.IDs...)
			for {
				data, stat, err := m.Conn.Get(m.full(task.WorkerPath(worker)))
				if err != nil {
					t.Fatal(err)
				}
				now, err := task.ParseList(data)
				if err != nil {
					t.Fatal(err)
				}
				if len(now.IDs) == 0 {
					break
				}
				if now.Back = nil; rand.N(2) == 0 {
					now.Back = now.IDs[rand.N(len(now.IDs)):]
				}
				if _, err := m.Conn.Set(m.full(task.WorkerPath(worker)), now.Bytes(), stat.Version); err != nil && err != zk.ErrBadVersion {
					t.Fatal(err)
				}
			}
			for _, id := range l.IDs {
				state := m.plain(id)
				x.mu.Lock()
				executed := len(slices.DeleteFunc(slices.Clone(x.order), func(x string) bool { return x != id }))
				x.mu.Unlock()
				if state == "pending" {
					returned++
					m.written(id, 0)
				}
				if want := map[string]int{"pending": 0, "done x": 1}[state]; executed != want {
					t.Fatalf("%s: %q, executed %d times", id, state, executed)
				}
			}
		}
		t.Logf("%d of 180 tasks were returned", returned)
		if returned == 0 || returned == 180 {
			t.Errorf("%d of 180 tasks were returned: the test shows nothing", returned)
		}
	})
}

func TestTake(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]string{
		"done": "done 42", "done_with_facts": "done: worker=w ran=7\n42", "failed": "failed for good", "malformed": "banana",
	} {
		parallel(t, "only_takes_off_its_list_a_task_that_is_"+name, func(t *testing.T) {
			root := zktest.Connect(t)
			m, x := newManual(t, root), newExecutor(t)
			j, log := newJournal(t)
			hostAs(t, harness.Open(t, root), Config{Run: x.run, Logger: log})
			worker := m.worker()
			m.submit("t", "x")
			m.Set(task.StatePath("t"), state)
			m.assign(worker, "t")
			m.free(worker)
			m.holds(task.StatePath("t"), state)
			m.written("t", 1)
			x.began()
			if name == "malformed" {
				if got := j.lines("task not executed: its state is malformed"); len(got) != 1 || got[0].Task != "t" {
					t.Errorf("logged %v", got)
				}
			}
		})
	}
	parallel(t, "commits_at_the_version_that_it_read", func(t *testing.T) {
		m, x, _, worker, proxy := proxied(t)
		m.submit("t", "x")
		m.Set(task.StatePath("t"), "pending 2")
		proxy.Seen()
		m.assign(worker, "t")
		m.state("t", "done x")
		m.free(worker)
		x.began("t")
		commits := slices.DeleteFunc(proxy.Seen(), func(op zktest.Op) bool { return op != zktest.OpMulti })
		if len(commits) != 1 {
			t.Errorf("%d commits", len(commits))
		}
	})
}
