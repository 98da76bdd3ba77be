package sched

import (
	"slices"
	"time"

	"github.com/google/btree"

	"taskkeeper/internal/task"
)

// Scheduler is the leader's view of /tasks and /workers. Its methods are for one
// goroutine. New makes one; the zero value does not work.
type Scheduler struct {
	maxLosses int // the loss that fails a task; 0: none does

	tasks      map[string]*entry
	unverified *btree.BTreeG[*entry] // by id
	released   *btree.BTreeG[*entry] // by recheck
	finished   *btree.BTreeG[*entry] // by recheck
	exhausted  *btree.BTreeG[*entry] // by id

	workers   map[string]*worker
	newcomers *btree.BTreeG[*worker] // by id
	unread    *btree.BTreeG[*worker] // by id
	holders   map[string][]*worker   // by task, listed in /tasks or not: the workers that list it
	unlisted  map[string]bool        // the tasks in holders that /tasks does not list
	queues    map[string]*queue
	staffed   map[string]*queue // the queues with workers that may get tasks

	drains     task.Draining    // the children of /drain; nil: not listed yet
	openDrains map[string]Drain // those of them that do not say "drained" yet

	listing       int64 // the number of the last listing of /tasks that was merged; 0: none was
	workersListed bool
	complete      bool            // everything that a new leader must know was read
	firsts        map[string]bool // tasks that are first in a worker's list; read if their losses are unknown
	ahead         int             // how many tasks verifyAhead took last; 0 after an assignment was carried out
	finishedNext  time.Time       // when more finished tasks are rechecked
	found         []string        // tasks of the first listing that verifyFound has not looked at yet
	foundNext     time.Time       // when verifyFound reads more of them

	totals Totals
	losses []string // the queue of each loss that TakeLosses has not returned yet
}

// New returns a scheduler that knows nothing. The maxLosses-th loss fails a task; with 0
// no loss does.
func New(maxLosses int) *Scheduler {
	return &Scheduler{
		maxLosses:  maxLosses,
		tasks:      make(map[string]*entry),
		unverified: btree.NewG(degree, byID),
		released:   btree.NewG(degree, byRecheck),
		finished:   btree.NewG(degree, byRecheck),
		exhausted:  btree.NewG(degree, byID),
		workers:    make(map[string]*worker),
		newcomers:  btree.NewG(degree, byWorker),
		unread:     btree.NewG(degree, byWorker),
		holders:    make(map[string][]*worker),
		unlisted:   make(map[string]bool),
		queues:     make(map[string]*queue),
		staffed:    make(map[string]*queue),
		firsts:     make(map[string]bool),
	}
}

// Event is what the leader read, or the outcome of a write.
type Event interface {
	handle(s *Scheduler, now time.Time)
}

// Handle merges an event that came at the time now.
func (s *Scheduler) Handle(e Event, now time.Time) { e.handle(s, now) }

// Knows reports whether a listing named this worker and it is not gone.
func (s *Scheduler) Knows(worker string) bool { return s.workers[worker] != nil }

// KnowsTask reports whether a task was listed or seen, and is not gone.
func (s *Scheduler) KnowsTask(id string) bool { return s.tasks[id] != nil }

// Holds returns the tasks that only this worker lists, each with the version of its state
// when it was assigned; -1 if that is not known.
func (s *Scheduler) Holds(worker string) (held []Known) {
	w := s.workers[worker]
	if w == nil {
		return nil
	}
	for _, id := range w.list {
		if t := s.tasks[id]; t != nil && len(s.holders[id]) == 1 {
			version := t.version
			if t.unsure {
				version = -1
			}
			held = append(held, Known{ID: id, Version: version})
		}
	}
	return held
}

// Returns is how many times in a row a task left a worker's list although nobody had
// written its state.
func (s *Scheduler) Returns(id string) int {
	if t := s.tasks[id]; t != nil {
		return t.returns
	}
	return 0
}

// TakeLosses returns the queue of each execution that was found lost since the last call.
func (s *Scheduler) TakeLosses() (queues []string) {
	queues, s.losses = s.losses, nil
	return queues
}

// ToVerify reports whether a task's state must be read.
func (s *Scheduler) ToVerify(id string) bool {
	t := s.tasks[id]
	return t != nil && t.state == Unverified
}

