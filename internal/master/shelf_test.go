package master

import (
	"slices"
	"testing"

	"taskkeeper/internal/task"
)

func TestShelves(t *testing.T) {
	a := task.NewID()
	t.Run("a_result_listed_by_hand_again_and_again_is_never_forgotten", func(t *testing.T) {
		for _, read := range []bool{false, true} { // in between
			v := viewOf([]string{a}, "w1")
			v.readTask(a, task.NewDone(nil), 1)
			version := int32(0)
			for range 3 {
				v.readWorker("w1", []string{a}, version+1)
				for range shelfLife {
					v.nextTick(10)
				}
				v.readWorker("w1", nil, version+2)
				version += 2
				for range shelfLife {
					v.nextTick(10)
				}
				got := v.takeUnread(10)
				if !slices.Equal(got, []string{a}) {
					t.Fatalf("to be read: %q", got)
				}
				if read {
					v.unchanged(a)
				}
			}
		}
	})
	t.Run("a_task_that_left_a_list_is_read_before_results_that_nobody_collects", func(t *testing.T) {
		var ids []string
		for range 10_000 {
			ids = append(ids, task.NewID())
		}
		v := viewOf(append(ids, a), "w1")
		for _, id := range ids {
			v.readTask(id, task.NewDone(nil), 1)
		}
		v.readWorker("w1", []string{a}, 1)
		v.readWorker("w1", nil, 2)
		reads := 0
		for range shelfLife {
			v.nextTick(100)
			for _, id := range v.takeUnread(1 << 20) {
				if id == a {
					return
				}
				v.readTask(id, task.NewDone(nil), 1)
				reads++
			}
		}
		t.Errorf("not after %d reads of others", reads)
	})
	t.Run("a_task_that_comes_back_and_is_never_written_waits_ever_longer", func(t *testing.T) {
		v := viewOf([]string{a}, "w1")
		var pauses []int
		version, pause := int32(0), 0
		round := func(state int32) {
			for pause = 0; len(v.decide()) == 0; pause++ {
				v.nextTick(10)
				for _, id := range v.takeUnread(10) {
					v.readTask(id, task.NewPending(0), state)
				}
			}
			v.readWorker("w1", []string{a}, version+1) // as it was decided
			v.readWorker("w1", nil, version+2)         // and it was not written
			version += 2
		}
		for range 30 {
			round(0)
			pauses = append(pauses, pause)
		}
		if !slices.IsSorted(pauses) || pauses[3] != shelfLife+1 && pauses[2] > shelfLife+1 || pauses[len(pauses)-1] < longestPause {
			t.Errorf("pauses of %d ticks", pauses)
		}
		round(1) // it was written
		if round(1); pause > shelfLife+1 {
			t.Errorf("a pause of %d ticks after it was written", pause)
		}
	})
	t.Run("a_task_that_left_a_list_is_not_given_again_before_it_was_read", func(t *testing.T) {
		v := viewOf([]string{a}, "w1")
		v.done(decided(t, v, "assign "+a+" w1")[0], 1)
		v.readWorker("w1", nil, 2)
		decided(t, v, "")
		for range shelfLife {
			v.nextTick(10)
		}
		if got := v.takeUnread(10); !slices.Equal(got, []string{a}) {
			t.Fatalf("to be read: %q", got)
		}
		decided(t, v, "")
		v.readTask(a, task.NewPending(0), 0) // someone typed: set /workers/w1 ""
		decided(t, v, "assign "+a+" w1")
	})
}
