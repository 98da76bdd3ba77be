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
		d, b, _, worker := one(t)
		begin(d, b, worker, "a", "b", "c")
		d.assign(worker, "a", "-b", "-c")
		d.reads(task.WorkerPath(worker), "a")
		b.end("a", "1")
		d.free(worker)
		d.state("a", "done 1")
		b.began("a")
		d.written("b", 0)
		d.written("c", 0)
	})
	parallel(t, "keeps_what_it_executes_unmarked", func(t *testing.T) {
		d, b, _, worker := one(t)
		begin(d, b, worker, "a", "b")
		d.assign(worker, "-a", "b")
		d.reads(task.WorkerPath(worker), "a\nb")
		d.assign(worker, "-a")
		d.reads(task.WorkerPath(worker), "a")
		b.ended()
		b.end("a", "1")
		d.state("a", "done 1")
		d.free(worker)
		b.began("a")
	})
	parallel(t, "returns_what_comes_marked_and_begins_the_rest", func(t *testing.T) {
		d, b, _, worker := one(t)
		for _, id := range []string{"a", "b"} {
			d.submit(id, "wait")
		}
		d.assign(worker, "-a")
		d.free(worker)
		d.assign(worker, "-a", "b")
		d.reads(task.WorkerPath(worker), "b")
		b.began("b")
		d.written("a", 0)
	})
	parallel(t, "returns_what_is_being_read_ahead", func(t *testing.T) {
		d, b, _, worker, proxy := proxied(t)
		begin(d, b, worker, "a")
		d.submit("b", "wait")
		held, release := proxy.Hold(zktest.OpMultiRead, 1, zktest.Naming(task.DataPath("b")))
		// Reads wait for each other, so the slot sees the mark when the proxy goes on.
		d.assign(worker, "a", "b")
		happened(t, "read ahead", held)
		d.assign(worker, "a", "-b")
		release()
		d.reads(task.WorkerPath(worker), "a")
		b.end("a", "1")
		d.free(worker)
		b.began("a")
		d.written("b", 0)
	})
	parallel(t, "goes_with_a_commit", func(t *testing.T) {
		d, b, _, worker, proxy := proxied(t)
		begin(d, b, worker, "a", "b", "c")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end("a", "1")
		happened(t, "commit", held)
		d.assign(worker, "-a", "-b", "-c") // so the commit is refused
		before := d.stat(task.WorkerPath(worker)).Version
		release()
		d.reads(task.WorkerPath(worker), "b")
		w, s := d.stat(task.WorkerPath(worker)), d.stat(task.StatePath("a"))
		if w.Mzxid != s.Mzxid || w.Version != before+1 {
			t.Errorf("answered at %#x, committed at %#x, %d writes", w.Mzxid, s.Mzxid, w.Version-before)
		}
		b.end("b", "2")
		d.free(worker)
		b.began("a", "b")
		d.written("c", 0)
	})
	parallel(t, "lets_it_begin_what_is_left_to_it_after_all", func(t *testing.T) {
		d, b, _, worker, proxy := proxied(t)
		begin(d, b, worker, "a", "b")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		d.assign(worker, "a", "-b")
		happened(t, "answer", held)
		b.end("a", "1")
		d.assign(worker, "a", "b") // so the answer is refused
		release()
		b.began("a", "b")
		b.end("b", "2")
		d.state("b", "done 2")
		d.free(worker)
	})
	parallel(t, "waits_for_nothing_when_it_drains", func(t *testing.T) {
		d, b, p, workers := drainer(t, 2, testTimeout)
		begin(d, b, workers[0], "a", "b")
		p.stop()
		d.workers(1) // it has seen it
		d.assign(workers[0], "-a", "-b")
		d.reads(task.WorkerPath(workers[0]), "a")
		b.end("a", "1")
		p.leave()
		d.state("a", "done 1")
		d.written("b", 0)
	})
	parallel(t, "executes_nothing_that_was_returned_whenever_it_is_asked", func(t *testing.T) {
		d, b, _, worker := one(t)
		returned := 0
		for round := range 30 {
			var l task.List
			for i := range 6 {
				l.IDs = append(l.IDs, fmt.Sprintf("%d-%d", round, i))
				d.submit(l.IDs[i], "x")
			}
			d.assign(worker, l.IDs...)
			for {
				data, stat, err := d.Conn.Get(d.full(task.WorkerPath(worker)))
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
				if _, err := d.Conn.Set(d.full(task.WorkerPath(worker)), now.Bytes(), stat.Version); err != nil && err != zk.ErrBadVersion {
					t.Fatal(err)
				}
			}
			for _, id := range l.IDs {
				state := d.plain(id)
				b.mu.Lock()
				executed := len(slices.DeleteFunc(slices.Clone(b.order), func(x string) bool { return x != id }))
				b.mu.Unlock()
				if state == "pending" {
					returned++
					d.written(id, 0)
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
		parallel(t, "only_frees_itself_from_a_task_that_is_"+name, func(t *testing.T) {
			root := zktest.Connect(t)
			d, b := newDesk(t, root), newBench(t)
			j, log := newJournal(t)
			hostAs(t, harness.Open(t, root), Config{Run: b.run, Logger: log})
			worker := d.worker()
			d.submit("t", "x")
			d.Set(task.StatePath("t"), state)
			d.assign(worker, "t")
			d.free(worker)
			d.reads(task.StatePath("t"), state)
			d.written("t", 1)
			b.began()
			if name == "malformed" {
				if got := j.lines("task not executed: its state is malformed"); len(got) != 1 || got[0].Task != "t" {
					t.Errorf("logged %v", got)
				}
			}
		})
	}
	parallel(t, "commits_at_the_version_that_it_read", func(t *testing.T) {
		d, b, _, worker, proxy := proxied(t)
		d.submit("t", "x")
		d.Set(task.StatePath("t"), "pending 2")
		proxy.Seen()
		d.assign(worker, "t")
		d.state("t", "done x")
		d.free(worker)
		b.began("t")
		commits := slices.DeleteFunc(proxy.Seen(), func(op zktest.Op) bool { return op != zktest.OpMulti })
		if len(commits) != 1 {
			t.Errorf("%d commits", len(commits))
		}
	})
}
