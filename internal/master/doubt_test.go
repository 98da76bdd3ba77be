package master

import (
	"testing"

	"taskkeeper/internal/task"
)

func TestDoubt(t *testing.T) {
	a := task.NewID()
	t.Run("a_task_that_is_not_as_assumed_has_ever_more_of_those_behind_it_read", func(t *testing.T) {
		var ids []string
		for range 5 * ahead {
			ids = append(ids, task.NewID())
		}
		v := viewOf(ids, "w1")
		doubted := func(want int) {
			t.Helper()
			m := v.decide()
			if len(m) != 1 {
				t.Fatalf("%d moves", len(m))
			}
			v.doubt(m[0].tasks[0].id)
			read := v.takeUnread(1 << 20)
			if len(read) != want+1 {
				t.Errorf("%d tasks are to be read, want %d and the one in doubt", len(read), want)
			}
			for _, id := range read {
				v.readTask(id, task.NewDone(nil), 1)
			}
		}
		for want := leastAhead; want <= ahead; want *= 2 {
			doubted(want)
		}
		doubted(ahead)
		m := v.decide()[0]
		v.done(m, 1)
		v.readWorker("w1", nil, 2)
		doubted(leastAhead) // since it was right in between
	})
	t.Run("a_task_made_long_ago_is_read_before_it_is_assigned", func(t *testing.T) {
		done, lost, odd := aged(), aged(), aged()
		v := viewOf([]string{done, lost, odd, a}, "w1", "w2")
		states := map[string]task.State{done: task.NewDone(nil), lost: task.NewPending(1), odd: {Phase: task.Odd}}
		v.done(decided(t, v, "assign "+a+" w1")[0], 1) // it need not wait for them
		for len(v.toRead) > 0 {
			for _, id := range v.takeUnread(10) {
				v.readTask(id, states[id], 0)
			}
		}
		ms := decided(t, v, "assign "+lost+" w2")
		if got := ms[0].tasks[0].losses; got != 1 {
			t.Errorf("%d losses", got)
		}
	})
	t.Run("of_many_made_long_ago_those_are_read_that_are_soon_assigned", func(t *testing.T) {
		var ids []string
		for range 10_000 {
			ids = append(ids, aged())
		}
		v := viewOf(ids, "w1", "w2", "w3")
		decided(t, v, "")
		given, reads := 0, 0
		for version := range int32(100) { // without a round in which nothing can be assigned
			read := v.takeUnread(1 << 20)
			if reads += len(read); reads > given+2*3*mostTurn {
				t.Fatalf("%d are read, %d were given", reads, given)
			}
			for _, id := range read {
				v.readTask(id, task.NewPending(0), 0)
			}
			ms := v.decide()
			if len(ms) != 3 {
				t.Fatalf("%d moves", len(ms))
			}
			for _, m := range ms {
				v.done(m, 2*version+1)
				v.readWorker(m.worker, nil, 2*version+2)
				v.taskGone(m.tasks[0].id)
				given++
			}
		}
	})
	t.Run("of_many_results_made_long_ago_ever_more_are_read_until_something_is_assigned", func(t *testing.T) {
		var ids []string
		for range 10_000 {
			ids = append(ids, aged())
		}
		v := viewOf(append(ids, a), "w1")
		rounds := 0
		for ; len(v.decide()) == 0 && rounds < 100; rounds++ {
			for _, id := range v.takeUnread(1 << 20) {
				v.readTask(id, task.NewDone(nil), 0)
			}
		}
		if rounds > 20 {
			t.Errorf("%d rounds", rounds)
		}
	})
}
