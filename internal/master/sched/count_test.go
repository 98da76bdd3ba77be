package sched

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

func TestCounts(t *testing.T) {
	ids := newIDs(3)
	a, b, c := ids[0], ids[1], ids[2]
	gpu := task.NewSubmitter("gpu").NewID()
	read := func(id string, state task.State) []Event {
		return []Event{Refused{Move{Kind: Assign, Tasks: []Claim{{ID: id}}}, id, Moved}, TaskRead{ID: id, State: state, Version: 1}}
	}
	for _, test := range []struct {
		name  string
		setup func(t *testing.T) *run
		want  []Count // without Oldest
		old   string  // the id of the oldest task that is pending in the default queue; "" none
	}{
		{"nothing is known", func(t *testing.T) *run { return lead(t, nil) }, nil, ""},
		{"tasks are pending, and there is no worker", func(t *testing.T) *run { return lead(t, ids) }, []Count{{Pending: 3}}, a},
		{"a task is made by hand", func(t *testing.T) *run { return lead(t, []string{"t1"}) }, []Count{{Pending: 1}}, ""},
		{"a worker is free", func(t *testing.T) *run { return lead(t, nil, "w1") }, []Count{{Free: 1}}, ""},
		{"queues are counted by themselves, by their names", func(t *testing.T) *run { return lead(t, []string{a, gpu}, "w1", "gpu.w1", "gpu.w2") },
			[]Count{{Pending: 1, Free: 1}, {Queue: "gpu", Pending: 1, Free: 2}}, a},
		{"an assignment was sent", func(t *testing.T) *run {
			r := lead(t, ids[:1], "w1")
			r.decide()
			return r
		}, []Count{{Pending: 1, Free: 1}}, ""},
		{"an assignment was carried out", func(t *testing.T) *run {
			r := lead(t, ids[:2], "w1")
			r.decides("assign " + a + " w1")
			r.carryOut()
			return r
		}, []Count{{Pending: 1, Running: 1, Busy: 1}}, b},
		{"all in a worker's list are running", func(t *testing.T) *run {
			r := lead(t, ids, "w1")
			r.given(WorkerRead{ID: "w1", Version: 1, List: []string{a, b}})
			return r
		}, []Count{{Pending: 1, Running: 2, Busy: 1}}, c},
		{"a task left its worker's list", func(t *testing.T) *run {
			r := lead(t, ids[:1], "w1")
			r.decide()
			r.carryOut()
			r.given(WorkerRead{ID: "w1", Version: 2})
			return r
		}, []Count{{Done: 1, Free: 1}}, ""},
		{"tasks are done, failed, malformed", func(t *testing.T) *run {
			r := lead(t, ids)
			r.given(slices.Concat(read(a, task.NewDone(nil)), read(b, task.NewFailed("so")), read(c, task.ParseState([]byte("banana"))))...)
			return r
		}, []Count{{Done: 1, Failed: 1, Malformed: 1}}, ""},
		{"a failed task is set back", func(t *testing.T) *run {
			r := lead(t, ids[:1])
			r.given(read(a, task.NewFailed("so"))...)
			r.given(pending(a, 0, 2))
			return r
		}, []Count{{Pending: 1}}, a},
		{"a task was lost too often", func(t *testing.T) *run {
			r := lead(t, ids[:1])
			r.given(read(a, task.NewPending(maxLosses))...)
			return r
		}, []Count{{Pending: 1}}, a},
		{"a task at its last attempt counts as pending", func(t *testing.T) *run {
			r := lead(t, ids[:1])
			r.given(read(a, task.NewPending(maxLosses-1))...)
			return r
		}, []Count{{Pending: 1}}, a},
		{"a worker is gone, its task is to be read", func(t *testing.T) *run {
			r := lead(t, ids[:1], "w1")
			r.decide()
			r.carryOut()
			r.given(WorkerGone{"w1", true})
			return r
		}, []Count{{Pending: 1}}, ""},
		{"a worker was never read, and one is none", func(t *testing.T) *run {
			r := lead(t, nil, "w1")
			r.given(WorkersListed{[]string{"w1", "new", "malformed"}}, WorkerUnusable{ID: "malformed", Malformed: true})
			return r
		}, []Count{{Free: 1}}, ""},
		{"workers drain, busy or free", func(t *testing.T) *run {
			r := lead(t, ids[:1], onHost1, alsoOn1, onHost10)
			r.given(drains("host1"), WorkerRead{ID: alsoOn1, Version: 1, List: []string{a}})
			return r
		}, []Count{{Running: 1, Free: 2, Busy: 1, Draining: 2}}, ""},
		{"a queue that nobody is in any more is forgotten", func(t *testing.T) *run {
			r := lead(t, []string{gpu})
			r.list()
			return r
		}, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.setup(t).s.Counts()
			var oldest time.Time
			for i := range got {
				if got[i].Queue == "" {
					oldest = got[i].Oldest
				}
				got[i].Oldest = time.Time{}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("counts %+v\nwant   %+v", got, test.want)
			}
			var want time.Time
			if test.old != "" {
				want = task.ParseName(test.old).Made
			}
			if !oldest.Equal(want) {
				t.Errorf("the oldest is of %v, want %v", oldest, want)
			}
		})
	}
}

// checkCounts compares Counts with what stands in ZooKeeper.
func (w *world) checkCounts() error {
	want := map[string][2]int{} // tasks and workers
	for id := range w.tasks {
		n := want[queueOf(id)]
		n[0]++
		want[queueOf(id)] = n
	}
	for id := range w.workers {
		n := want[queueOf(id)]
		n[1]++
		want[queueOf(id)] = n
	}
	for _, c := range w.s.Counts() {
		got := [2]int{c.Pending + c.Running + c.Done + c.Failed + c.Malformed, c.Free + c.Busy}
		if got != want[c.Queue] || c.Draining > c.Free+c.Busy {
			return fmt.Errorf("queue %q: %+v, and there are %v tasks and workers", c.Queue, c, want[c.Queue])
		}
		delete(want, c.Queue)
	}
	if len(want) > 0 {
		return fmt.Errorf("not counted: %v", want)
	}
	return nil
}
