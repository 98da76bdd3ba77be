package sched

import (
	"slices"
	"time"

	"github.com/google/btree"

	"taskkeeper/internal/task"
)

// Scheduler is the leader's view of /tasks and /workers. Its methods are for one
// goroutine. The zero value is of no use.
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
	holders   map[string][]*worker   // by task, listed in /tasks or not: who lists it
	unlisted  map[string]bool        // those of them that /tasks does not list
	queues    map[string]*queue
	staffed   map[string]*queue // those with workers

	drains     task.Draining    // the children of /drain; nil: they were not listed
	openDrains map[string]Drain // of them, those that are to be written when what they name is free

	listing       int64 // the last one of /tasks that was merged; 0: none was
	workersListed bool
	complete      bool            // all was read that a new leader must know
	firsts        map[string]bool // tasks that stand first in a list: their losses are to be read, unless they are known
	ahead         int             // tasks read when one was refused last; 0 since an assignment was carried out
	finishedNext  time.Time       // when more of the finished tasks are looked at
	found         []string        // by the first listing: those that were not looked at yet
	foundNext     time.Time       // when more of these are read

	totals Totals
	losses []string // queues, one for each loss that TakeLosses has not returned
}

// New returns a scheduler that knows nothing. The maxLosses-th loss fails a task; 0
// means that none does.
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

// Event is what was read or carried out.
type Event interface {
	handle(s *Scheduler, now time.Time)
}

// Handle merges an event, which came now.
func (s *Scheduler) Handle(e Event, now time.Time) { e.handle(s, now) }

// Knows tells whether a listing named a worker that is not gone.
func (s *Scheduler) Knows(worker string) bool { return s.workers[worker] != nil }

// KnowsTask tells whether a task was listed or seen, and is not gone.
func (s *Scheduler) KnowsTask(id string) bool { return s.tasks[id] != nil }

// Holds returns the tasks that are in this worker's list and in no other's, at the
// versions that their states had when they were assigned; -1 where that is not known.
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

// Returns is how many times in a row a task left a worker's list, and its state had not
// been written.
func (s *Scheduler) Returns(id string) int {
	if t := s.tasks[id]; t != nil {
		return t.returns
	}
	return 0
}

// TakeLosses returns the queues of the executions that were found to be lost since it was called
// last, one for each.
func (s *Scheduler) TakeLosses() (queues []string) {
	queues, s.losses = s.losses, nil
	return queues
}

// ToVerify tells whether a task's state is to be read.
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
	slices.Sort(added) // submitters that come at once have their first turns by age
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

// TasksSeen are tasks that were there at some moment after the listing of that number had
// begun, the last one that has. It may have missed them.
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
		if s.listing == 0 { // what was seen may be its end
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

// TaskRead is a task's state as read.
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
		return // it was read for what it was before
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

// TaskUnusable is a task whose state may not be read or written.
type TaskUnusable struct{ ID string }

func (e TaskUnusable) handle(s *Scheduler, now time.Time) {
	t := s.tasks[e.ID]
	switch {
	case t == nil:
	case t.state == Assigned:
		t.version = max(t.version, 0) // its losses will not be known
	case t.state == Unverified:
		s.become(t, Finished, detail{recheck: now.Add(finishedPause)})
	}
}

// TaskGone is a task that is not there.
type TaskGone struct{ ID string }

func (e TaskGone) handle(s *Scheduler, _ time.Time) {
	if t := s.tasks[e.ID]; t != nil {
		s.forget(t)
	}
}
