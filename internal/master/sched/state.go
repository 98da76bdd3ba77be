package sched

import (
	"cmp"
	"time"

	"github.com/google/btree"

	"taskkeeper/internal/task"
)

// State is where a listed task stands in the leader's view.
type State uint8

// The states. See the package's documentation for the arrows between them.
const (
	Unverified State = iota // its znode is to be read before anything is decided about it
	Pending                 // unassigned, and taken for untouched since it was made or read
	Assigning               // reserved by an assignment whose fate is not known
	Assigned                // in a worker's list
	Released                // left the last list that had it: most likely finished
	Finished                // read as done, failed or malformed
	Exhausted               // lost once too often: it is to be failed
	Failing                 // reserved by that write
)

// String is for tests and logs.
func (s State) String() string {
	return [...]string{"unverified", "pending", "assigning", "assigned", "released", "finished", "exhausted", "failing"}[s]
}

// cause is why a task is Unverified.
type cause uint8

const (
	byHand      cause = iota // its name was made by hand: its state may be anything
	inDoubt                  // its state is not what it was taken for, or that is not known
	wasReleased              // it left its worker's list, and is still there
	wasReturned              // its worker was asked for it, and lists it no more
	behindLost               // it stood behind another task in the list of a worker that is gone
	lostAtStart              // it was the first in such a list: a loss, if nobody has written its state since
)

// entry is a task that /tasks lists. There may be 100,000.
type entry struct {
	id     string
	queue  *queue
	listed int64 // the last listing that had it

	detail
	state State

	verified bool  // the state was read, not concluded from the task's name
	version  int32 // of the state, as last known; -1 if not known
	zxid     int64 // of the state's last write, if it was read as it is; else 0
	losses   int   // at that version
	lostAt   int32 // the version at which its last loss was found, which nobody has written yet; -1: none was
	returns  int   // how often it was released, and its version had not moved
}

// detail is what belongs to a task's state. Another state has another.
type detail struct {
	recheck time.Time // Released, Finished: when it is looked at again
	looks   int32     // Finished, and done: how often it was found to be so in a row
	cause   cause     // Unverified
	since   time.Time // Assigned: it is
	unsure  bool      // Assigned: its version was read later than the list that has it
	// Pending, Released, Exhausted: the execution before was lost, and the next assignment counts it.
	lost bool
	asks task.Facts // Pending, Exhausted: what is to stay in its state when that is written
	// Pending: it may be what its worker died of, and goes alone.
	quarantined bool
	phase       task.Phase // Finished: Done or Failed; Malformed if it is malformed, or not to be used
}

// alone tells whether a pending task may not share a batch.
func (t *entry) alone() bool { return t.lost || t.quarantined || t.losses > 0 }

// lastAttempt tells whether the next loss would fail a task that was lost before.
func (t *entry) lastAttempt(maxLosses int) bool {
	losses := t.losses
	if t.lost {
		losses++
	}
	return losses > 0 && maxLosses > 0 && losses+1 >= maxLosses
}

// queue is the tasks and workers of one queue.
type queue struct {
	name           string
	tasks, members int                    // how many tasks and znodes of workers are known: without any it is forgotten
	pending        *Order                 // Pending tasks,
	lastAttempts   *btree.BTreeG[string]  // but those that the next loss would fail
	workers        map[string]*worker     // that may be given something, sooner or later
	free           *btree.BTreeG[*worker] // Free
	batched        *btree.BTreeG[*worker] // Busy with more than one task; who stands still the longest comes first
}

func newQueue(name string) *queue {
	return &queue{
		name: name, pending: NewOrder(), lastAttempts: btree.NewOrderedG[string](degree),
		workers: make(map[string]*worker),
		free:    btree.NewG(degree, byWorker),
		batched: btree.NewG(degree, func(a, b *worker) bool {
			return cmp.Or(a.changed.Compare(b.changed), cmp.Compare(a.id, b.id)) < 0
		}),
	}
}

// byRecheck orders tasks by when they are looked at again.
func byRecheck(a, b *entry) bool {
	return cmp.Or(a.recheck.Compare(b.recheck), cmp.Compare(a.id, b.id)) < 0
}

func byID(a, b *entry) bool { return a.id < b.id }

func byWorker(a, b *worker) bool { return a.id < b.id }

