package master

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

// kinds are moves as text; ! stands for a loss.
func kinds(ms []move) string {
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

// decided checks what is decided now, and returns it.
func decided(t *testing.T, v *view, want string) []move {
	t.Helper()
	ms := v.decide()
	if got := kinds(ms); got != want {
		t.Fatalf("decided %q, want %q", got, want)
	}
	return ms
}

// viewOf is a view that knows tasks, made just now, and workers that are free.
func viewOf(tasks []string, workers ...string) *view {
	v := newView(3)
	v.asked++
	v.listTasks(tasks, v.asked, time.Now())
	v.listWorkers(workers)
	for _, w := range workers {
		v.readWorker(w, nil, 0)
	}
	return v
}

func TestView(t *testing.T) {
	// a and b are ids as clients make them, a the older.
	a, b := task.NewID(), task.NewID()

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
		decided(t, v, "")
	})
	t.Run("a_task_is_reserved_from_the_decision_on", func(t *testing.T) {
		v := viewOf([]string{a}, "w1", "w2")
		decided(t, v, "assign "+a+" w1")
		decided(t, v, "")
	})
	t.Run("a_move_that_was_not_carried_out_is_decided_again", func(t *testing.T) {
		v := viewOf([]string{a}, "w1")
		v.undone(decided(t, v, "assign "+a+" w1")[0])
		decided(t, v, "assign "+a+" w1")
	})
	t.Run("a_worker_that_is_not_listed_is_not_gone_until_a_read_says_so", func(t *testing.T) {
		v := viewOf([]string{a}, "w1", "w2")
		v.done(decided(t, v, "assign "+a+" w1")[0], 1)
		v.listWorkers([]string{"w2"})
		if v.ready() {
			t.Error("decides before w1 was read")
		}
		decided(t, v, "")
		v.readWorker("w1", []string{a}, 1) // the listing was old
		decided(t, v, "")
	})
	t.Run("a_task_lost_with_its_worker_counts_the_loss_at_the_version_of_its_assignment", func(t *testing.T) {
		v := viewOf([]string{a, b}, "w1")
		v.readTask(a, task.NewPending(1), 5)
		v.done(decided(t, v, "assign "+a+" w1")[0], 1)
		v.listWorkers([]string{"w1", "w2"})
		v.readWorker("w2", nil, 0)
		v.workerGone("w1", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(1), 5)
		ms := decided(t, v, "assign "+a+"! w2")
		if c := ms[0].tasks[0]; c.version != 5 || c.losses != 1 {
			t.Errorf("claim %+v", c)
		}
	})
	t.Run("a_task_given_back_counts_no_loss", func(t *testing.T) {
		v := viewOf([]string{a}, "w1", "w2")
		v.done(decided(t, v, "assign "+a+" w1")[0], 1)
		v.workerGone("w1", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(0), 1) // the version moved
		decided(t, v, "assign "+a+" w2")
	})
	t.Run("only_the_first_of_a_lost_list_counts_a_loss", func(t *testing.T) {
		v := viewOf([]string{a, b}, "w1", "w2", "w3")
		v.readWorker("w1", []string{a, b}, 1) // typed by hand
		v.workerGone("w1", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(0), 0)
		v.readTask(b, task.NewPending(0), 0)
		decided(t, v, "assign "+a+"! w2, assign "+b+" w3")
	})
	t.Run("the_last_loss_allowed_fails_the_task", func(t *testing.T) {
		v := viewOf([]string{a}, "w1", "w2")
		v.readTask(a, task.NewPending(2), 4)
		v.done(decided(t, v, "assign "+a+" w1")[0], 1)
		v.workerGone("w1", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(2), 4)
		decided(t, v, "fail "+a+"! ")
	})
	t.Run("no_loss_fails_a_task_where_there_is_no_limit", func(t *testing.T) {
		v := viewOf([]string{a}, "w1", "w2")
		v.maxLosses = 0
		v.readTask(a, task.NewPending(99), 100)
		v.done(decided(t, v, "assign "+a+" w1")[0], 1)
		v.workerGone("w1", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(99), 100)
		decided(t, v, "assign "+a+"! w2")
	})
	t.Run("a_withdrawn_task_is_taken_back", func(t *testing.T) {
		v := viewOf([]string{a, b}, "w1")
		v.done(decided(t, v, "assign "+a+" w1")[0], 1)
		v.asked++
		v.listTasks([]string{b}, v.asked, time.Now())
		decided(t, v, "") // it may be done, and its task cleaned up
		v.readWorker("w1", []string{a}, 1)
		v.watching("w1")
		decided(t, v, "takeBack "+a+" w1")
	})
	t.Run("a_listing_older_than_the_workers_list_withdraws_nothing", func(t *testing.T) {
		v := viewOf([]string{a}, "w1")
		v.asked++                                     // a listing is begun,
		v.readWorker("w1", []string{"t1"}, 1)         // t1 is made and assigned by hand,
		v.listTasks([]string{a}, v.asked, time.Now()) // and the answer lacks it
		decided(t, v, "")
		v.asked++
		v.listTasks([]string{a}, v.asked, time.Now())
		v.readWorker("w1", []string{"t1"}, 1)
		v.watching("w1")
		decided(t, v, "takeBack t1 w1")
	})
	t.Run("a_name_made_by_hand_goes_first_and_is_read_before", func(t *testing.T) {
		v := viewOf([]string{a, "zz"}, "w1")
		if got := v.takeUnread(10); !slices.Equal(got, []string{"zz"}) {
			t.Fatalf("to be read: %q", got)
		}
		v.readTask("zz", task.NewPending(0), 0)
		decided(t, v, "assign zz w1")
	})
	t.Run("junk_is_left_alone", func(t *testing.T) {
		v := viewOf(nil, "w1")
		v.asked++
		if odd := v.listTasks([]string{" x", a}, v.asked, time.Now()); !slices.Equal(odd, []string{" x"}) {
			t.Errorf("odd names %q", odd)
		}
		v.ignoreWorker("w1")
		decided(t, v, "")
	})
	t.Run("a_name_removed_and_made_again_is_given_once", func(t *testing.T) {
		v := viewOf(nil)
		for _, names := range [][]string{{"t1"}, {}, {"t1"}} {
			v.asked++
			v.listTasks(names, v.asked, time.Now())
			v.takeUnread(10)
			v.readTask("t1", task.NewPending(0), 0)
		}
		v.listWorkers([]string{"w1", "w2"})
		v.readWorker("w1", nil, 0)
		v.readWorker("w2", nil, 0)
		decided(t, v, "assign t1 w1")
	})
	t.Run("is_decided_upon_when_every_worker_that_is_to_be_read_was_and_new_names_unless_very_many", func(t *testing.T) {
		v := viewOf([]string{a}, "w1", "w2")
		want := func(ready bool) {
			t.Helper()
			if v.ready() != ready {
				t.Errorf("ready: %t, with %d workers to be read and %d new names", !ready, len(v.stale(9)), len(v.unread))
			}
		}
		want(true)
		v.markStale("w1") // a person may have written there what others would be given
		want(false)
		v.readWorker("w1", nil, 0)
		names := []string{"w1", "w2"}
		for i := range manyWorkers {
			names = append(names, fmt.Sprint("by-hand-", i))
		}
		v.listWorkers(names)
		want(false)
		v.listWorkers(append(names, "one-more"))
		want(true)
	})
	t.Run("a_worker_left_alone_keeps_what_it_holds", func(t *testing.T) {
		v := viewOf([]string{a}, "w1", "w2")
		v.readWorker("w1", []string{a, "unknown"}, 1)
		v.ignoreWorker("w1") // it may not be written
		for range 2 * shelfLife {
			v.nextTick(10)
		}
		if got := v.takeUnread(10); len(got) > 0 {
			t.Errorf("to be read: %q", got)
		}
		decided(t, v, "")
	})
	t.Run("tasks_that_come_and_go_while_there_is_no_worker_leave_nothing", func(t *testing.T) {
		v := viewOf([]string{a})
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
		decided(t, v, "assign "+a+" w1, assign "+b+" w2")
	})
	t.Run("a_result_listed_by_hand_behind_another_task_is_read_when_it_is_taken_back", func(t *testing.T) {
		v := viewOf([]string{a, b}, "w1", "w2")
		v.readTask(b, task.NewDone(nil), 1)
		v.readWorker("w1", []string{a, b}, 1)
		v.watching("w1")
		v.now = v.now.Add(stuckLong)
		v.done(decided(t, v, "spare "+b+" w1")[0], 2)
		decided(t, v, "")
		if got := v.takeUnread(10); !slices.Equal(got, []string{b}) {
			t.Errorf("to be read: %q", got)
		}
	})
	t.Run("a_new_leader_takes_what_it_finds_held_for_at_its_last_chance", func(t *testing.T) {
		v := viewOf(nil, "w1", "w2", "w3")
		for w, session := range map[string]int64{"w1": 1, "w2": 1, "w3": 2} {
			v.workers[w].session = session
		}
		held, waits := aged(), aged()
		v.readWorker("w1", []string{held}, 1)
		v.asked++
		v.listTasks([]string{held, waits}, v.asked, time.Now())
		decided(t, v, "")
		v.takeUnread(10)
		v.readTask(waits, task.NewPending(2), 2)
		decided(t, v, "assign "+waits+" w3")
	})
	t.Run("tasks_at_their_last_chance_go_to_a_process_each", func(t *testing.T) {
		ids := []string{aged(), aged(), aged(), aged()}
		v := viewOf(append(ids, a, b), "w1", "w2", "w3", "w4", "w5")
		for i, w := range []string{"w1", "w2", "w3", "w4", "w5"} {
			v.workers[w].session = int64(1 + i/3) // three in the first process
		}
		for _, id := range ids {
			v.readTask(id, task.NewPending(2), 2)
		}
		ms := decided(t, v, "assign "+ids[0]+" w1, assign "+ids[1]+" w4, assign "+a+" w2, assign "+b+" w3")
		for _, m := range ms {
			v.done(m, 1)
		}
		decided(t, v, "")
		v.readWorker("w1", nil, 2)
		for _, m := range decided(t, v, "assign "+ids[2]+" w1") {
			v.done(m, 3)
		}
		v.workerGone("w4", true)
		v.takeUnread(10)
		v.readTask(ids[1], task.NewPending(2), 2)
		for _, m := range decided(t, v, "fail "+ids[1]+"! , assign "+ids[3]+" w5") {
			v.done(m, 1)
		}
	})
	t.Run("a_task_held_by_two_is_held_until_both_let_go", func(t *testing.T) {
		v := viewOf([]string{a}, "w1", "w2", "w3")
		v.readWorker("w1", []string{a}, 1)
		v.readWorker("w2", []string{a}, 1)
		v.workerGone("w1", true)
		v.takeUnread(10)
		decided(t, v, "")
		v.workerGone("w2", true)
		v.takeUnread(10)
		v.readTask(a, task.NewPending(0), 0)
		decided(t, v, "assign "+a+"! w3")
	})
}
