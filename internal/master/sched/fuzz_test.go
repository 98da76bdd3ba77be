package sched

import (
	"maps"
	"slices"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

// FuzzScheduler runs a scheduler in a world in which workers die, tasks are withdrawn,
// people type, answers are lost and leaders change. Whatever happens, no task is
// given to two workers, no loss is counted that was none, and nothing is forgotten.
func FuzzScheduler(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := newWorld(t, seed)
		for range 600 {
			w.anyStep()
		}
		// With no more faults everything that is pending is finished.
		clear(w.drains)
		for _, queue := range []string{"", "gpu."} {
			w.workers[w.name(queue)] = &znode{session: 9}
		}
		for range 2*(len(w.tasks)+10) + int(longestPause/time.Second) {
			w.startListing()
			w.mergeListing()
			w.listWorkers()
			w.listDrains()
			w.now = w.now.Add(time.Second)
			w.deliverWorkers(true)
			w.turn()
			for id := range w.workers {
				w.commit(id)
			}
		}
		if err := w.checkCounts(); err != nil {
			t.Error(err)
		}
		for id, z := range w.tasks {
			if z.state().Phase == task.Pending {
				t.Errorf("task %s is %q at the end: %+v", id, z.text, w.s.tasks[id])
			}
		}
		for id := range w.workers {
			if list, _ := w.list(id); len(list) > 0 {
				t.Errorf("worker %s still lists %q", id, list)
			}
		}
	})
}

// anyStep does one thing of those that can happen.
func (w *world) anyStep() {
	worker, someWorker := w.anyOf(w.workers)
	id, someTask := w.anyOf(w.tasks)
	queue := []string{"", "gpu."}[w.r.IntN(2)]
	switch n := w.r.IntN(27); {
	case n < 4:
		state := "pending"
		if w.r.IntN(20) == 0 { // copied here with its result
			state = "done elsewhere"
		}
		w.create(w.submitters[w.r.IntN(len(w.submitters))].NewID(), state)
	case n == 4:
		w.create(w.name(queue), []string{"pending", "", "banana", "done x"}[w.r.IntN(4)])
	case n == 5 && len(w.workers) < 8:
		w.workers[w.name(queue)] = &znode{session: 1 + w.r.Int64N(3)}
	case n == 6 && someWorker:
		w.end(worker, true)
	case n == 7 && someWorker:
		w.leave(worker)
	case n == 8 && someTask: // withdrawn, or fetched
		w.remove(id)
	case n == 9 && someWorker: // typed: take it away
		// If the worker dies now, that looks like a loss.
		if list, _ := w.list(worker); len(list) > 0 && w.tasks[list[0]] != nil {
			w.tasks[list[0]].lost++
		}
		w.write(worker, nil, nil)
	case n == 10 && someTask && w.tasks[id].state().Phase == task.Pending: // typed
		w.finish(id, []string{"done by hand", "failed by hand"}[w.r.IntN(2)])
	case n == 11 && someTask && w.tasks[id].state().Phase == task.Failed: // retried
		w.tasks[id].set("pending")
		w.tasks[id].lost = 0
	case n < 15 && someWorker:
		w.commit(worker)
	case n == 15 && someWorker:
		w.answer(worker)
	case n == 16:
		w.startListing()
		w.listWorkers()
		w.listDrains()
	case n == 17:
		w.mergeListing()
	case n == 18:
		w.now = w.now.Add(time.Duration(w.r.Int64N(int64(time.Second))))
	case n == 19:
		w.now = w.now.Add(time.Duration(w.r.Int64N(int64(30 * time.Millisecond))))
	case n == 20 && w.r.IntN(5) == 0: // another leads
		w.s = New(maxLosses)
		w.lists = nil
		w.watch = map[string]int{}
		w.delivered, w.events = w.delivered+len(w.events), nil // its watch is new
	case n == 20:
		w.handle(AllChanged{})
	case n == 21 && someWorker && len(w.drains) < 3:
		names := task.Drains(worker)
		w.drains[names[w.r.IntN(len(names))]] = &znode{}
	case n == 22:
		if name, some := w.anyOf(w.drains); some {
			delete(w.drains, name)
		}
	case n == 23:
		w.listDrains()
	default:
		w.deliverTasks(w.r.IntN(len(w.events) + 1))
		w.deliverWorkers(false)
		w.turn()
	}
}

func (w *world) anyOf(m map[string]*znode) (string, bool) {
	keys := slices.Sorted(maps.Keys(m))
	if len(keys) == 0 {
		return "", false
	}
	return keys[w.r.IntN(len(keys))], true
}
