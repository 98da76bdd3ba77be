package master

import (
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
	read    bool  // its state has been read
	queued  bool  // it stands in the queue
	shelved bool  // it stands in asides
	listed  bool  // it stands in toRead
	lost    bool  // its execution was lost with its worker, unless its version moved since
	suspect bool  // it was in the list of a worker that was lost, and not the first
	version int32 // of its state: 0 if never touched; -1 if not known at all
	losses  int
	since   int64   // aside: the tick at which it was set aside
	seen    int64   // the last listing that had it
	result  *result // it is finished and outlives its client
}

func (t *taskView) claim(id string) claim {
	return claim{id: id, version: t.version, losses: t.losses, lost: t.lost, suspect: t.suspect}
}

// workerView is a worker as last known.
type workerView struct {
	list      []string
	version   int32
	stale     bool  // to be read before it is given anything
	arm       bool  // a watch is to be set with the next read
	watched   bool  // one is set that has not fired
	watchedAt int32 // the version that was read when the last was set
	long      bool  // it executes a long task
	told      bool  // a watch told of the change that is to be read
	ignored   bool  // not a worker: a znode that nobody's session keeps, or one we may not use
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
	queue   queue
	doomed  []string // tasks that were lost once too often
	toRead  []string // tasks that are unread
	asides  []string // tasks that were set aside, the longest first
	ahead   int      // how many were read at the last doubt; 0 since an assignment was carried out

	asked         int64 // listings of /tasks asked for
	listing       int64 // the last one merged
	tick          int64
	workersListed bool
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
	}
}

// listTasks merges a listing of /tasks. It returns the names that cannot be
// used. Listings come in the order in which they were asked for.
func (v *view) listTasks(names []string, listing int64) (odd []string) {
	v.listing = listing
	var fresh []item
	for _, id := range names {
		t := v.tasks[id]
		if t == nil {
			if !task.ValidID(id) {
				odd = append(odd, id)
				continue
			}
			t = &taskView{phase: waiting, hand: task.HandMade(id)}
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
				fresh = append(fresh, item{id: id})
			}
		}
		t.seen = listing
	}
	for id, t := range v.tasks {
		if t.seen != listing {
			delete(v.tasks, id)
		}
	}
	v.queue.push(fresh...)
	if v.queue.len() > 2*len(v.tasks)+ahead {
		v.requeue()
	}
	return odd
}

// requeue drops from the queue what was withdrawn: without a free worker nothing
// else does.
func (v *view) requeue() {
	v.queue = queue{}
	var items []item
	for id, t := range v.tasks {
		if t.queued {
			items = append(items, item{id, t.hand})
		}
	}
	v.queue.push(items...)
}

// listWorkers merges a listing of /workers. Those that are new, or known and
// not listed, are to be read.
func (v *view) listWorkers(names []string) {
	v.workersListed = true
	listed := make(map[string]bool, len(names))
	for _, id := range names {
		listed[id] = true
		if v.workers[id] == nil {
			v.workers[id] = &workerView{stale: true}
		}
	}
	for id, w := range v.workers {
		if !listed[id] {
			w.stale = true
		}
	}
}

// stale returns the workers that are to be read.
func (v *view) stale() []string {
	var ids []string
	for id, w := range v.workers {
		if w.stale {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
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
		w = &workerView{}
		v.workers[id] = w
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
	for _, t := range list {
		if !slices.Contains(old, t) {
			v.hold(t)
		}
	}
	for _, t := range old {
		if !slices.Contains(list, t) && v.release(t) {
			v.setAside(t)
		}
	}
}

// ignoreWorker leaves a znode under /workers alone: nothing is given to it, and
// nothing taken back. What it lists it holds until it is gone.
func (v *view) ignoreWorker(id string) {
	if w := v.workers[id]; w != nil {
		w.ignored, w.stale = true, false
	}
}

// workerGone merges that a worker's znode is not there. It returns the tasks
// that it held. The first of them was lost if nobody touched its state since it
// was assigned; a worker that leaves cleanly does. The others had not started.
// That is counted only where the worker is to blame.
func (v *view) workerGone(id string, blame bool) []string {
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

func (v *view) setAside(id string) {
	t := v.tasks[id]
	if t == nil {
		return
	}
	t.phase, t.lost, t.since = aside, false, v.tick
	if !t.shelved {
		t.shelved = true
		v.asides = append(v.asides, id)
	}
}

// shelfLife is how many ticks a task stays aside before it is read again: in
// the usual course its client has removed it by then.
const shelfLife = 2

// nextTick counts time on and has up to n of the tasks read again that were
// set aside long ago: someone may have made them pending again.
func (v *view) nextTick(n int) {
	v.tick++
	for ; n > 0 && len(v.asides) > 0; n-- {
		id := v.asides[0]
		t := v.tasks[id]
		if t != nil && t.phase == aside && v.tick-t.since < shelfLife {
			return
		}
		v.asides = v.asides[1:]
		if t == nil {
			n++ // it vanished, as usual
			continue
		}
		t.shelved = false
		if t.phase == aside {
			v.look(id)
		}
	}
}

// look has a task read.
func (v *view) look(id string) {
	if t := v.tasks[id]; t != nil {
		t.phase = unread
		if !t.listed {
			t.listed = true
			v.toRead = append(v.toRead, id)
		}
	}
}

// takeUnread returns up to n tasks that are to be read.
func (v *view) takeUnread(n int) []string {
	var ids []string
	for len(ids) < n && len(v.toRead) > 0 {
		id := v.toRead[0]
		v.toRead = v.toRead[1:]
		t := v.tasks[id]
		if t == nil {
			continue
		}
		t.listed = false
		if t.phase == unread {
			ids = append(ids, id)
		}
	}
	return ids
}

// readTask merges a task's state. It tells whether the state is none of ours.
func (v *view) readTask(id string, s task.State, version int32) (odd bool) {
	t := v.tasks[id]
	if t == nil || t.phase == held {
		return false
	}
	if s.Phase != task.Pending {
		v.setAside(id)
		t.read, t.version, t.losses = true, version, 0
		return s.Phase == task.Odd
	}
	t.lost = t.lost && version == t.version
	t.read, t.version, t.losses = true, version, s.Losses
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
	t.phase = waiting
	if t.lost && v.maxLosses > 0 && t.losses+1 >= v.maxLosses {
		v.doomed = append(v.doomed, id)
		return
	}
	if !t.queued {
		t.queued = true
		v.queue.push(item{id, t.hand})
	}
}

// taskGone merges that a task is not there.
func (v *view) taskGone(id string) { delete(v.tasks, id) }

// Where a task was found not to be as it was taken to be, what follows it may be
// the same: that many are read at once, and twice as many each time that this
// happens again. A new leader finds a few that are finished and not yet cleaned
// up, and must not read a thousand before it assigns anything; where there are
// thousands of results that nobody collected, few assignments fail.
const (
	leastAhead = 32
	ahead      = 1024 // at most
)

// doubt has a task read whose state is not what it was taken for, and those
// that follow it and have never been read.
func (v *view) doubt(id string) {
	v.look(id)
	v.ahead = min(max(leastAhead, 2*v.ahead), ahead)
	for _, next := range v.queue.next(v.ahead) {
		if t := v.tasks[next]; t != nil && t.phase == waiting && !t.read {
			v.look(next)
		}
	}
}

// ready tells whether the view is whole, so that it may be decided upon.
func (v *view) ready() bool {
	return v.listing > 0 && v.workersListed && len(v.stale()) == 0
}
