package sched

import (
	"cmp"
	"time"

	"github.com/google/btree"

	"taskkeeper/internal/task"
)

// State is the state of a known task in the leader's view.
type State uint8

// The states. See the package's documentation for the arrows between them.
const (
	Unverified State = iota // its znode must be read before the next decision about it
	Pending                 // unassigned; assumed to be unchanged since it was made or read
	Assigning               // reserved by an assignment whose outcome is not known
	Assigned                // in a worker's list
	Released                // left the last list that had it: most likely finished
	Finished                // read as done, failed or malformed
	Exhausted               // had the last loss allowed: the leader must fail it
	Failing                 // reserved by that write, whose outcome is not known
)

// String is for tests and logs.
func (s State) String() string {
	return [...]string{"unverified", "pending", "assigning", "assigned", "released", "finished", "exhausted", "failing"}[s]
}

// cause is why a task is Unverified.
type cause uint8

const (
	byHand      cause = iota // its name was made by hand: its state may be anything
	uncertain                // its state may not be what was assumed
	wasReleased              // it left its worker's list, and /tasks still lists it
	wasReturned              // its worker was asked for it, and no longer lists it
	behindLost               // it was not the first in the list of a worker that is gone
	lostAtStart              // it was the first in such a list: lost, unless its state was written since
)

// entry is a known task. There may be 100,000.
type entry struct {
	id     string
	queue  *queue
	listed int64 // the number of the last listing that had it

	detail
	state State

	verified bool  // the state was read, not assumed from the task's name
	version  int32 // of the state, as last known; -1 if not known
	zxid     int64 // of the state's last write, when it was last read; 0: never read
	losses   int   // at that version
	lostAt   int32 // the version at which its last loss was found: TakeLosses returns that loss once; -1: none
	returns  int   // how often in a row it was released at an unchanged version
}

// detail is what belongs to a task's present state. become replaces it.
type detail struct {
	recheck time.Time // Released, Finished: when it is read again
	looks   int32     // Finished, phase Done: rechecks since its state was last read
	cause   cause     // Unverified
	since   time.Time // Assigned: since when
	unsure  bool      // Assigned: its state was read later than its worker's list
	// Pending, Released, Exhausted: its last execution was lost; the next write of the leader counts that.
	lost bool
	asks task.Facts // Pending, Exhausted: what the leader's next write of its state must keep
	// Pending: it may have killed its worker, and is assigned alone.
	quarantined bool
	phase       task.Phase // Finished: Done or Failed; Malformed if it is malformed, or not readable
}

// alone reports whether a pending task may not share a batch.
func (t *entry) alone() bool { return t.lost || t.quarantined || t.losses > 0 }

// lastAttempt reports whether the task was lost before and the next loss would fail it.
func (t *entry) lastAttempt(maxLosses int) bool {
	losses := t.losses
	if t.lost {
		losses++
	}
	return losses > 0 && maxLosses > 0 && losses+1 >= maxLosses
}

// queue has the tasks and workers of one queue.
type queue struct {
	name           string
	tasks, members int                    // known tasks, and znodes of workers; a queue with neither is forgotten
	pending        *Order                 // Pending tasks, without lastAttempts
	lastAttempts   *btree.BTreeG[string]  // Pending tasks that the next loss would fail, by id
	workers        map[string]*worker     // those that may get tasks, now or later
	free           *btree.BTreeG[*worker] // their list is empty
	batched        *btree.BTreeG[*worker] // with more than one task; the list that changed longest ago comes first
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

// byRecheck orders tasks by when they are read again.
func byRecheck(a, b *entry) bool {
	return cmp.Or(a.recheck.Compare(b.recheck), cmp.Compare(a.id, b.id)) < 0
}

func byID(a, b *entry) bool { return a.id < b.id }

func byWorker(a, b *worker) bool { return a.id < b.id }

// become changes a task's state, and moves the task between the indexes. No other
// function does.
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
// Assigning, Assigned or Failing is in no index: a move or a worker's list names it.
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

// forget drops a task that no longer exists.
func (s *Scheduler) forget(t *entry) {
	s.index(t, false)
	delete(s.tasks, t.id)
	if len(s.holders[t.id]) > 0 {
		s.unlisted[t.id] = true
	}
	t.queue.tasks--
	s.drop(t.queue)
}

// workerState is the state of a worker in the leader's view.
type workerState int

const (
	newcomer  workerState = iota // listed, but never read
	unread                       // its znode must be read again; until then its old list stays
	free                         // its list is empty
	drained                      // its list is empty, and it gets no task
	busy                         // its list has tasks
	writing                      // reserved by a move whose outcome is not known
	unusable                     // may not be read or written: left alone
	malformed                    // not a worker's znode: its list counts as empty, left alone
)

// worker is a znode under /workers.
type worker struct {
	id      string
	queue   *queue
	state   workerState
	session int64 // the session of its process

	list     []string // ids; the first one is executed
	back     []string // of those, the ones that it was asked to return
	version  int32
	hinted   int32     // by the watch's events, its version is at least this
	listings int64     // how many listings of /tasks had begun when this list was read
	changed  time.Time // when the leader last saw the znode change

	size  int       // how many tasks it may get next
	given int       // how many it got last; 0 once they are done, or tasks were added or asked back
	began time.Time // when it got them
}

// becomeWorker changes a worker's state, and moves the worker between the indexes. set
// changes the fields by which the indexes are sorted.
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

// readAgain makes the leader read a worker's znode.
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

// drop forgets a queue if it has no tasks and no workers.
func (s *Scheduler) drop(q *queue) {
	if q.tasks == 0 && q.members == 0 {
		delete(s.queues, q.name)
	}
}

func queueOf(name string) string {
	queue, _ := task.SplitQueue(name)
	return queue
}
