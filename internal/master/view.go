package master

import (
	"maps"
	"slices"
	"time"

	"taskkeeper/internal/task"
)

// phase is what the leader makes of a task that is listed.
type phase int

const (
	unread  phase = iota // to be read before anything is decided about it
	waiting              // pending, and in no worker's list
	held                 // in a worker's list
	aside                // left a worker's list, or is not pending: most likely finished
)

// taskView is a task as last known.
type taskView struct {
	phase   phase
	hand    bool  // its name was made by hand
	old     bool  // it was made long before it was listed: its state may be any
	read    bool  // its state is known: it was read, or an assignment checked it
	ended   bool  // and was not pending
	queued  bool  // it stands in the queue, or in chances
	leaving bool  // it stands in leavers
	freed   bool  // it left a list since it was read
	shelved bool  // it stands in asides
	listed  bool  // it stands in toRead
	lost    bool  // its execution was lost with its worker, unless its version moved since
	suspect bool  // it was in the list of a worker that was lost, and not the first
	version int32 // of its state: 0 if never touched; -1 if not known at all
	losses  int
	since   int64   // aside: the tick at which it was set aside
	due     int64   // aside: the tick at which it is read again, if not before
	returns int     // how often it left a list since its state was written, though its worker lives
	seen    int64   // the last listing that had it
	large   int64   // the zxid of its last write, if its state is not pending, and large
	result  *result // it is finished and outlives its client
}

func (t *taskView) claim(id string) claim {
	return claim{id: id, version: t.version, losses: t.losses, lost: t.lost, suspect: t.suspect}
}

// known tells whether its state is: that of a task which was listed soon after it
// was made is pending, and untouched.
func (t *taskView) known() bool { return t.read || !t.old }

// workerView is a worker as last known.
type workerView struct {
	list      []string
	version   int32
	session   int64 // its process's; 0 if not known
	stale     bool  // to be read before it is given anything
	arm       bool  // a watch is to be set with the next read
	watched   bool  // one is set that has not fired
	watchedAt int32 // the version that was read when the last was set
	long      bool  // it executes a long task
	told      bool  // a watch told of the change that is to be read
	ignored   bool  // it may not be used any more: what it lists it holds
	seen      int64 // the last listing of /workers that had it
	listing   int64 // the last listing of /tasks that was asked for before the list was first read as it is
	turn      turn
	moved     time.Time // the list was first known to be this one
	movedAt   int       // and how many turns had begun by then
}

// view is what the leader knows. It is changed by what was read and by what
// was carried out, and asked for what to do; it does no I/O.
//
// Rules that each keep a guarantee:
//   - nothing is decided before /tasks and /workers were listed and every worker
//     listed was read;
//   - a task is taken for pending without having been read only when it was made
//     just now: one that was copied here with its id may have its result;
//   - a task that left a list is not taken for unassigned before it was read
//     again: leaving a list usually means that it is finished;
//   - a worker is gone only when a read of it said so, not when a listing
//     lacks it;
//   - a task is withdrawn only when a listing begun after its worker's list was
//     read lacks it: else one assigned by hand, just made, would be cancelled.
type view struct {
	maxLosses int // the loss that fails a task; 0 = none does

	tasks   map[string]*taskView
	holders map[string]int // by task: how many known workers list it
	workers map[string]*workerView
	// Other names under /workers, each with the last listing that had it: those that
	// were not read yet, and those that are no workers, and hold nothing.
	unread    map[string]int64
	strangers map[string]int64
	queue     queue
	chances   queue    // tasks that wait for their last chance: see isolate
	doomed    []string // tasks that were lost once too often
	toRead    []string // tasks that are unread
	leavers   []string // tasks that left a list, in this order
	asides    []string // others that were set aside
	ahead     int      // how many were read at the last doubt; 0 since an assignment was carried out

	asked         int64 // listings of /tasks asked for
	listing       int64 // the last one merged
	tick          int64
	workersListed int64     // listings of /workers merged
	whole         bool      // every worker of the first one was read
	relist        bool      // a listing of /tasks is wanted, to tell whether something was withdrawn
	now           time.Time // set before each use
	begun         int       // turns that began, by this leader
	recheck       time.Time // when a worker will have stood still for long; zero if none may
	shorts        int       // tasks given since one was long: see room

	retention retention
}

