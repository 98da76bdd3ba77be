package sched

import (
	"slices"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

func TestReleasedTask(t *testing.T) {
	ids := newIDs(2)
	a := ids[0]
	// released returns a leader whose worker w1 took a off its list.
	released := func(t *testing.T) *run {
		r := lead(t, ids[:1], "w1")
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.given(WorkerRead{ID: "w1", Version: 2})
		return r
	}
	t.Run("is assigned again only after a read, a while later", func(t *testing.T) {
		r := released(t)
		d := r.decide()
		if len(d.Moves)+len(d.ReadTasks) > 0 || !d.Wake.Equal(r.now.Add(releasePause)) {
			t.Fatalf("decided %+v", d)
		}
		r.after(releasePause)
		r.reads(a)
		r.given(pending(a, 0, 0))
		r.decides("assign " + a + " w1")
	})
	t.Run("that is finished stays so until somebody sets it back", func(t *testing.T) {
		r := released(t)
		r.after(releasePause)
		r.reads(a)
		r.given(done(a, 1))
		r.after(finishedPause)
		if d := r.decide(); !slices.Equal(d.Recheck, []Known{{ID: a, Version: 1}}) || len(d.Moves) > 0 {
			t.Fatalf("decided %+v", d)
		}
		r.given(pending(a, 0, 2))
		r.decides("assign " + a + " w1")
	})
	t.Run("that is never written is tried ever more rarely", func(t *testing.T) {
		r := released(t)
		var pauses []time.Duration
		for range 6 {
			began := r.now
			for len(r.decide().Moves) == 0 {
				r.after(time.Second)
				if d := r.decide(); len(d.ReadTasks) > 0 {
					r.given(pending(a, 0, 0))
				} else if len(d.Moves) > 0 {
					break
				}
			}
			pauses = append(pauses, r.now.Sub(began))
			r.given(Carried{r.last[0], r.last[0].Version + 1}, WorkerRead{ID: "w1", Version: r.last[0].Version + 2})
		}
		if !slices.IsSorted(pauses) || pauses[0] > 3*time.Second || pauses[5] < 20*time.Second {
			t.Errorf("pauses %v", pauses)
		}
	})
	t.Run("that a listing lacks is forgotten", func(t *testing.T) {
		r := released(t)
		r.list()
		r.after(time.Minute)
		if d := r.decide(); len(d.ReadTasks) > 0 || !d.Wake.IsZero() {
			t.Errorf("decided %+v", d)
		}
	})
}

// A failed task that is retried is noticed soon, although 20,000 results wait to be collected.
func TestRetryOfAFailedTaskIsNoticedAmong20000Results(t *testing.T) {
	ids := newIDs(20_001)
	r := lead(t, ids)
	for i, id := range ids {
		state := task.NewDone(nil)
		if i == 0 {
			state = task.NewFailed("so")
		}
		r.s.Handle(Refused{Move{Kind: Assign, Tasks: []Claim{{ID: id}}}, id, Moved}, r.now)
		r.s.Handle(TaskRead{ID: id, State: state, Version: 1}, r.now)
	}
	var last time.Time
	longest := time.Duration(0)
	for at := time.Duration(0); at < 20*time.Minute; at += 100 * time.Millisecond {
		r.after(100 * time.Millisecond)
		for _, k := range r.s.Decide(r.now).Recheck {
			if k.ID == ids[0] {
				if at > 10*time.Minute {
					longest = max(longest, r.now.Sub(last))
				}
				last = r.now
			}
		}
	}
	if longest == 0 || longest > 2*finishedPause || r.now.Sub(last) > 2*finishedPause {
		t.Errorf("the failed task is rechecked every %v, last %v ago", longest, r.now.Sub(last))
	}
}

func TestFinishedTasksAreRecheckedAtABoundedRate(t *testing.T) {
	ids := newIDs(1000)
	r := lead(t, ids)
	for _, id := range ids {
		r.s.Handle(Refused{Move{Kind: Assign, Tasks: []Claim{{ID: id}}}, id, Moved}, r.now)
		r.s.Handle(TaskRead{ID: id, State: task.NewDone(nil), Version: 1}, r.now)
	}
	// Whatever is still pending is read as finished, too.
	for d := r.decide(); len(d.ReadTasks) > 0; d = r.decide() {
		for _, id := range d.ReadTasks {
			r.s.Handle(TaskRead{ID: id, State: task.NewDone(nil), Version: 1}, r.now)
		}
	}
	n := 0
	r.after(finishedPause)
	for end := r.now.Add(time.Second); r.now.Before(end); r.after(10 * time.Millisecond) {
		n += len(r.decide().Recheck)
	}
	if n < 400 || n > 500 {
		t.Errorf("%d of 1,000 finished tasks were rechecked in a second", n)
	}
}

func TestWithdrawnTask(t *testing.T) {
	ids := newIDs(2)
	a, b := ids[0], ids[1]
	t.Run("is revoked once a listing lacks it that began after its worker was read", func(t *testing.T) {
		r := lead(t, ids, "w1")
		r.given(WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w2", List: []string{a, b}, Version: 1, Listings: 2})
		r.listing = 1
		r.list(b) // it began before
		if d := r.decide(); len(d.Moves) > 0 && d.Moves[0].Kind == Revoke || !d.Relist {
			t.Fatalf("decided %+v", d)
		}
		r.list(b)
		r.decides("revoke " + a + " w2")
		if m := r.last[0]; !slices.Equal(m.List, []string{b}) || m.Version != 1 {
			t.Errorf("move %+v", m)
		}
	})
	t.Run("is revoked, and the worker is still asked for the others", func(t *testing.T) {
		r := lead(t, ids, "w1")
		r.given(WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w2", List: []string{a, b}, Back: []string{b}, Version: 1})
		r.list(b)
		r.decides("revoke " + a + " w2")
		if m := r.last[0]; !slices.Equal(m.Back, []string{b}) {
			t.Errorf("move %+v", m)
		}
	})
}
