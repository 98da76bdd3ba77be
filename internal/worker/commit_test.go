package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestCommit(t *testing.T) {
	t.Parallel()
	parallel(t, "nothing_for_an_unknown_task", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.Create(task.DataPath("half"), "x")
		d.assign(worker, "none", "half")
		d.free(worker)
		b.began()
		if tasks, data := d.Children(task.TasksDir), d.Children(task.DataDir); len(tasks) != 0 || len(data) != 1 {
			t.Errorf("tasks %q, payloads %q", tasks, data)
		}
	})
	parallel(t, "nothing_for_what_cannot_be_a_task", func(t *testing.T) {
		d, b, p, worker := one(t)
		d.submit("t", "x")
		d.assign(worker, "..", "a/b", "/", "a/", ".", "\x00", "\x01", "\xff", "t")
		d.state("t", "done x")
		d.free(worker)
		b.began("t")
		d.assign(worker, "..", "\x00")
		p.leave()
		d.workers(0)
	})
	parallel(t, "large_results_beside_a_long_list", func(t *testing.T) {
		d, b, _, worker := one(t)
		result := strings.Repeat("x", 600_000)
		for _, id := range []string{"a", "b", "c"} {
			d.submit(id, result)
		}
		d.assign(worker, "a", "b", "c", strings.Repeat("unknown", 30_000))
		for _, id := range []string{"a", "b", "c"} {
			d.state(id, "done "+result)
		}
		d.free(worker)
		b.began("a", "b", "c")
	})
	parallel(t, "nothing_over_a_result_typed_by_hand", func(t *testing.T) {
		d, b, _, worker := one(t)
		begin(d, b, worker, "t")
		d.Set(task.StatePath("t"), "done by hand")
		b.end("t", "by worker")
		d.free(worker)
		d.state("t", "done by hand")
		d.written("t", 1)
	})
	parallel(t, "nothing_over_an_unknown_word", func(t *testing.T) {
		d, b, _, worker := one(t)
		begin(d, b, worker, "t")
		d.Set(task.StatePath("t"), "banana")
		b.end("t", "x")
		d.free(worker)
		d.state("t", "banana")
	})
	parallel(t, "nothing_for_a_task_removed_meanwhile", func(t *testing.T) {
		d, b, _, worker := one(t)
		begin(d, b, worker, "t")
		d.Delete(task.StatePath("t"))
		b.end("t", "x")
		d.free(worker)
		if got := d.Children(task.TasksDir); len(got) != 0 {
			t.Errorf("tasks %q", got)
		}
	})
	parallel(t, "all_the_same_when_the_state_has_moved_and_is_pending", func(t *testing.T) {
		d, b, _, worker := one(t)
		begin(d, b, worker, "t")
		d.Set(task.StatePath("t"), "pending 2")
		b.end("t", "x")
		d.state("t", "done x")
		d.free(worker)
		d.written("t", 2)
		b.began("t")
	})
	parallel(t, "the_first_of_two_results_when_two_workers_hold_the_task", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		first, second := newBench(t), newBench(t)
		host(t, harness.Open(t, root), 1, first.run)
		a := d.worker()
		host(t, harness.Open(t, root), 1, second.run)
		ids := d.workers(2)
		b := ids[1-slices.Index(ids, a)]
		d.submit("t", "wait")
		d.assign(a, "t")
		d.assign(b, "t")
		first.began("t")
		second.began("t")
		second.end("t", "second")
		d.state("t", "done second")
		d.free(b)
		d.reads(task.WorkerPath(a), "t")
		first.end("t", "first")
		d.free(a)
		d.state("t", "done second")
		d.written("t", 1)
	})
	parallel(t, "one_result_when_two_slots_of_a_process_hold_the_task", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		host(t, harness.Open(t, root), 2, returns(func(context.Context, task.Execution) ([]byte, error) { return []byte("x"), nil }))
		ids := d.workers(2)
		for i := range 20 {
			id := fmt.Sprint("t", i)
			d.submit(id, "")
			d.assign(ids[0], id)
			d.assign(ids[1], id)
			d.free(ids[0])
			d.free(ids[1])
			d.state(id, "done x")
			d.written(id, 1)
		}
	})
	parallel(t, "what_is_still_listed_after_a_take-back_in_the_same_moment", func(t *testing.T) {
		d, b, _, worker, proxy := proxied(t)
		begin(d, b, worker, "a", "b")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end("a", "1")
		happened(t, "commit", held)
		d.assign(worker, "a")
		release()
		d.state("a", "done 1")
		d.free(worker)
		b.once("a")
		d.written("a", 1)
		d.written("b", 0)
	})
	parallel(t, "nothing_that_was_taken_back_in_the_same_moment", func(t *testing.T) {
		d, b, _, worker, proxy := proxied(t)
		begin(d, b, worker, "a")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end("a", "1")
		happened(t, "commit", held)
		d.submit("b", "2")
		d.assign(worker, "b")
		release()
		d.state("b", "done 2")
		d.free(worker)
		d.written("a", 0)
		b.began("a", "b")
	})
	parallel(t, "the_results_of_several_slots_together_and_one_refused_disturbs_none", func(t *testing.T) {
		const slots = 32
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		host(t, harness.Open(t, through), slots, b.run)
		workers := d.workers(slots)
		var ids []string
		for i, worker := range workers {
			ids = append(ids, fmt.Sprint("t", i))
			d.submit(ids[i], "wait")
			d.assign(worker, ids[i])
		}
		zktest.Eventually(t, "executions", func() (bool, string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return len(b.order) == slots, fmt.Sprint(b.order)
		})
		proxy.Seen()
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end(ids[0], "x")
		happened(t, "the first commit", held)
		for _, id := range ids[1:] {
			b.end(id, "x")
		}
		d.Set(task.StatePath(ids[4]), "done by hand")
		d.assign(workers[5])
		release()
		for i, id := range ids {
			switch i {
			case 4:
				d.state(id, "done by hand")
			case 5:
				d.state(id, "pending")
			default:
				d.state(id, "done x")
				d.written(id, 1)
			}
			d.free(workers[i])
		}
		multis := 0
		for _, op := range proxy.Seen() {
			if op == zktest.OpMulti {
				multis++
			}
		}
		if multis >= slots {
			t.Errorf("%d transactions for %d results", multis, slots)
		}
	})
}