func newView(maxLosses int) *view {
	return &view{
		maxLosses: maxLosses,
		tasks:     make(map[string]*taskView),
		holders:   make(map[string]int),
		workers:   make(map[string]*workerView),
		unread:    make(map[string]int64),
		strangers: make(map[string]int64),
	}
}

// fresh is how old a task may be when it is first listed, by the clock of who made
// it, to be taken for untouched. Where clocks differ by more, it is read first.
const fresh = 10 * time.Second

// listTasks merges a listing of /tasks, which came at that time. It returns the names
// that cannot be used. Listings come in the order in which they were asked for.
func (v *view) listTasks(names []string, listing int64, came time.Time) (odd []string) {
	v.listing = listing
	var added []item
	for _, id := range names {
		t := v.tasks[id]
		if t == nil {
			if !task.ValidID(id) {
				if len(odd) < mostTold {
					odd = append(odd, id)
				}
				continue
			}
			made, byUs := task.MadeAt(id)
			t = &taskView{phase: waiting, hand: !byUs, old: came.Sub(made).Abs() > fresh}
			v.tasks[id] = t
			if t.hand { // it may have been made in any state
				t.version = -1
			}
			switch {
			case v.holders[id] > 0:
				t.phase = held
			case t.hand:
				v.look(id)
			default:
				t.queued = true
				added = append(added, t.item(id))
			}
		}
		t.seen = listing
	}
	for id, t := range v.tasks {
		if t.seen != listing {
			delete(v.tasks, id)
		}
	}
	v.queue.push(added...)
	if v.queue.len() > 2*len(v.tasks)+ahead {
		v.requeue()
	}
	return odd
}

// requeue drops from the queue what was withdrawn: without a free worker nothing
// else does.
func (v *view) requeue() {
	v.queue, v.chances = queue{}, queue{}
	for id, t := range v.tasks {
		if t.queued {
			v.queue.items = append(v.queue.items, t.item(id))
		}
	}
	slices.SortFunc(v.queue.items, compareItems)
}

// listWorkers merges a listing of /workers. Those that are new, or known and
// not listed, are to be read. It returns the names that are too long for a worker's.
func (v *view) listWorkers(names []string) (odd []string) {
	v.workersListed++
	for _, id := range names {
		if w := v.workers[id]; w != nil {
			w.seen = v.workersListed
		} else if _, ok := v.strangers[id]; ok {
			v.strangers[id] = v.workersListed
		} else if len(id) <= task.MaxID {
			v.unread[id] = v.workersListed
		} else {
			v.strangers[id] = v.workersListed
			if len(odd) < mostTold {
				odd = append(odd, id)
			}
		}
	}
	for _, w := range v.workers {
		if w.seen != v.workersListed {
			w.stale = true
		}
	}
	for _, others := range []map[string]int64{v.unread, v.strangers} {
		maps.DeleteFunc(others, func(_ string, seen int64) bool { return seen != v.workersListed })
	}
	return odd
}

