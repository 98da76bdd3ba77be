package sched

import (
	"slices"
	"testing"

	"taskkeeper/internal/task"
)

func TestAssignment(t *testing.T) {
	ids := newIDs(6)
	a, b, c := ids[0], ids[1], ids[2]

	t.Run("reserves the task and the worker until its outcome is known", func(t *testing.T) {
		r := lead(t, ids[:2], "w1")
		r.decides("assign " + a + " w1")
		move := r.last[0]
		r.decides()
		r.given(Carried{move, 1}, WorkerRead{ID: "w1", Version: 2})
		r.decides("assign " + b + " w1")
	})
	t.Run("that was not sent is decided again", func(t *testing.T) {
		r := lead(t, ids[:1], "w1")
		r.decides("assign " + a + " w1")
		r.given(NotSent{r.last[0]})
		r.decides("assign " + a + " w1")
	})
	t.Run("keeps a task in its queue", func(t *testing.T) {
		gpu := task.NewSubmitter("gpu").NewID()
		r := lead(t, []string{a, gpu, "gpu.t1"}, "w1", "gpu.w1", "gpu.w2")
		r.decides("assign "+a+" w1", "assign "+gpu+" gpu.w1")
		r.given(pending("gpu.t1", 0, 0))
		r.decides("assign gpu.t1 gpu.w2")
	})
	t.Run("of a task made by hand waits until the task's state was read", func(t *testing.T) {
		r := lead(t, []string{"t1", "t2"}, "w1")
		r.decides()
		r.reads("t1", "t2")
		r.given(done("t1", 0), pending("t2", 0, 3))
		r.decides("assign t2 w1")
		if c := r.last[0].Tasks[0]; c.Version != 3 {
			t.Errorf("claim %+v", c)
		}
	})
	t.Run("goes to no worker that is unusable", func(t *testing.T) {
		r := lead(t, ids[:2], "w1", "w2")
		r.decides("assign "+a+" w1", "assign "+b+" w2")
		r.given(Refused{r.last[0], "", Unusable}, NotSent{r.last[1]})
		r.decides("assign " + a + " w2")
		r.given(WorkerChanged{"w1", 1}, WorkerRead{ID: "w1", Version: 1})
		r.decides("assign " + b + " w1")
	})
	t.Run("that was refused for its worker has the worker read", func(t *testing.T) {
		for _, why := range []Why{Moved, Gone} {
			r := lead(t, ids[:1], "w1")
			r.decides("assign " + a + " w1")
			r.given(Refused{r.last[0], "", why})
			if d := r.decide(); !slices.Equal(d.ReadWorkers, []string{"w1"}) || len(d.Moves) > 0 {
				t.Errorf("decided %+v", d)
			}
		}
	})
	t.Run("waits after a reconnect until every worker was read", func(t *testing.T) {
		r := lead(t, ids[:1], "w1", "w2", "malformed")
		r.given(WorkerUnusable{ID: "malformed", Malformed: true}, AllChanged{})
		if d := r.decide(); !slices.Equal(d.ReadWorkers, []string{"malformed", "w1", "w2"}) || len(d.Moves) > 0 {
			t.Errorf("decided %+v", d)
		}
	})
	t.Run("ends when the worker's list becomes malformed", func(t *testing.T) {
		r := lead(t, ids[:1], "w1", "w2")
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.given(WorkerUnusable{ID: "w1", Malformed: true})
		r.after(releasePause)
		r.reads(a)
		r.given(pending(a, 0, 0))
		r.decides("assign " + a + " w2")
	})
	t.Run("goes to a worker again only when a read says that it is free", func(t *testing.T) {
		r := lead(t, ids[:2], "w1")
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.given(WorkerChanged{"w1", 1}) // its own write
		if d := r.decide(); len(d.ReadWorkers) > 0 {
			t.Errorf("the event of the leader's own write makes the leader read %q", d.ReadWorkers)
		}
		r.given(WorkerChanged{"w1", 1})
		if d := r.decide(); !slices.Equal(d.ReadWorkers, []string{"w1"}) || len(d.Moves) > 0 {
			t.Errorf("decided %+v", d)
		}
		r.given(WorkerRead{ID: "w1", Version: 2})
		r.decides("assign " + b + " w1")
	})
	t.Run("that was refused for one task is decided again with the others", func(t *testing.T) {
		for why, reads := range map[Why][]string{Gone: nil, Moved: {b}, Unusable: nil} {
			r := lead(t, []string{a}, "w1", "w2")
			r.decides("assign " + a + " w1")
			r.list(a, b)
			r.decides("assign " + b + " w2")
			r.given(Refused{r.last[0], b, why})
			r.reads(reads...)
			if why == Gone {
				r.list(a, c)
			} else {
				r.list(a, b, c)
			}
			r.decides("assign " + c + " w2")
		}
	})
	t.Run("whose outcome is unknown is settled by what is read", func(t *testing.T) {
		r := lead(t, ids[:1], "w1", "w2")
		r.decides("assign " + a + " w1")
		r.given(Unknown{r.last[0]})
		if d := r.decide(); !slices.Equal(d.ReadWorkers, []string{"w1"}) || !slices.Equal(d.ReadTasks, []string{a}) || len(d.Moves) > 0 {
			t.Errorf("decided %+v", d)
		}
		r.given(WorkerRead{ID: "w1", List: []string{a}, Version: 1}, pending(a, 0, 0))
		r.decides() // it was carried out
		r = lead(t, ids[:1], "w1", "w2")
		r.decides("assign " + a + " w1")
		r.given(Unknown{r.last[0]}, WorkerRead{ID: "w1"})
		r.decides()
		r.given(pending(a, 0, 0))
		r.decides("assign " + a + " w1")
	})
	t.Run("whose outcome is unknown counts a loss once", func(t *testing.T) {
		for _, carriedOut := range []bool{false, true} {
			r := lead(t, nil, "w1", "w2", "w3")
			held := WorkerRead{ID: "w1", List: []string{a}, Version: 1}
			r.given(held)
			r.list(a)
			r.given(pending(a, 0, 5), held, WorkerGone{"w1", true}, pending(a, 0, 5))
			r.decides("assign " + a + "! w2")
			r.given(Unknown{r.last[0]})
			if carriedOut {
				held.ID = "w2"
				r.given(held, pending(a, 1, 6), held, WorkerGone{"w2", true}, pending(a, 1, 6))
			} else {
				r.given(WorkerRead{ID: "w2"}, WorkerUnusable{ID: "w2"}, pending(a, 0, 5))
			}
			r.decides("assign " + a + "! w3")
		}
	})
	t.Run("typed by hand keeps the task from other workers", func(t *testing.T) {
		r := lead(t, nil, "w1", "w2")
		held := WorkerRead{ID: "w2", List: []string{a}, Version: 1}
		r.given(held)
		r.list(a, b)
		r.given(pending(a, 0, 0), held)
		r.decides("assign " + b + " w1")
	})
	t.Run("that was refused has a growing number of other tasks read", func(t *testing.T) {
		ids := newIDs(2000)
		r := lead(t, ids, "w1")
		for _, want := range []int{leastAhead, 2 * leastAhead} {
			d := r.decide()
			r.given(Refused{d.Moves[0], d.Moves[0].Tasks[0].ID, Moved})
			n := 0
			for {
				d := r.decide()
				if len(d.Moves) == 1 {
					r.given(NotSent{d.Moves[0]})
				}
				if len(d.ReadTasks) == 0 {
					break
				}
				for _, id := range d.ReadTasks {
					n++
					r.given(done(id, 1))
				}
			}
			if n < want || n > want+want/4+2 {
				t.Errorf("%d were read, want about %d", n, want)
			}
		}
	})
}
