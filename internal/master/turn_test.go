package master

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

func TestTurnSize(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name        string
		given, next int
		took        time.Duration
		want        int
		untold      bool
	}{
		{"a_short_turn_doubles_it", 1, 0, 10 * ms, 2, false},
		{"also_one_that_nobody_told_of", 1, 0, 10 * ms, 2, true},
		{"when_it_ended_nobody_may_know", 8, 8, longTurn + calm, 8, true},
		{"but_that_it_was_long", 8, 8, 1200*ms + calm, 1, true},
		{"and_again", 8, 8, shortTurn, 16, false},
		{"but_not_without_end", mostTurn, mostTurn, ms, mostTurn, false},
		{"a_turn_that_was_not_full_says_nothing", 3, 8, ms, 8, false},
		{"a_turn_of_middle_length_keeps_it", 8, 8, 200 * ms, 8, false},
		{"a_long_turn_shrinks_it_to_what_fits", 16, 16, 1200 * ms, 2, false},
		{"to_one_at_least", 2, 2, time.Minute, 1, false},
		{"a_long_task_stays_alone", 1, 1, time.Second, 1, false},
		{"what_another_gave_says_nothing", 0, 4, time.Minute, 4, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			got := turn{given: c.given, began: began, next: c.next}.ended(began.Add(c.took), !c.untold)
			if got.size() != c.want || c.given > 0 && got.given != 0 {
				t.Errorf("%+v, want %d", got, c.want)
			}
		})
	}
}

// turning is a view with tasks and free workers whose turns are of some size.
func turning(tasks, size int, workers ...string) (*view, []string) {
	v := newView(3)
	v.shorts = rare * mostTurn
	var ids []string
	for range tasks {
		ids = append(ids, task.NewID())
	}
	v.asked++
	v.now = time.Now()
	v.listTasks(ids, v.asked, time.Now())
	v.listWorkers(workers)
	for _, w := range workers {
		v.readWorker(w, nil, 0)
		v.workers[w].turn.next = size
	}
	return v, ids
}

// given is how many tasks each move has, and what it does.
func given(moves []move) (s []string) {
	for _, m := range moves {
		s = append(s, fmt.Sprintf("%s %s %d, keeps %d", []string{"assign", "takeBack", "fail", "spare"}[m.kind], m.worker, len(m.tasks), len(m.list)))
	}
	return s
}

func want(t *testing.T, got []move, want ...string) {
	t.Helper()
	if !slices.Equal(given(got), want) {
		t.Fatalf("decided %q, want %q", given(got), want)
	}
}

func TestTurns(t *testing.T) {
	t.Run("are_as_long_as_each_worker_may_have_them", func(t *testing.T) {
		v, _ := turning(100, 8, "w1", "w2")
		v.workers["w2"].turn.next = 0
		want(t, v.decide(), "assign w1 8, keeps 8", "assign w2 1, keeps 1")
	})
	t.Run("leave_their_share_to_workers_that_are_busy", func(t *testing.T) {
		v, ids := turning(9, 64, "w1", "w2")
		v.listWorkers([]string{"w1", "w2", "w3"})
		v.readWorker("w3", ids[:1], 1)
		want(t, v.decide(), "assign w1 3, keeps 3", "assign w2 3, keeps 3")
	})
	t.Run("are_of_one_soon_after_a_long_task", func(t *testing.T) {
		for _, c := range []struct {
			shorts int
			want   string
		}{
			{0, "assign w1 1, keeps 1"},
			{2*rare - 1, "assign w1 1, keeps 1"},
			{2 * rare, "assign w1 2, keeps 2"},
			{5 * rare, "assign w1 5, keeps 5"},
			{1000 * rare, "assign w1 64, keeps 64"},
		} {
			v, _ := turning(1000, mostTurn, "w1")
			v.shorts = c.shorts
			m := v.decide()
			want(t, m, c.want)
			v.done(m[0], 1)
			if given := v.shorts - c.shorts; given != len(m[0].tasks) {
				t.Errorf("%d more are short", given)
			}
		}
	})
	t.Run("tell_what_is_long", func(t *testing.T) {
		const begun = 2 * 2 // by two workers
		for _, c := range []struct {
			name    string
			still   time.Duration
			begun   int // meanwhile
			watched bool
			size    int // of the worker's turns
			long    bool
			counts  bool
		}{
			{"others have had two turns each", calm, begun, true, 2, true, true},
			{"the machine stands still", time.Hour, begun - 1, true, 2, false, false},
			{"it may well be done", calm, begun, false, 2, false, false},
			{"not for long", calm - 1, begun, true, 2, false, false},
			{"its worker is slow", calm, begun, true, 1, true, false},
		} {
			v, ids := turning(10, c.size, "w1", "w2")
			v.begun = 1000
			v.readWorker("w2", ids[:1], 1)
			if c.watched {
				v.watching("w2")
			}
			v.begun += c.begun
			v.now = v.now.Add(c.still)
			v.noteLong()
			if long, counts := v.workers["w2"].long, v.shorts == 0; long != c.long || counts != c.counts {
				t.Errorf("%s: long is %t, which counts is %t", c.name, long, counts)
			}
			v.shorts = 1
			if v.noteLong(); v.shorts != 1 {
				t.Errorf("%s: counted twice", c.name)
			}
			v.readWorker("w2", ids[1:2], 2)
			if v.workers["w2"].long {
				t.Errorf("%s: so is the next one", c.name)
			}
		}
	})
	t.Run("grow_while_they_are_short", func(t *testing.T) {
		v, _ := turning(1000, 0, "w1")
		version := int32(0)
		for n := 1; n <= mostTurn; n *= 2 {
			m := v.decide()
			want(t, m, fmt.Sprintf("assign w1 %d, keeps %d", n, n))
			version++
			v.done(m[0], version)
			v.now = v.now.Add(10 * time.Millisecond)
			version++
			v.readWorker("w1", nil, version)
		}
	})
	t.Run("shrink_when_they_are_long", func(t *testing.T) {
		v, _ := turning(1000, 8, "w1")
		m := v.decide()
		v.done(m[0], 1)
		v.watching("w1")
		v.now = v.now.Add(time.Second)
		v.fired("w1")
		v.readWorker("w1", nil, 2)
		want(t, v.decide(), "assign w1 1, keeps 1")
	})
	t.Run("of_a_task_that_was_lost_have_no_other", func(t *testing.T) {
		v, ids := turning(10, 8, "w1", "w2")
		v.readTask(ids[0], task.NewPending(1), 1)
		want(t, v.decide(), "assign w1 1, keeps 1", "assign w2 5, keeps 5")
	})
}

