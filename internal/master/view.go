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
	old     bool  // it was made long before it was listed: its state may be any
	read    bool  // its state has been read
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
	large   int64   // the zxid of its last write, if its state is finished and large
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
	queue   queue
	chances queue    // tasks that wait for their last chance: see isolate
	doomed  []string // tasks that were lost once too often
	toRead  []string // tasks that are unread
	leavers []string // tasks that left a list, in this order
	asides  []string // others that were set aside
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
				odd = append(odd, id)
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
			v.free(t)
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

// free sets a task aside that left a worker's list: most likely it is finished.
func (v *view) free(id string) {
	t := v.shelve(id)
	if t == nil {
		return
	}
	t.freed = true
	if !t.leaving {
		t.leaving = true
		v.leavers = append(v.leavers, id)
	}
}

// setAside has a task that is not pending, or cannot be used, looked at again from
// time to time.
func (v *view) setAside(id string) {
	if t := v.shelve(id); t != nil && !t.shelved {
		t.shelved = true
		v.asides = append(v.asides, id)
	}
}

func (v *view) shelve(id string) *taskView {
	t := v.tasks[id]
	if t != nil {
		t.phase, t.lost, t.since = aside, false, v.tick
	}
	return t
}

// shelfLife is how many ticks a task stays aside before it is read again: in
// the usual course its client has removed it by then.
const shelfLife = 2

// nextTick counts time on and has up to n of the tasks read again that were set
// aside. Those come first that left a list: a task that was taken back by hand is
// to be assigned soon, however many results wait for somebody to collect them.
// Those wait for each other: someone may have made one pending again.
func (v *view) nextTick(n int) {
	v.tick++
	left := n
	for len(v.leavers) > 0 {
		id := v.leavers[0]
		t := v.tasks[id]
		waits := t != nil && t.phase == aside
		if waits && (left == 0 || v.tick-t.since < shelfLife) {
			break
		}
		v.leavers = v.leavers[1:]
		if t != nil {
			t.leaving = false
		}
		if waits {
			left--
			v.look(id)
		}
	}
	left = max(left, n/5)
	for i := len(v.asides); i > 0 && left > 0; i-- {
		id := v.asides[0]
		v.asides = v.asides[1:]
		t := v.tasks[id]
		switch {
		case t == nil:
		case t.phase != aside:
			t.shelved = false
		case v.tick-t.since < shelfLife || v.tick < t.due:
			v.asides = append(v.asides, id)
		default:
			t.shelved = false
			left--
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

// A task may come back again and again, executed and not written, because its
// workers may not write it; or because somebody empties their lists by hand. After
// the first few times it waits ever longer, up to some minutes.
const (
	mostReturns  = 2   // at once
	longestPause = 300 // ticks
)

// returning tells whether a task waits because of that.
func (v *view) returning(id string) bool {
	t := v.tasks[id]
	return t != nil && t.phase == aside && t.due > v.tick
}

// unchanged merges that a large result is as it was.
func (v *view) unchanged(id string) {
	if t := v.tasks[id]; t != nil && t.phase == unread {
		v.setAside(id)
	}
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
		if t := v.tasks[next.id]; t != nil && t.phase == waiting && !t.read {
			v.look(next.id)
		}
	}
}

// foresee has those of the queue read in time that are to be read before they are
// assigned: of what all workers may be given twice over, and, while nothing can be
// assigned of what was read, ever more.
func (v *view) foresee() {
	soon, looked := 0, false
	defer func() {
		if looked {
			v.ahead = min(max(leastAhead, 2*v.ahead), ahead)
		}
	}()
	for i, it := range v.queue.next(ahead) {
		if !it.old {
			continue
		}
		if soon == 0 {
			soon = max(2*v.appetite(), v.ahead)
		}
		if i >= soon {
			return
		}
		if t := v.tasks[it.id]; t != nil && t.phase == waiting && !t.known() {
			v.look(it.id)
			looked = true
		}
	}
}

// ready tells whether the view is whole, so that it may be decided upon.
func (v *view) ready() bool {
	return v.listing > 0 && v.workersListed && len(v.stale()) == 0
}