// TasksListed is a listing of /tasks. Numbers count listings in the order in which
// they began, from 1. IDs holds valid ids only.
type TasksListed struct {
	IDs    []string
	Number int64
}

func (e TasksListed) handle(s *Scheduler, now time.Time) {
	first := s.listing == 0
	s.listing = e.Number
	var added []string
	for _, id := range e.IDs {
		if t := s.tasks[id]; t != nil {
			t.listed = e.Number
		} else {
			added = append(added, id)
		}
	}
	slices.Sort(added) // of submitters that come at once, the one with the oldest task has the first turn
	for _, id := range added {
		s.add(id, e.Number)
	}
	if first {
		s.found = append(s.found, added...)
	}
	for _, t := range s.tasks {
		if t.listed < e.Number {
			s.forget(t)
		}
	}
}

// TasksSeen are tasks that an event reported. Number is that of the last listing that had
// begun by then; that listing may lack them.
type TasksSeen struct {
	IDs    []string
	Number int64
}

func (e TasksSeen) handle(s *Scheduler, _ time.Time) {
	slices.Sort(e.IDs)
	for _, id := range e.IDs {
		if s.tasks[id] != nil {
			continue
		}
		s.add(id, e.Number)
		if s.listing == 0 { // the event may be its last write: it may be finished
			s.found = append(s.found, id)
		}
	}
}

// add adds a task that a listing names for the first time.
func (s *Scheduler) add(id string, listing int64) {
	name := task.ParseName(id)
	t := &entry{id: id, queue: s.queue(name.Queue), listed: listing, lostAt: -1}
	t.queue.tasks++
	s.tasks[id] = t
	delete(s.unlisted, id)
	switch {
	case len(s.holders[id]) > 0: // by hand, or assigned by a leader before this one
		t.version = -1
		s.become(t, Assigned, detail{})
		for _, w := range s.holders[id] {
			s.firsts[w.list[0]] = true
		}
	case name.ByHand:
		t.version = -1
		s.become(t, Unverified, detail{cause: byHand})
	default:
		s.become(t, Pending, detail{})
	}
}

// TaskRead is a task's state, as the leader read it.
type TaskRead struct {
	ID      string
	State   task.State
	Version int32
	Zxid    int64 // of its last write
}

func (e TaskRead) handle(s *Scheduler, now time.Time) {
	t := s.tasks[e.ID]
	if t == nil {
		return
	}
	if t.state != Unverified && t.state != Finished && t.state != Assigned {
		return // the read was meant for an earlier state
	}
	unknown, moved, state, why := t.version < 0, e.Version != t.version, t.state, t.cause
	t.version, t.zxid, t.losses, t.verified = e.Version, e.Zxid, e.State.Losses, true
	if state == Assigned {
		if unknown { // its worker may have given it back meanwhile
			t.unsure = true
			for _, w := range s.holders[t.id] {
				s.readAgain(w)
			}
		}
		return
	}
	if moved {
		t.returns = 0
	}
	var d detail
	switch {
	case e.State.Phase != task.Pending:
		s.become(t, Finished, detail{recheck: now.Add(finishedPause), phase: e.State.Phase})
		return
	case state == Finished: // somebody set it back
	case why == lostAtStart && !moved:
		d.lost, d.asks = true, e.State.Facts
	case why == behindLost:
		d.quarantined = true
	case why == wasReleased && !moved:
		t.returns++
	}
	if d.lost && t.lostAt != t.version {
		t.lostAt = t.version
		s.losses = append(s.losses, t.queue.name)
	}
	if d.lost && s.maxLosses > 0 && t.losses+1 >= s.maxLosses {
		s.become(t, Exhausted, d)
		return
	}
	s.become(t, Pending, d)
}

// TaskUnusable is a task whose state may not be read.
type TaskUnusable struct{ ID string }

func (e TaskUnusable) handle(s *Scheduler, now time.Time) {
	t := s.tasks[e.ID]
	switch {
	case t == nil:
	case t.state == Assigned:
		t.version = max(t.version, 0) // its losses stay unknown, and nothing waits for them
	case t.state == Unverified:
		s.become(t, Finished, detail{recheck: now.Add(finishedPause)})
	}
}

// TaskGone is a task whose znode does not exist.
type TaskGone struct{ ID string }

func (e TaskGone) handle(s *Scheduler, _ time.Time) {
	if t := s.tasks[e.ID]; t != nil {
		s.forget(t)
	}
}