// become changes a task's state, and moves it between the indexes. It is the only
// place that does.
func (s *Scheduler) become(t *entry, to State, d detail) {
	s.index(t, false)
	undone := t.state == Assigning && to == Pending
	t.state, t.detail = to, d
	if undone && !t.lastAttempt(s.maxLosses) {
		t.queue.pending.PutBack(t.id)
		return
	}
	s.index(t, true)
}

// index puts a task into the index of its state, or takes it out. A task that is
// Assigning, Assigned or Failing stands in none: a move or a worker's list names it.
func (s *Scheduler) index(t *entry, in bool) {
	put := func(tree *btree.BTreeG[*entry]) {
		if in {
			tree.ReplaceOrInsert(t)
		} else {
			tree.Delete(t)
		}
	}
	switch t.state {
	case Unverified:
		put(s.unverified)
	case Released:
		put(s.released)
	case Finished:
		put(s.finished)
	case Exhausted:
		put(s.exhausted)
	case Pending:
		last := t.lastAttempt(s.maxLosses)
		switch {
		case last && in:
			t.queue.lastAttempts.ReplaceOrInsert(t.id)
		case last:
			t.queue.lastAttempts.Delete(t.id)
		case in:
			t.queue.pending.Push(t.id)
		default:
			t.queue.pending.Remove(t.id)
		}
	}
}

// forget drops a task that is not there any more.
func (s *Scheduler) forget(t *entry) {
	s.index(t, false)
	delete(s.tasks, t.id)
	if len(s.holders[t.id]) > 0 {
		s.unlisted[t.id] = true
	}
	t.queue.tasks--
	s.drop(t.queue)
}

// workerState is where a worker stands in the leader's view.
type workerState int

const (
	newcomer  workerState = iota // a listing names it, and it was never read
	unread                       // its znode is to be read again; until then it keeps what it listed
	free                         // lists nothing
	drained                      // lists nothing, and is to be given nothing
	busy                         // lists something
	writing                      // reserved by a move whose fate is not known
	unusable                     // not to be read or written: left alone
	malformed                    // no worker: lists nothing, left alone
)

// worker is a znode under /workers.
type worker struct {
	id      string
	queue   *queue
	state   workerState
	session int64 // its process's

	list     []string // ids, the one that is executed first
	back     []string // of those, what it was asked to return
	version  int32
	hinted   int32     // the version that it has at least, by the watch
	listings int64     // of /tasks, that had begun when the list was read as it is
	changed  time.Time // the list

	size  int       // how many tasks it may get next
	given int       // how many it got last, if nothing was added or asked back since; else 0
	began time.Time // then
}

// becomeWorker changes a worker's state, and moves it between the indexes; set changes
// what these are sorted by.
func (s *Scheduler) becomeWorker(w *worker, to workerState, set func()) {
	switch w.state {
	case newcomer:
		s.newcomers.Delete(w)
	case unread:
		s.unread.Delete(w)
	case free:
		w.queue.free.Delete(w)
	case busy:
		w.queue.batched.Delete(w)
	}
	if set != nil {
		set()
	}
	w.state = to
	switch to {
	case newcomer:
		s.newcomers.ReplaceOrInsert(w)
	case unread:
		s.unread.ReplaceOrInsert(w)
	case free:
		w.queue.free.ReplaceOrInsert(w)
	case busy:
		if len(w.list) > 1 {
			w.queue.batched.ReplaceOrInsert(w)
		}
	}
	if to == unusable || to == malformed || to == drained {
		delete(w.queue.workers, w.id)
	} else {
		w.queue.workers[w.id] = w
	}
	if len(w.queue.workers) == 0 {
		delete(s.staffed, w.queue.name)
	} else {
		s.staffed[w.queue.name] = w.queue
	}
}

// readAgain has a worker's znode read.
func (s *Scheduler) readAgain(w *worker) {
	if w.state != newcomer {
		s.becomeWorker(w, unread, nil)
	}
}

func (s *Scheduler) queue(name string) *queue {
	q := s.queues[name]
	if q == nil {
		q = newQueue(name)
		s.queues[name] = q
	}
	return q
}

// drop forgets a queue that nobody is in.
func (s *Scheduler) drop(q *queue) {
	if q.tasks == 0 && q.members == 0 {
		delete(s.queues, q.name)
	}
}

func queueOf(name string) string {
	queue, _ := task.SplitQueue(name)
	return queue
}