// stale returns up to n workers that are to be read.
func (v *view) stale(n int) []string {
	var ids []string
	for id, w := range v.workers {
		if w.stale && len(ids) < n {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// newcomers returns up to n names under /workers that were not read yet.
func (v *view) newcomers(n int) []string {
	var ids []string
	for id := range v.unread {
		if len(ids) == n {
			break
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// reconsider has up to n strangers read again, with the next listing: one of them may
// have become a worker.
func (v *view) reconsider(n int) {
	for id := range v.strangers {
		if n--; n < 0 {
			return
		}
		delete(v.strangers, id)
	}
}

// markStale has a worker read again before the next decision about it.
func (v *view) markStale(id string) {
	if w := v.workers[id]; w != nil {
		w.stale = true
	}
}

// readWorker merges what a worker's znode says.
func (v *view) readWorker(id string, list []string, version int32) {
	w := v.workers[id]
	if w == nil {
		w = &workerView{seen: v.workersListed}
		v.workers[id] = w
		delete(v.unread, id)
	}
	old := w.list
	if !slices.Equal(list, old) || version != w.version {
		w.moved, w.movedAt, w.listing = v.now, v.begun, v.asked
	}
	if len(list) == 0 || len(old) == 0 || list[0] != old[0] {
		w.long = false
	}
	if len(list) == 0 {
		w.turn = w.turn.ended(v.now, w.told)
	}
	w.list, w.version, w.stale, w.told, w.ignored = list, version, false, false, false
	if slices.Equal(list, old) {
		return
	}
	for _, t := range list { // first: what stays is not released in between
		v.hold(t)
	}
	for _, t := range old {
		if v.release(t) {
			v.free(t)
		}
	}
}

// ignoreWorker leaves a worker alone that may not be used any more: nothing is given to
// it, and nothing taken back. What it lists it holds until it is gone.
func (v *view) ignoreWorker(id string) {
	w := v.workers[id]
	if w == nil || len(w.list) == 0 {
		v.stranger(id)
		return
	}
	w.ignored, w.stale = true, false
}

// stranger merges that a znode under /workers is no worker.
func (v *view) stranger(id string) {
	if w := v.workers[id]; w != nil {
		v.readWorker(id, nil, w.version)
	}
	delete(v.workers, id)
	delete(v.unread, id)
	v.strangers[id] = v.workersListed
}

// workerGone merges that a worker's znode is not there. It returns the tasks
// that it held. The first of them was lost if nobody touched its state since it
// was assigned; a worker that leaves cleanly does. The others had not started.
// That is counted only where the worker is to blame.
func (v *view) workerGone(id string, blame bool) []string {
	delete(v.unread, id)
	w := v.workers[id]
	if w == nil {
		return nil
	}
	delete(v.workers, id)
	for i, t := range w.list {
		if tv := v.tasks[t]; v.release(t) && tv != nil {
			tv.lost = blame && i == 0 && tv.version >= 0
			tv.suspect = i > 0
			v.look(t)
		}
	}
	return w.list
}

func (v *view) hold(id string) {
	v.holders[id]++
	if t := v.tasks[id]; t != nil {
		t.phase = held
	}
}

// release ends one hold and tells whether it was the last.
func (v *view) release(id string) bool {
	v.holders[id]--
	if v.holders[id] > 0 {
		return false
	}
	delete(v.holders, id)
	return true
}

// readTask merges a task's state. It tells whether the state is none of ours.
func (v *view) readTask(id string, s task.State, version int32) (odd bool) {
	t := v.tasks[id]
	switch {
	case t == nil:
		return false
	case t.phase == held && s.Phase == task.Pending:
		t.read, t.version, t.losses = true, version, s.Losses
		return false
	case t.phase == held: // its worker finds that out
		t.read = true
		return false
	}
	returned := t.freed && version == t.version
	if returned {
		t.returns++
	} else if version != t.version {
		t.returns = 0
	}
	t.freed = false
	t.ended = s.Phase != task.Pending
	if t.ended {
		v.setAside(id)
		t.read, t.version, t.losses = true, version, 0
		return s.Phase == task.Odd
	}
	t.lost = t.lost && version == t.version
	t.read, t.version, t.losses = true, version, s.Losses
	if returned && t.returns > mostReturns {
		v.setAside(id)
		t.due = v.tick + int64(min(t.returns*t.returns, longestPause))
		return false
	}
	v.wait(id)
	return false
}

// wait has a task wait for its assignment, or for its end if it was lost once
// too often.
func (v *view) wait(id string) {
	t := v.tasks[id]
	if t == nil {
		return
	}
	t.phase, t.freed = waiting, false
	if t.lost && v.maxLosses > 0 && t.losses+1 >= v.maxLosses {
		v.doomed = append(v.doomed, id)
		return
	}
	if !t.queued {
		t.queued = true
		v.queue.push(t.item(id))
	}
}

// unreadable merges that a task's state may not be read.
func (v *view) unreadable(id string) {
	if t := v.tasks[id]; t != nil && t.phase == held {
		t.read = true // as far as it can be
		return
	}
	v.setAside(id)
}

// taskGone merges that a task is not there. Of one that a worker executes a listing is
// to tell: the worker may have committed it.
func (v *view) taskGone(id string) {
	if t := v.tasks[id]; t != nil && t.phase == held {
		t.read = true
		return
	}
	delete(v.tasks, id)
}

// ready tells whether the view is whole, so that it may be decided upon. Once it was,
// very many new names under /workers, which only a mistake makes, hold nothing up.
func (v *view) ready() bool {
	if len(v.unread) > 0 && !(v.whole && len(v.unread) > manyWorkers) || v.workersListed == 0 || len(v.stale(1)) > 0 {
		return false
	}
	v.whole = true
	return v.listing > 0
}
