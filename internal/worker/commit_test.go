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
	parallel(t, "writes_nothing_for_an_unknown_task", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		m.Create(task.DataPath("half"), "x")
		m.assign(worker, "none", "half")
		m.free(worker)
		x.began()
		if tasks, data := m.Children(task.TasksDir), m.Children(task.DataDir); len(tasks) != 0 || len(data) != 1 {
			t.Errorf("tasks %q, payloads %q", tasks, data)
		}
	})
	parallel(t, "writes_nothing_for_an_id_that_no_task_can_have", func(t *testing.T) {
		m, x, p, worker := oneSlot(t)
		m.submit("t", "x")
		m.assign(worker, "..", "a/b", "/", "a/", ".", "\x00", "\x01", "\xff", "t")
		m.state("t", "done x")
		m.free(worker)
		x.began("t")
		m.assign(worker, "..", "\x00")
		p.leave()
		m.workers(0)
	})
	parallel(t, "writes_large_results_beside_a_long_list", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		result := strings.Repeat("x", 600_000)
		for _, id := range []string{"a", "b", "c"} {
			m.submit(id, result)
		}
		m.assign(worker, "a", "b", "c", strings.Repeat("unknown", 30_000))
		for _, id := range []string{"a", "b", "c"} {
			m.state(id, "done "+result)
		}
		m.free(worker)
		x.began("a", "b", "c")
	})
	parallel(t, "overwrites_no_result_typed_by_hand", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		begin(m, x, worker, "t")
		m.Set(task.StatePath("t"), "done by hand")
		x.end("t", "by worker")
		m.free(worker)
		m.state("t", "done by hand")
		m.written("t", 1)
	})
	parallel(t, "overwrites_no_malformed_state", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		begin(m, x, worker, "t")
		m.Set(task.StatePath("t"), "banana")
		x.end("t", "x")
		m.free(worker)
		m.state("t", "banana")
	})
	parallel(t, "creates_no_task_that_was_removed_meanwhile", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		begin(m, x, worker, "t")
		m.Delete(task.StatePath("t"))
		x.end("t", "x")
		m.free(worker)
		if got := m.Children(task.TasksDir); len(got) != 0 {
			t.Errorf("tasks %q", got)
		}
	})
	parallel(t, "retries_at_the_new_version_when_the_state_was_written_and_is_still_pending", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		begin(m, x, worker, "t")
		m.Set(task.StatePath("t"), "pending 2")
		x.end("t", "x")
		m.state("t", "done x")
		m.free(worker)
		m.written("t", 2)
		x.began("t")
	})
	parallel(t, "keeps_the_first_of_two_results_when_two_workers_hold_the_task", func(t *testing.T) {
		root := zktest.Connect(t)
		m := newManual(t, root)
		first, second := newExecutor(t), newExecutor(t)
		host(t, harness.Open(t, root), 1, first.run)
		a := m.worker()
		host(t, harness.Open(t, root), 1, second.run)
		ids := m.workers(2)
		b := ids[1-slices.Index(ids, a)]
		m.submit("t", "wait")
		m.assign(a, "t")
		m.assign(b, "t")
		first.began("t")
		second.began("t")
		second.end("t", "second")
		m.state("t", "done second")
		m.free(b)
		m.holds(task.WorkerPath(a), "t")
		first.end("t", "first")
		m.free(a)
		m.state("t", "done second")
		m.written("t", 1)
	})
	parallel(t, "writes_one_result_when_two_slots_of_a_process_hold_the_task", func(t *testing.T) {
		root := zktest.Connect(t)
		m := newManual(t, root)
		host(t, harness.Open(t, root), 2, returns(func(context.Context, task.Execution) ([]byte, error) { return []byte("x"), nil }))
		ids := m.workers(2)
		for i := range 20 {
			id := fmt.Sprint("t", i)
			m.submit(id, "")
			m.assign(ids[0], id)
			m.assign(ids[1], id)
			m.free(ids[0])
			m.free(ids[1])
			m.state(id, "done x")
			m.written(id, 1)
		}
	})
	parallel(t, "retries_when_another_task_was_taken_back_in_the_same_moment", func(t *testing.T) {
		m, x, _, worker, proxy := proxied(t)
		begin(m, x, worker, "a", "b")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		x.end("a", "1")
		zktest.Receive(t, "commit", held)
		m.assign(worker, "a")
		release()
		m.state("a", "done 1")
		m.free(worker)
		x.once("a")
		m.written("a", 1)
		m.written("b", 0)
	})
	parallel(t, "writes_nothing_for_a_task_that_was_taken_back_in_the_same_moment", func(t *testing.T) {
		m, x, _, worker, proxy := proxied(t)
		begin(m, x, worker, "a")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		x.end("a", "1")
		zktest.Receive(t, "commit", held)
		m.submit("b", "2")
		m.assign(worker, "b")
		release()
		m.state("b", "done 2")
		m.free(worker)
		m.written("a", 0)
		x.began("a", "b")
	})
	parallel(t, "writes_the_results_of_several_slots_together_also_when_one_is_refused", func(t *testing.T) {
		const slots = 32
		root := zktest.Connect(t)
		m, x := newManual(t, root), newExecutor(t)
		proxy, through := zktest.Via(t, root)
		host(t, harness.Open(t, through), slots, x.run)
		workers := m.workers(slots)
		var ids []string
		for i, worker := range workers {
			ids = append(ids, fmt.Sprint("t", i))
			m.submit(ids[i], "wait")
			m.assign(worker, ids[i])
		}
		zktest.Eventually(t, "executions", func() (bool, string) {
			x.mu.Lock()
			defer x.mu.Unlock()
			return len(x.order) == slots, fmt.Sprint(x.order)
		})
		proxy.Seen()
		held, release := proxy.Hold(zktest.OpMulti, 1)
		x.end(ids[0], "x")
		zktest.Receive(t, "first commit", held)
		for _, id := range ids[1:] {
			x.end(id, "x")
		}
		m.Set(task.StatePath(ids[4]), "done by hand")
		m.assign(workers[5])
		release()
		for i, id := range ids {
			switch i {
			case 4:
				m.state(id, "done by hand")
			case 5:
				m.state(id, "pending")
			default:
				m.state(id, "done x")
				m.written(id, 1)
			}
			m.free(workers[i])
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
