package sched

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestNewLeader(t *testing.T) {
	ids := newIDs(3)
	a, b := ids[0], ids[1]

	t.Run("decides nothing until it has listed tasks and workers, and read every worker and the losses of what the workers execute", func(t *testing.T) {
		r := &run{t: t, s: New(3)}
		held := WorkerRead{ID: "w2", List: []string{b}, Version: 1}
		for _, e := range []Event{
			TasksListed{[]string{a, b}, 1}, WorkersListed{[]string{"w1", "w2"}}, DrainsListed{}, WorkerRead{ID: "w1"}, held,
		} {
			r.decides()
			r.given(e)
		}
		r.reads(b)
		r.decides()
		r.given(pending(b, 1, 3))
		r.decides()
		r.given(held)
		r.decides("assign " + a + " w1")
	})
	t.Run("decides nothing while the znode of any worker is to be read", func(t *testing.T) {
		r := lead(t, nil, "w1", "w2")
		r.decides() // it knows all that a new leader must know
		r.list(a)
		r.given(WorkerChanged{"w2", 1})
		r.decides()
		r.given(WorkerRead{ID: "w2", List: []string{a}, Version: 1}) // by hand
		r.decides()
		r.list(a, b)
		r.given(WorkersListed{[]string{"w1", "w2", "w3"}})
		r.decides()
		r.given(WorkerRead{ID: "w3", List: []string{b}}) // made so, by hand
		r.decides()
	})
	t.Run("reads the losses of a task that a worker comes to later", func(t *testing.T) {
		r := &run{t: t, s: New(3)}
		r.given(DrainsListed{}, TasksListed{[]string{a, b}, 1}, WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w1", List: []string{a, b}, Version: 1}, WorkerRead{ID: "w2"})
		r.reads(a)
		next := WorkerRead{ID: "w1", List: []string{b}, Version: 2}
		r.given(pending(a, 0, 1), next)
		r.reads(b)
		r.given(pending(b, 1, 4), next, WorkerGone{"w1", true}, pending(b, 1, 4))
		r.decides("assign " + b + "! w2")
	})
	t.Run("reads the losses although it lists /tasks last", func(t *testing.T) {
		r := &run{t: t, s: New(3)}
		r.given(DrainsListed{}, WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w1"}, WorkerRead{ID: "w2", List: []string{b}, Version: 1})
		r.decides()
		r.list(a, b)
		if d := r.decide(); !slices.Equal(d.ReadTasks, []string{b}) || len(d.Moves) > 0 {
			t.Errorf("decided %+v", d)
		}
	})
	t.Run("reads every worker first, however many there are", func(t *testing.T) {
		r := &run{t: t, s: New(3)}
		names := []string{"w1"}
		for i := range mostAwaited + 1 {
			names = append(names, fmt.Sprint("x", i))
		}
		r.s.Handle(WorkersListed{names}, r.now)
		r.given(WorkerRead{ID: "w1"})
		r.list(a)
		r.decides()
	})
	t.Run("does not wait for thousands of names under /workers that came at once", func(t *testing.T) {
		r := lead(t, []string{a}, "w1", "w2")
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.list(a, b)
		names := []string{"w1", "w2"}
		for i := range mostAwaited + 1 {
			names = append(names, fmt.Sprint("x", i))
		}
		r.given(WorkersListed{names})
		d := r.decide()
		if len(d.Moves) != 1 || len(d.ReadWorkers) != mostWorkerReads || d.Blocked {
			t.Errorf("decided %d moves, reads %d", len(d.Moves), len(d.ReadWorkers))
		}
	})
	t.Run("goes on when the state of what a worker executes may not be read", func(t *testing.T) {
		r := &run{t: t, s: New(3)}
		r.given(DrainsListed{}, TasksListed{[]string{a, b}, 1}, WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w1"},
			WorkerRead{ID: "w2", List: []string{b}, Version: 1}, TaskUnusable{b})
		r.decides("assign " + a + " w1")
	})
	t.Run("counts the loss of what a leader before it assigned", func(t *testing.T) {
		r := &run{t: t, s: New(3)}
		held := WorkerRead{ID: "w2", List: []string{b}, Version: 1}
		r.given(DrainsListed{}, WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w1"}, held,
			TasksListed{[]string{b}, 1}, pending(b, 1, 3), held, WorkerGone{"w2", true}, pending(b, 1, 3))
		r.decides("assign " + b + "! w1")
		if c := r.last[0].Tasks[0]; c.Version != 3 || c.Losses != 1 {
			t.Errorf("claim %+v", c)
		}
	})
}

// The worker gives its task back between the new leader's reads of its list and of the
// task's state.
func TestWorkerThatLeavesDuringATakeOver(t *testing.T) {
	for _, tt := range []struct {
		name  string
		still bool // it had the task after that
		want  string
	}{
		{"costs no loss if its list was read before the task's state", false, ""},
		{"costs a loss if its list was read again after the task's state", true, "!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := newIDs(1)[0]
			r := &run{t: t, s: New(3), now: time.Unix(1_000_000, 0)}
			r.given(WorkersListed{[]string{"w1"}}, DrainsListed{}, WorkerRead{ID: "w1", List: []string{id}, Version: 1})
			r.list(id)
			r.reads(id)
			r.given(pending(id, 0, 1))
			if d := r.decide(); !slices.Equal(d.ReadWorkers, []string{"w1"}) {
				t.Errorf("reads %q: the list may be older than the state", d.ReadWorkers)
			}
			if tt.still {
				r.given(WorkerRead{ID: "w1", List: []string{id}, Version: 1})
			}
			r.given(WorkerGone{"w1", true})
			r.reads(id)
			r.given(pending(id, 0, 1), WorkersListed{[]string{"w2"}}, WorkerRead{ID: "w2"})
			r.decides("assign " + id + tt.want + " w2")
		})
	}
}
