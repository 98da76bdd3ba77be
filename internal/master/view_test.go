package master

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"taskkeeper/internal/task"
)

// world is a ZooKeeper as far as the view is concerned: what a test does to it
// the view only learns by reading.
type world struct {
	t       *testing.T
	r       *rand.Rand
	v       *view
	tasks   map[string]*stored
	workers map[string]*stored
	ended   map[string]string // what finished tasks ended with
}

type stored struct {
	text    string
	version int32
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{
		t: t, r: rand.New(rand.NewPCG(seed, 0)), v: newView(3),
		tasks: map[string]*stored{}, workers: map[string]*stored{}, ended: map[string]string{},
	}
}

func (w *world) set(id, text string) {
	s := w.tasks[id]
	if task.ParseState([]byte(s.text)).Finished() {
		w.t.Fatalf("%q of task %s is overwritten by %q", s.text, id, text)
	}
	s.text, s.version = text, s.version+1
}

func (w *world) list(id string) []string { return task.ParseList([]byte(w.workers[id].text)) }

// readAll lets the view read all that it wants to read, as the loop does.
func (w *world) readAll() {
	for _, id := range w.v.stale() {
		if s := w.workers[id]; s != nil {
			w.v.readWorker(id, task.ParseList([]byte(s.text)), s.version)
		} else {
			w.v.workerGone(id, true)
		}
	}
	for _, id := range w.v.takeUnread(1 << 20) {
		if s := w.tasks[id]; s != nil {
			w.v.readTask(id, task.ParseState([]byte(s.text)), s.version)
		} else {
			w.v.taskGone(id)
		}
	}
}

// carryOut does what ZooKeeper does with a move: all of it or nothing.
func (w *world) carryOut(m move) {
	for _, c := range m.tasks {
		if m.kind == takeBack {
			break
		}
		s := w.tasks[c.id]
		if s == nil {
			w.v.undone(without(m, c.id))
			w.v.taskGone(c.id)
			return
		}
		if s.version != c.version {
			w.v.undone(without(m, c.id))
			w.v.doubt(c.id)
			return
		}
	}
	if m.kind == fail {
		w.set(m.tasks[0].id, "failed "+lostReason(m.tasks[0].losses+1))
		w.v.done(m, 0)
		return
	}
	s := w.workers[m.worker]
	if s == nil || s.version != m.version {
		w.v.markStale(m.worker)
		w.v.undone(m)
		return
	}
	if m.kind == assign {
		for _, c := range m.tasks {
			for id := range w.workers {
				if slices.Contains(w.list(id), c.id) {
					w.t.Fatalf("task %s is assigned to %s while %s holds it", c.id, m.worker, id)
				}
			}
			if st := task.ParseState([]byte(w.tasks[c.id].text)); st.Phase != task.Pending {
				w.t.Fatalf("task %s is assigned in state %q", c.id, w.tasks[c.id].text)
			}
			if c.lost {
				w.set(c.id, fmt.Sprintf("pending %d", c.losses+1))
			}
		}
	}
	s.text, s.version = strings.Join(m.list, "\n"), s.version+1
	w.v.done(m, s.version)
}

func without(m move, id string) move {
	m.tasks = slices.DeleteFunc(slices.Clone(m.tasks), func(c claim) bool { return c.id == id })
	return m
}

// commit has a worker finish the first task of its list.
func (w *world) commit(id string) {
	ids := w.list(id)
	if len(ids) == 0 {
		return
	}
	if s := w.tasks[ids[0]]; s != nil && task.ParseState([]byte(s.text)).Phase == task.Pending {
		w.set(ids[0], "done 1")
	}
	s := w.workers[id]
	s.text, s.version = strings.Join(ids[1:], "\n"), s.version+1
	w.v.fired(id)
}

func (w *world) listAll() {
	w.v.asked++
	w.v.listTasks(slices.Collect(maps.Keys(w.tasks)), w.v.asked)
	w.v.listWorkers(slices.Collect(maps.Keys(w.workers)))
}

// turn is one round of the leader's loop.
func (w *world) turn() {
	w.readAll()
	if !w.v.ready() {
		return
	}
	for _, m := range w.v.decide() {
		w.carryOut(m)
	}
}

func anyOf(r *rand.Rand, m map[string]*stored) string {
	keys := slices.Sorted(maps.Keys(m))
	if len(keys) == 0 {
		return ""
	}
	return keys[r.IntN(len(keys))]
}

