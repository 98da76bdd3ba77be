package master

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/uuid"

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
	fired   []string          // workers that the leader is to be told of
	ended   map[string]string // what finished tasks ended with
	now     time.Time
	zxid    int64
}

type stored struct {
	text     string
	session  int64 // a worker's process
	version  int32
	zxid     int64     // of its last write
	written  time.Time // then
	attached bool      // it ends with its client
	watched  bool      // by the leader
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
	w.write(s, text)
}

func (w *world) write(s *stored, text string) {
	w.zxid++
	s.text, s.version, s.zxid, s.written = text, s.version+1, w.zxid, w.now
}

// add makes a task.
func (w *world) add(id, text string) {
	w.zxid++
	w.tasks[id] = &stored{text: text, zxid: w.zxid, written: w.now, attached: w.r.IntN(2) == 0}
}

// retry sets a failed task that outlives its client back to pending.
func (w *world) retry(id string) {
	if s := w.tasks[id]; s != nil && !s.attached && task.ParseState([]byte(s.text)).Phase == task.Failed {
		w.write(s, "pending")
	}
}

// tidy removes what is due, as ZooKeeper does it: at the version read, or not.
func (w *world) tidy() {
	for _, r := range w.v.due(w.now, 3) {
		s := w.tasks[r.id]
		switch {
		case s == nil:
			w.v.drop(r.id)
		case s.version != r.version:
			w.v.drop(r.id)
			w.v.look(r.id)
		case s.attached || !task.ParseState([]byte(s.text)).Finished() || w.now.Sub(s.written) < w.v.retention.period:
			w.t.Fatalf("task %s is removed in state %q after %v: %+v", r.id, s.text, w.now.Sub(s.written), s)
		default:
			delete(w.tasks, r.id)
			w.v.drop(r.id)
		}
	}
}

func (w *world) list(id string) []string {
	l, _ := task.ParseList([]byte(w.workers[id].text))
	list := l.IDs
	return list
}

// readAll lets the view read all that it wants to read, as the loop does.
func (w *world) readAll() {
	w.v.now = w.now
	for _, id := range append(w.v.stale(1000), w.v.newcomers(1000)...) {
		if s := w.workers[id]; s != nil {
			known := w.v.workers[id]
			arm := known != nil && known.arm && !known.watched
			w.v.readWorker(id, w.list(id), s.version)
			w.v.workers[id].session = s.session
			if arm {
				s.watched = true
				w.v.watching(id)
			}
		} else {
			w.v.workerGone(id, true)
		}
	}
	for _, id := range w.v.takeUnread(1 << 20) {
		if s := w.tasks[id]; s != nil {
			state := task.ParseState([]byte(s.text))
			w.v.readTask(id, state, s.version)
			stat := &zk.Stat{Version: s.version, Mzxid: s.zxid}
			if s.attached {
				stat.EphemeralOwner = 1
			}
			w.v.keep(id, state, stat, w.now)
		} else {
			w.v.taskGone(id)
		}
	}
}

// carryOut does what ZooKeeper does with a move: all of it or nothing.
func (w *world) carryOut(m move) {
	for _, c := range m.tasks {
		if m.kind == takeBack || m.kind == spare {
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
			w.isolated(m.worker, c.id)
		}
	}
	w.put(m.worker, m.list)
	w.v.done(m, s.version)
}

// isolated checks that no two tasks at their last chance are in one process, when one
// is assigned there.
func (w *world) isolated(worker, id string) {
	last := func(id string) bool { return w.tasks[id] != nil && w.tasks[id].text == "pending 2" }
	for other, s := range w.workers {
		if last(id) && s.session == w.workers[worker].session && slices.ContainsFunc(w.list(other), last) {
			w.t.Fatalf("task %s is assigned to %s while %s, in the same process, has %q: all at their last chance", id, worker, other, s.text)
		}
	}
}

// aged is an id that was made long ago.
func aged() string {
	u := uuid.Must(uuid.NewV7())
	u[0] = 0 // in the seventies, or later
	return u.String()
}

// put changes what a worker's znode lists.
func (w *world) put(id string, list []string) {
	s := w.workers[id]
	s.text, s.version = strings.Join(list, "\n"), s.version+1
	w.fire(s, id)
}

