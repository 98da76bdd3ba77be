package sched

import (
	"fmt"
	"slices"
	"testing"
)

func TestLostWorker(t *testing.T) {
	ids := newIDs(4)
	a, b := ids[0], ids[1]
	// lost returns a leader that assigned a, with that many losses at version 5, to
	// w1, which is gone.
	lost := func(t *testing.T, losses int, blame bool) *run {
		r := lead(t, nil, "w1", "w2")
		r.given(WorkerUnusable{ID: "w2"})
		r.list(a)
		r.decides("assign " + a + " w1")
		r.given(Refused{r.last[0], a, Moved}, pending(a, losses, 5))
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.given(WorkerGone{"w1", blame}, WorkerChanged{"w2", 0}, WorkerRead{ID: "w2"})
		return r
	}
	t.Run("is gone only when a read says so", func(t *testing.T) {
		r := lead(t, ids[:1], "w1", "w2")
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.given(WorkersListed{[]string{"w2"}})
		if d := r.decide(); !slices.Equal(d.ReadWorkers, []string{"w1"}) || len(d.Moves) > 0 {
			t.Fatalf("decided %+v", d)
		}
		r.given(WorkerRead{ID: "w1", List: []string{a}, Version: 1}) // the listing was old
		r.decides()
	})
	t.Run("costs its first task a loss, at the version of the assignment", func(t *testing.T) {
		r := lost(t, 0, true)
		r.decides()
		r.given(pending(a, 0, 5))
		r.decides("assign " + a + "! w2")
		if c := r.last[0].Tasks[0]; c.Version != 5 || c.Losses != 0 {
			t.Errorf("claim %+v", c)
		}
	})
	t.Run("costs a second loss, at the version that the first one was written at", func(t *testing.T) {
		r := lost(t, 0, true)
		r.given(pending(a, 0, 5))
		r.decides("assign " + a + "! w2")
		r.carryOut()
		r.given(WorkersListed{[]string{"w2", "w3"}}, WorkerRead{ID: "w3"}, WorkerGone{"w2", true}, pending(a, 1, 6))
		r.decides("assign " + a + "! w3")
		if c := r.last[0].Tasks[0]; c.Version != 6 || c.Losses != 1 {
			t.Errorf("claim %+v", c)
		}
	})
	t.Run("costs a loss though its count may not be written at first", func(t *testing.T) {
		r := lost(t, 0, true)
		r.given(pending(a, 0, 5))
		r.decides("assign " + a + "! w2")
		r.given(Refused{r.last[0], a, Unusable}) // over a quota
		r.after(releasePause)
		r.reads(a)
		r.given(pending(a, 0, 5))
		r.decides("assign " + a + "! w2")
	})
	t.Run("costs no loss where the task was written since", func(t *testing.T) {
		r := lost(t, 0, true)
		r.given(pending(a, 0, 6))
		r.decides("assign " + a + " w2")
	})
	t.Run("costs no loss soon after an outage", func(t *testing.T) {
		r := lost(t, 0, false)
		r.given(pending(a, 0, 5))
		r.decides("assign " + a + " w2")
	})
	t.Run("costs the tasks behind the first no loss, and they are assigned one at a time", func(t *testing.T) {
		r := lead(t, nil, "w1", "w2", "w3")
		held := WorkerRead{ID: "w1", List: ids[:3], Version: 1}
		r.given(WorkerUnusable{ID: "w2"}, WorkerUnusable{ID: "w3"}, held)
		r.list(ids...)
		r.given(pending(ids[0], 0, 0), held, WorkerGone{"w1", true}, pending(ids[0], 0, 0), pending(ids[1], 0, 0), pending(ids[2], 0, 0))
		r.given(WorkerChanged{"w2", 0}, WorkerRead{ID: "w2"})
		for i := range 3 {
			want := fmt.Sprintf("assign %s w2", ids[i])
			if i == 0 {
				want = fmt.Sprintf("assign %s! w2", ids[i])
			}
			r.decides(want)
			r.carryOut()
			r.given(WorkerRead{ID: "w2", Version: r.last[0].Version + 2})
		}
	})
	t.Run("fails a task by the last loss allowed", func(t *testing.T) {
		r := lost(t, 2, true)
		r.given(pending(a, 2, 5))
		r.decides("fail " + a + "!")
		move := r.last[0]
		r.decides()
		r.given(Carried{Move: move})
		r.decides()
	})
	t.Run("fails no task where there is no limit", func(t *testing.T) {
		r := lost(t, 99, true)
		r.s.maxLosses = 0
		r.given(pending(a, 99, 5))
		r.decides("assign " + a + "! w2")
	})
	t.Run("keeps two tasks at their last attempt in different processes", func(t *testing.T) {
		r := lead(t, nil)
		r.given(WorkersListed{[]string{"w1", "w2", "w3"}}, WorkerRead{ID: "w1", Session: 1}, WorkerRead{ID: "w2", Session: 1}, WorkerRead{ID: "w3", Session: 2})
		r.list("t1", "t2", "t3")
		r.given(pending("t1", 2, 4), pending("t2", 2, 4), pending("t3", 2, 4))
		r.decides("assign t1 w1", "assign t2 w3")
		r.carryOut()
		r.list("t1", "t2", "t3", b)
		r.decides("assign " + b + " w2") // others need not wait
		r.carryOut()
		r.given(WorkerRead{ID: "w1", Session: 1, Version: 2})
		r.decides("assign t3 w1")
	})
}