func TestSpare(t *testing.T) {
	// w1 executes the first of four tasks, and stands still; w2 is free.
	stands := func(t *testing.T, still time.Duration, more ...string) *view {
		v, ids := turning(4, 4, "w1")
		m := v.decide()
		want(t, m, "assign w1 4, keeps 4")
		v.done(m[0], 1)
		if !slices.Equal(v.workers["w1"].list, ids) {
			t.Fatalf("given %q", v.workers["w1"].list)
		}
		v.watching("w1")
		v.now = v.now.Add(still)
		v.listWorkers(append(more, "w1"))
		for _, w := range more {
			v.readWorker(w, nil, 0)
			v.watching(w)
		}
		return v
	}
	t.Run("tasks_go_to_free_workers_one_each", func(t *testing.T) {
		v := stands(t, stuck, "w2", "w3")
		m := v.decide()
		want(t, m, "spare w1 2, keeps 2")
		v.done(m[0], 2)
		want(t, v.decide(), "assign w2 1, keeps 1", "assign w3 1, keeps 1")
	})
	t.Run("tasks_go_at_the_version_known", func(t *testing.T) {
		v := stands(t, stuck, "w2", "w3", "w4", "w5")
		first := v.workers["w1"].list[0]
		m := v.decide()
		want(t, m, "spare w1 3, keeps 1")
		if m[0].list[0] != first {
			t.Error("what is executed is taken away")
		}
		v.done(m[0], 2)
		for _, m := range v.decide() {
			if c := m.tasks[0]; m.kind != assign || c.version != 0 || c.lost || c.losses != 0 {
				t.Errorf("%+v", m)
			}
		}
	})
	t.Run("tasks_stay_while_no_worker_is_free", func(t *testing.T) {
		v := stands(t, stuckLong-1)
		want(t, v.decide())
		if at := v.recheck.Sub(v.now); at != 1 {
			t.Errorf("looks again after %v", at)
		}
	})
	t.Run("all_tasks_go_from_behind_a_long_one", func(t *testing.T) {
		v := stands(t, stuckLong)
		m := v.decide()
		want(t, m, "spare w1 3, keeps 1")
		v.done(m[0], 2)
		if n := v.queue.len(); n != 3 {
			t.Errorf("%d wait", n)
		}
		if v.shorts != 0 {
			t.Errorf("%d are short", v.shorts)
		}
		v = stands(t, stuckLong, "w2")
		want(t, v.decide(), "spare w1 3, keeps 1")
	})
	t.Run("all_tasks_go_at_once_from_behind_one_that_is_known_to_be_long", func(t *testing.T) {
		v := stands(t, calm-1)
		v.begun += overtakers
		want(t, v.decide())
		if at := v.recheck.Sub(v.now); at != 1 {
			t.Errorf("looks again after %v", at)
		}
		v.now = v.now.Add(1)
		want(t, v.decide(), "spare w1 3, keeps 1")
	})
	t.Run("tasks_stay_while_others_wait", func(t *testing.T) {
		v := stands(t, stuckLong-1, "w2")
		v.asked++
		v.listTasks(append(slices.Clone(v.workers["w1"].list), task.NewID()), v.asked, time.Now())
		want(t, v.decide(), "assign w2 1, keeps 1")
	})
	t.Run("tasks_stay_while_their_worker_gets_on", func(t *testing.T) {
		v := stands(t, stuck-1, "w2")
		want(t, v.decide())
		if at := v.recheck.Sub(v.now); at != 1 {
			t.Errorf("looks again after %v", at)
		}
		v.readWorker("w1", v.workers["w1"].list[1:], 2)
		v.watching("w1")
		v.now = v.now.Add(1)
		want(t, v.decide())
		v.now = v.now.Add(stuck)
		want(t, v.decide(), "spare w1 1, keeps 2")
	})
	t.Run("tasks_that_two_workers_list_stay", func(t *testing.T) {
		v := stands(t, stuck, "w2")
		v.listWorkers([]string{"w1", "w2", "w3"})
		v.readWorker("w3", v.workers["w1"].list, 1) // typed
		want(t, v.decide())
	})
	t.Run("tasks_of_a_worker_that_is_left_alone_stay", func(t *testing.T) {
		v := stands(t, stuck, "w2")
		v.ignoreWorker("w1")
		want(t, v.decide())
	})
}