// FuzzView runs the view against a world in which workers die, tasks are
// withdrawn and people type, with the leader's reads late. Whatever happens, no
// task is given twice and none is forgotten.
func FuzzView(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := newWorld(t, seed)
		n := 0
		name := func() string { n++; return fmt.Sprintf("n%05d", n) }
		for range 400 {
			switch w.r.IntN(16) {
			case 0, 1, 2:
				w.tasks[task.NewID()] = &stored{text: "pending"}
			case 3:
				w.tasks[name()] = &stored{text: []string{"pending", "", "banana", "done x", "pending 1"}[w.r.IntN(5)]}
			case 4, 5:
				if len(w.workers) < 6 {
					w.workers[name()] = &stored{}
				}
			case 6: // a worker dies
				if id := anyOf(w.r, w.workers); id != "" {
					delete(w.workers, id)
					w.v.fired(id)
				}
			case 7: // a worker leaves cleanly
				if id := anyOf(w.r, w.workers); id != "" {
					for _, tid := range w.list(id) {
						if s := w.tasks[tid]; s != nil && task.ParseState([]byte(s.text)).Phase == task.Pending {
							w.set(tid, s.text)
						}
					}
					delete(w.workers, id)
					w.v.fired(id)
				}
			case 8: // withdrawn, or fetched
				if id := anyOf(w.r, w.tasks); id != "" {
					delete(w.tasks, id)
				}
			case 9: // typed: take it away
				if id := anyOf(w.r, w.workers); id != "" {
					w.workers[id].text, w.workers[id].version = "", w.workers[id].version+1
					w.v.fired(id)
				}
			case 10: // typed: finish it
				if id := anyOf(w.r, w.tasks); id != "" && task.ParseState([]byte(w.tasks[id].text)).Phase == task.Pending {
					w.set(id, "done by hand")
				}
			case 11, 12:
				if id := anyOf(w.r, w.workers); id != "" {
					w.commit(id)
				}
			case 13:
				w.listAll()
			case 14:
				w.v.nextTick(rereads)
			default:
				w.turn()
			}
		}
		// With no more faults everything that is pending is finished.
		w.workers["last"] = &stored{}
		for range 4 * (len(w.tasks) + 10) {
			w.listAll()
			for id := range w.v.workers {
				w.v.fired(id)
			}
			w.v.nextTick(rereads)
			w.turn()
			for id := range w.workers {
				w.commit(id)
			}
		}
		for id, s := range w.tasks {
			if st := task.ParseState([]byte(s.text)); st.Phase == task.Pending {
				t.Errorf("task %s is %q at the end: %+v", id, s.text, w.v.tasks[id])
			}
		}
		for id := range w.workers {
			if l := w.list(id); len(l) > 0 {
				t.Errorf("worker %s still lists %q", id, l)
			}
		}
		if len(w.v.holders) > 0 {
			t.Errorf("held at the end: %v", w.v.holders)
		}
	})
}

func TestView(t *testing.T) {
	kinds := func(ms []move) string {
		var s []string
		for _, m := range ms {
			text := []string{"assign", "takeBack", "fail"}[m.kind]
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
		v.listTasks(tasks, v.asked)
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
			func() { v.listTasks([]string{a}, v.asked) },
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
		v.listTasks([]string{b}, v.asked)
		expect(t, v, "takeBack "+a+" w1")
	})
	t.Run("a_listing_older_than_the_workers_list_withdraws_nothing", func(t *testing.T) {
		v := fresh([]string{a}, "w1")
		v.asked++                             // a listing is begun,
		v.readWorker("w1", []string{"t1"}, 1) // t1 is made and assigned by hand,
		v.listTasks([]string{a}, v.asked)     // and the answer lacks it
		expect(t, v, "")
		v.asked++
		v.listTasks([]string{a}, v.asked)
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
		if odd := v.listTasks([]string{" x", a}, v.asked); !slices.Equal(odd, []string{" x"}) {
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
			v.listTasks(names, v.asked)
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
			v.listTasks(ids, v.asked)
		}
		if v.queue.len() > 2*ahead {
			t.Errorf("%d tasks are queued", v.queue.len())
		}
		v.listWorkers([]string{"w1", "w2"})
		v.readWorker("w1", nil, 0)
		v.readWorker("w2", nil, 0)
		expect(t, v, "assign "+a+" w1, assign "+b+" w2")
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
