package sched

import (
	"slices"
	"testing"
)

// What a new leader finds is taken for pending where a client made it. Where no worker tries it,
// only a read tells that it is finished.
func TestTasksFoundByANewLeader(t *testing.T) {
	ids := newIDs(mostFound + 2)
	t.Run("are read a few at a time, once those were assigned that could be", func(t *testing.T) {
		r := lead(t, ids, "w1")
		r.decides("assign " + ids[0] + " w1")
		r.carryOut()
		r.reads()
		r.after(foundPause)
		r.reads(ids[1 : 1+mostFound]...)
		for _, id := range ids[1 : 1+mostFound] {
			r.given(done(id, 1))
		}
		r.reads()
		r.after(foundPer)
		last := ids[1+mostFound]
		r.reads(last)
		r.given(pending(last, 0, 0))
		if got, want := r.s.Counts(), (Count{Pending: 1, Running: 1, Done: mostFound, Busy: 1, Oldest: r.s.Counts()[0].Oldest}); len(got) != 1 || got[0] != want {
			t.Errorf("counts %+v, want %+v", got, want)
		}
		r.after(2 * foundPer)
		r.reads()
	})
	t.Run("are not read again when they were read before, nor when they are gone", func(t *testing.T) {
		r := lead(t, ids[:3], "w1")
		r.decides("assign " + ids[0] + " w1")
		r.given(Refused{r.last[0], ids[0], Moved}, pending(ids[0], 0, 3), pending(ids[1], 0, 0), pending(ids[2], 0, 0))
		r.list(ids[0], ids[1])
		r.after(foundPause)
		r.decides("assign " + ids[0] + " w1")
		r.reads()
	})
	t.Run("are read, and what later listings add is not", func(t *testing.T) {
		r := lead(t, ids[:1])
		r.reads()
		r.list(ids[:3]...)
		r.after(foundPause)
		r.reads(ids[0])
	})
}

func TestTakeLossesReturnsEachLossOnce(t *testing.T) {
	a := newIDs(1)[0]
	r := lead(t, []string{a}, "w1", "w2")
	none := func(when string) {
		t.Helper()
		if got := r.s.TakeLosses(); len(got) != 0 {
			t.Errorf("%s: %q", when, got)
		}
	}
	r.decides("assign " + a + " w1")
	r.carryOut()
	r.given(WorkerGone{"w1", true})
	none("before the task was read")
	r.given(pending(a, 0, 0))
	if got := r.s.TakeLosses(); !slices.Equal(got, []string{""}) {
		t.Fatalf("%q", got)
	}
	none("after they were taken")
	r.decides("assign " + a + "! w2")
	r.given(Refused{r.last[0], a, Unusable}) // it may not be written for now: the same loss is found again
	r.after(releasePause)
	r.reads(a)
	r.given(pending(a, 0, 0))
	none("when the same loss is found again")
	r.decides("assign " + a + "! w2")
	r.carryOut()
	r.given(WorkerGone{"w2", true}, pending(a, 1, 1))
	if got := r.s.TakeLosses(); !slices.Equal(got, []string{""}) {
		t.Errorf("the next one: %q", got)
	}
}