// end has a worker's znode vanish.
func (w *world) end(id string) {
	s := w.workers[id]
	delete(w.workers, id)
	w.fire(s, id)
}

// fire has the leader told, if it watches.
func (w *world) fire(s *stored, id string) {
	if s.watched {
		s.watched = false
		w.fired = append(w.fired, id)
	}
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
	w.put(id, ids[1:])
}

func (w *world) listAll() {
	w.v.asked++
	w.v.listTasks(slices.Collect(maps.Keys(w.tasks)), w.v.asked, time.Now().Add(time.Duration(w.r.IntN(2))*time.Hour))
	w.v.listWorkers(slices.Collect(maps.Keys(w.workers)))
}

// turn is one round of the leader's loop.
func (w *world) turn() {
	for _, id := range w.fired {
		w.v.fired(id)
	}
	w.fired = nil
	w.readAll()
	if !w.v.ready() {
		return
	}
	for _, m := range w.v.decide() {
		w.carryOut(m)
	}
	if stuck := w.v.recheck; !stuck.IsZero() && !stuck.After(w.now) {
		w.t.Fatalf("to be looked at again at %v, and it is %v", stuck, w.now)
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
		w.v.retention.period = time.Duration(w.r.IntN(20)) * time.Second
		n := 0
		name := func() string { n++; return fmt.Sprintf("n%05d", n) }
		for range 400 {
			switch w.r.IntN(20) {
			case 0, 1, 2:
				w.add(task.NewID(), "pending")
				if w.r.IntN(10) == 0 { // copied from elsewhere
					w.add(aged(), []string{"pending", "pending 2", "banana", "done x"}[w.r.IntN(4)])
				}
			case 3:
				w.add(name(), []string{"pending", "", "banana", "done x", "pending 1"}[w.r.IntN(5)])
			case 4, 5:
				if len(w.workers) < 6 {
					w.workers[name()] = &stored{session: 1 + w.r.Int64N(3)}
				}
			case 6: // a worker dies
				if id := anyOf(w.r, w.workers); id != "" {
					w.end(id)
				}
			case 7: // a worker leaves cleanly
				if id := anyOf(w.r, w.workers); id != "" {
					for _, tid := range w.list(id) {
						if s := w.tasks[tid]; s != nil && task.ParseState([]byte(s.text)).Phase == task.Pending {
							w.set(tid, s.text)
						}
					}
					w.end(id)
				}
			case 8: // withdrawn, or fetched
				if id := anyOf(w.r, w.tasks); id != "" {
					delete(w.tasks, id)
				}
			case 9: // typed: take it away
				if id := anyOf(w.r, w.workers); id != "" {
					w.put(id, nil)
				}
			case 10: // typed: finish it
				if id := anyOf(w.r, w.tasks); id != "" && task.ParseState([]byte(w.tasks[id].text)).Phase == task.Pending {
					w.set(id, []string{"done by hand", "failed by hand"}[w.r.IntN(2)])
				}
			case 11, 12:
				if id := anyOf(w.r, w.workers); id != "" {
					w.commit(id)
				}
			case 13:
				w.listAll()
			case 14, 15:
				w.now = w.now.Add(tick)
				w.v.nextTick(rereads)
				w.v.glance(2)
				w.tidy()
			case 16:
				w.retry(anyOf(w.r, w.tasks))
			case 17: // a worker works its list off
				if id := anyOf(w.r, w.workers); id != "" {
					for range w.list(id) {
						w.commit(id)
					}
				}
			case 18:
				w.now = w.now.Add(time.Duration(w.r.Int64N(int64(2 * stuck))))
			default:
				w.turn()
			}
		}
		// With no more faults everything that is pending is finished.
		w.workers["last"] = &stored{}
		for range 4*(len(w.tasks)+10) + longestPause {
			w.listAll()
			w.now = w.now.Add(tick)
			w.v.nextTick(rereads)
			w.tidy()
			w.turn()
			for id := range w.workers {
				w.commit(id)
			}
		}
		for id, s := range w.tasks {
			if st := task.ParseState([]byte(s.text)); st.Phase == task.Pending {
				t.Errorf("task %s is %q at the end: %+v", id, s.text, w.v.tasks[id])
			} else if st.Finished() && !s.attached && w.v.retention.period > 0 {
				t.Errorf("task %s is not removed: %+v", id, w.v.tasks[id])
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
