package master

import (
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

func TestView(t *testing.T) {
	kinds := func(ms []move) string {
		var s []string
		for _, m := range ms {
			text := []string{"assign", "takeBack", "fail", "spare"}[m.kind]
			for _, c := range m.tasks {
				text += " " + c.id
				if c.lost {
					text += "!"
				}
			}
			s = append(s, text+" "+m.worker)
		}
		return strings.Join(s, ", ")
	}
	expect := func(t *testing.T, v *view, want string) []move {
		t.Helper()
		ms := v.decide()
		if got := kinds(ms); got != want {
			t.Fatalf("decided %q, want %q", got, want)
		}
		return ms
	}
	// a and b are ids as clients make them, a the older.
	a, b := task.NewID(), task.NewID()
	fresh := func(tasks []string, workers ...string) *view {
		v := newView(3)
		v.asked++
		v.listTasks(tasks, v.asked, time.Now())
		v.listWorkers(workers)
		for _, w := range workers {
			v.readWorker(w, nil, 0)
		}
		return v
	}

	t.Run("a_new_leader_decides_nothing_until_it_listed_both_and_read_every_worker", func(t *testing.T) {
		v := newView(3)
		v.asked++
		for _, step := range []func(){
			func() { v.listTasks([]string{a}, v.asked, time.Now()) },
			func() { v.listWorkers([]string{"w1", "w2"}) },
			func() { v.readWorker("w1", nil, 0) },
		} {
			if step(); v.ready() {
				t.Fatal("ready too early")
			}
		}
		v.readWorker("w2", []string{a}, 1)
		if !v.ready() {
			t.Fatal("not ready")
		}
		expect(t, v, "")
	})
	t.Run("a_task_is_reserved_from_the_decision_on", func(t *testing.T) {
		v := fresh([]string{a}, "w1", "w2")
		expect(t, v, "assign "+a+" w1")
		expect(t, v, "")
	})
	t.Run("a_move_that_was_not_carried_out_is_decided_again", func(t *testing.T) {
		v := fresh([]string{a}, "w1")
		v.undone(expect(t, v, "assign "+a+" w1")[0])
		expect(t, v, "assign "+a+" w1")
	})
	t.Run("a_task_that_left_a_list_is_not_given_again_before_it_was_read", func(t *testing.T) {
		v := fresh([]string{a}, "w1")
		v.done(expect(t, v, "assign "+a+" w1")[0], 1)
		v.readWorker("w1", nil, 2)
		expect(t, v, "")
		for range shelfLife {
			v.nextTick(10)
		}
		if got := v.takeUnread(10); !slices.Equal(got, []string{a}) {
			t.Fatalf("to be read: %q", got)
		}
		expect(t, v, "")
		v.readTask(a, task.NewPending(0), 0) // someone typed: set /workers/w1 ""
		expect(t, v, "assign "+a+" w1")
	})
	t.Run("a_worker_that_is_not_listed_is_not_gone_until_a_read_says_so", func(t *testing.T) {
		v := fresh([]string{a}, "w1", "w2")
		v.done(expect(t, v, "assign "+a+" w1")[0], 1)
		v.listWorkers([]string{"w2"})
		if v.ready() {
			t.Error("decides before w1 was read")
		}
		expect(t, v, "")
		v.readWorker("w1", []string{a}, 1) // the listing was old
		expect(t, v, "")
	})
	t.Run("a_task_lost_with_its_worker_counts_the_loss_at_the_version_of_its_assignment", func(t *testing.T) {
		v := fresh([]string{a, b}, "w1")
		v.readTask(a, task.NewPending(1), 5)
		v.done(expect(t, v, "assign "+a+" w1")[0], 1)
		v.listWorkers([]string{"w1", "w2"})
		v.readWorker("w2", nil, 0)
		v.workerGone("w1", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(1), 5)
		ms := expect(t, v, "assign "+a+"! w2")
		if c := ms[0].tasks[0]; c.version != 5 || c.losses != 1 {
			t.Errorf("claim %+v", c)
		}
	})
	t.Run("a_task_given_back_counts_no_loss", func(t *testing.T) {
		v := fresh([]string{a}, "w1", "w2")
		v.done(expect(t, v, "assign "+a+" w1")[0], 1)
		v.workerGone("w1", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(0), 1) // the version moved
		expect(t, v, "assign "+a+" w2")
	})
	t.Run("only_the_first_of_a_lost_list_counts_a_loss", func(t *testing.T) {
		v := fresh([]string{a, b}, "w1", "w2", "w3")
		v.readWorker("w1", []string{a, b}, 1) // typed by hand
		v.workerGone("w1", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(0), 0)
		v.readTask(b, task.NewPending(0), 0)
		expect(t, v, "assign "+a+"! w2, assign "+b+" w3")
	})
	t.Run("the_last_loss_allowed_fails_the_task", func(t *testing.T) {
		v := fresh([]string{a}, "w1", "w2")
		v.readTask(a, task.NewPending(2), 4)
		v.done(expect(t, v, "assign "+a+" w1")[0], 1)
		v.workerGone("w1", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(2), 4)
		expect(t, v, "fail "+a+"! ")
	})
	t.Run("no_loss_fails_a_task_where_there_is_no_limit", func(t *testing.T) {
		v := fresh([]string{a}, "w1", "w2")
		v.maxLosses = 0
		v.readTask(a, task.NewPending(99), 100)
		v.done(expect(t, v, "assign "+a+" w1")[0], 1)
		v.workerGone("w1", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(99), 100)
		expect(t, v, "assign "+a+"! w2")
	})
	t.Run("a_withdrawn_task_is_taken_back", func(t *testing.T) {
		v := fresh([]string{a, b}, "w1")
		v.done(expect(t, v, "assign "+a+" w1")[0], 1)
		v.asked++
		v.listTasks([]string{b}, v.asked, time.Now())
		expect(t, v, "") // it may be done, and its task cleaned up
		v.readWorker("w1", []string{a}, 1)
		v.watching("w1")
		expect(t, v, "takeBack "+a+" w1")
	})
	t.Run("a_listing_older_than_the_workers_list_withdraws_nothing", func(t *testing.T) {
		v := fresh([]string{a}, "w1")
		v.asked++                                     // a listing is begun,
		v.readWorker("w1", []string{"t1"}, 1)         // t1 is made and assigned by hand,
		v.listTasks([]string{a}, v.asked, time.Now()) // and the answer lacks it
		expect(t, v, "")
		v.asked++
		v.listTasks([]string{a}, v.asked, time.Now())
		v.readWorker("w1", []string{"t1"}, 1)
		v.watching("w1")
		expect(t, v, "takeBack t1 w1")
	})
	t.Run("a_name_made_by_hand_goes_first_and_is_read_before", func(t *testing.T) {
		v := fresh([]string{a, "zz"}, "w1")
		if got := v.takeUnread(10); !slices.Equal(got, []string{"zz"}) {
			t.Fatalf("to be read: %q", got)
		}
		v.readTask("zz", task.NewPending(0), 0)
		expect(t, v, "assign zz w1")
	})
	t.Run("junk_is_left_alone", func(t *testing.T) {
		v := fresh(nil, "w1")
		v.asked++
		if odd := v.listTasks([]string{" x", a}, v.asked, time.Now()); !slices.Equal(odd, []string{" x"}) {
			t.Errorf("odd names %q", odd)
		}
		v.ignoreWorker("w1")
		expect(t, v, "")
	})
	t.Run("a_task_that_is_not_as_assumed_has_ever_more_of_those_behind_it_read", func(t *testing.T) {
		var ids []string
		for range 5 * ahead {
			ids = append(ids, task.NewID())
		}
		v := fresh(ids, "w1")
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
	t.Run("a_name_removed_and_made_again_is_given_once", func(t *testing.T) {
		v := fresh(nil)
		for _, names := range [][]string{{"t1"}, {}, {"t1"}} {
			v.asked++
			v.listTasks(names, v.asked, time.Now())
			v.takeUnread(10)
			v.readTask("t1", task.NewPending(0), 0)
		}
		v.listWorkers([]string{"w1", "w2"})
		v.readWorker("w1", nil, 0)
		v.readWorker("w2", nil, 0)
		expect(t, v, "assign t1 w1")
	})
	t.Run("a_worker_left_alone_keeps_what_it_holds", func(t *testing.T) {
		v := fresh([]string{a}, "w1", "w2")
		v.readWorker("w1", []string{a, "unknown"}, 1)
		v.ignoreWorker("w1") // it may not be written
		for range 2 * shelfLife {
			v.nextTick(10)
		}
		if got := v.takeUnread(10); len(got) > 0 {
			t.Errorf("to be read: %q", got)
		}
		expect(t, v, "")
	})
	t.Run("tasks_that_come_and_go_while_there_is_no_worker_leave_nothing", func(t *testing.T) {
		v := fresh([]string{a})
		for range 100 {
			ids := []string{a, b}
			for range 200 {
				ids = append(ids, task.NewID())
			}
			v.asked++
			v.listTasks(ids, v.asked, time.Now())
		}
		if v.queue.len() > 2*ahead {
			t.Errorf("%d tasks are queued", v.queue.len())
		}
		v.listWorkers([]string{"w1", "w2"})
		v.readWorker("w1", nil, 0)
		v.readWorker("w2", nil, 0)
		expect(t, v, "assign "+a+" w1, assign "+b+" w2")
	})
	t.Run("a_task_made_long_ago_is_read_before_it_is_assigned", func(t *testing.T) {
		done, lost, odd := aged(), aged(), aged()
		v := fresh([]string{done, lost, odd, a}, "w1", "w2")
		states := map[string]task.State{done: task.NewDone(nil), lost: task.NewPending(1), odd: {Phase: task.Odd}}
		v.done(expect(t, v, "assign "+a+" w1")[0], 1) // it need not wait for them
		for len(v.toRead) > 0 {
			for _, id := range v.takeUnread(10) {
				v.readTask(id, states[id], 0)
			}
		}
		ms := expect(t, v, "assign "+lost+" w2")
		if got := ms[0].tasks[0].losses; got != 1 {
			t.Errorf("%d losses", got)
		}
	})
	t.Run("of_many_made_long_ago_those_are_read_that_are_soon_assigned", func(t *testing.T) {
		var ids []string
		for range 10_000 {
			ids = append(ids, aged())
		}
		v := fresh(ids, "w1", "w2", "w3")
		expect(t, v, "")
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
		v := fresh(append(ids, a), "w1")
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
	t.Run("a_result_listed_by_hand_again_and_again_is_never_forgotten", func(t *testing.T) {
		for _, read := range []bool{false, true} { // in between
			v := fresh([]string{a}, "w1")
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
	t.Run("a_result_listed_by_hand_behind_another_task_is_read_when_it_is_taken_back", func(t *testing.T) {
		v := fresh([]string{a, b}, "w1", "w2")
		v.readTask(b, task.NewDone(nil), 1)
		v.readWorker("w1", []string{a, b}, 1)
		v.watching("w1")
		v.now = v.now.Add(stuckLong)
		v.done(expect(t, v, "spare "+b+" w1")[0], 2)
		expect(t, v, "")
		if got := v.takeUnread(10); !slices.Equal(got, []string{b}) {
			t.Errorf("to be read: %q", got)
		}
	})
	t.Run("a_new_leader_takes_what_it_finds_held_for_at_its_last_chance", func(t *testing.T) {
		v := fresh(nil, "w1", "w2", "w3")
		for w, session := range map[string]int64{"w1": 1, "w2": 1, "w3": 2} {
			v.workers[w].session = session
		}
		held, waits := aged(), aged()
		v.readWorker("w1", []string{held}, 1)
		v.asked++
		v.listTasks([]string{held, waits}, v.asked, time.Now())
		expect(t, v, "")
		v.takeUnread(10)
		v.readTask(waits, task.NewPending(2), 2)
		expect(t, v, "assign "+waits+" w3")
	})
	t.Run("a_task_that_left_a_list_is_read_before_results_that_nobody_collects", func(t *testing.T) {
		var ids []string
		for range 10_000 {
			ids = append(ids, task.NewID())
		}
		v := fresh(append(ids, a), "w1")
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
		v := fresh([]string{a}, "w1")
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
	t.Run("tasks_at_their_last_chance_go_to_a_process_each", func(t *testing.T) {
		ids := []string{aged(), aged(), aged(), aged()}
		v := fresh(append(ids, a, b), "w1", "w2", "w3", "w4", "w5")
		for i, w := range []string{"w1", "w2", "w3", "w4", "w5"} {
			v.workers[w].session = int64(1 + i/3) // three in the first process
		}
		for _, id := range ids {
			v.readTask(id, task.NewPending(2), 2)
		}
		ms := expect(t, v, "assign "+ids[0]+" w1, assign "+ids[1]+" w4, assign "+a+" w2, assign "+b+" w3")
		for _, m := range ms {
			v.done(m, 1)
		}
		expect(t, v, "")
		v.readWorker("w1", nil, 2)
		for _, m := range expect(t, v, "assign "+ids[2]+" w1") {
			v.done(m, 3)
		}
		v.workerGone("w4", true)
		v.takeUnread(10)
		v.readTask(ids[1], task.NewPending(2), 2)
		for _, m := range expect(t, v, "fail "+ids[1]+"! , assign "+ids[3]+" w5") {
			v.done(m, 1)
		}
	})
	t.Run("a_task_held_by_two_is_held_until_both_let_go", func(t *testing.T) {
		v := fresh([]string{a}, "w1", "w2", "w3")
		v.readWorker("w1", []string{a}, 1)
		v.readWorker("w2", []string{a}, 1)
		v.workerGone("w1", true)
		v.takeUnread(10)
		expect(t, v, "")
		v.workerGone("w2", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(0), 0)
		expect(t, v, "assign "+a+"! w3")
	})
}
