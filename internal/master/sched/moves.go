package sched

import (
	"slices"
	"time"

	"taskkeeper/internal/task"
)

// Move is one step of the leader: a part of a Multi.
type Move struct {
	Kind    Kind
	Worker  string // Assign, Revoke, Reclaim
	Version int32  // of its znode
	List    []string
	Back    []string // of List, what the worker is asked to return
	Tasks   []Claim  // Assign, Fail: those to assign or fail; Revoke, Reclaim: only their ids

	listings int64 // as in worker
}

// Kind is what a move does.
type Kind int

// The kinds of moves.
const (
	Assign  Kind = iota // give tasks to a worker
	Revoke              // take what /tasks lacks off a worker's list
	Reclaim             // ask a worker to return what it has not begun
	Fail                // fail a task after the last loss allowed
)

// Claim is a task that the scheduler assumes to be pending at this version.
type Claim struct {
	ID        string
	Version   int32
	Losses    int  // so far
	CountLoss bool // the last execution was lost too, and the move writes that

	Asks task.Facts // what a state that the move writes must keep

	quarantined bool
}

func (t *entry) claim() Claim {
	return Claim{ID: t.id, Version: t.version, Losses: t.losses, CountLoss: t.lost, Asks: t.asks, quarantined: t.quarantined}
}

// Carried is a move that was carried out. Version is the new version of its worker's
// znode.
type Carried struct {
	Move    Move
	Version int32
}

func (e Carried) handle(s *Scheduler, now time.Time) {
	m := e.Move
	if m.Kind == Fail {
		if t := s.tasks[m.Tasks[0].ID]; t != nil && t.state == Failing {
			t.version = m.Tasks[0].Version + 1
			s.become(t, Finished, detail{recheck: now.Add(finishedPause), phase: task.Failed})
		}
		return
	}
	if m.Kind == Assign {
		s.ahead = 0
		for _, c := range m.Tasks {
			if t := s.tasks[c.ID]; t != nil && c.CountLoss {
				t.version, t.losses = c.Version+1, c.Losses+1
			}
		}
	}
	w := s.workers[m.Worker]
	if w == nil {
		return
	}
	s.lists(w, m.List, m.Back, e.Version, m.listings, now)
	switch m.Kind {
	case Assign:
		w.given, w.began = len(m.Tasks), now
	case Reclaim:
		w.given, w.size = 0, 1
	}
}

// NotSent is a move that was not carried out, because another move was refused.
type NotSent struct{ Move Move }

func (e NotSent) handle(s *Scheduler, now time.Time) { s.undo(e.Move, "", now) }

// Refused is a move that was not carried out, because one of its operations failed.
type Refused struct {
	Move Move
	Task string // the operation on its state failed; "": the one on the worker's znode
	Why  Why
}

// Why is the reason why an operation failed.
type Why int

// The reasons.
const (
	Moved    Why = iota // the znode is at another version
	Gone                // the znode does not exist
	Unusable            // the znode cannot be written now
)

func (e Refused) handle(s *Scheduler, now time.Time) {
	s.undo(e.Move, e.Task, now)
	t, w := s.tasks[e.Task], s.workers[e.Move.Worker]
	switch {
	case t != nil && e.Why == Gone:
		s.verifyAhead(t.queue)
		s.forget(t)
	case t != nil && e.Why == Unusable: // tried again later
		lost := slices.ContainsFunc(e.Move.Tasks, func(c Claim) bool { return c.ID == e.Task && c.CountLoss })
		s.become(t, Released, detail{recheck: now.Add(releasePause + returnPause(t.returns)), lost: lost})
	case t != nil:
		s.verifyAhead(t.queue)
	case e.Task != "" || w == nil:
	case e.Why == Unusable:
		s.becomeWorker(w, unusable, nil)
	default:
		s.readAgain(w)
	}
}

// undo ends the reservations of a move. The task culprit, if it is one, must be read.
func (s *Scheduler) undo(m Move, culprit string, now time.Time) {
	for _, c := range m.Tasks {
		t := s.tasks[c.ID]
		switch {
		case t == nil || t.state != Assigning && t.state != Failing:
		case c.ID == culprit:
			s.become(t, Unverified, detail{cause: uncertain})
		case t.state == Failing:
			s.become(t, Exhausted, detail{lost: c.CountLoss, asks: c.Asks})
		default:
			s.become(t, Pending, detail{lost: c.CountLoss, asks: c.Asks, quarantined: c.quarantined})
		}
	}
	if w := s.workers[m.Worker]; w != nil && w.state == writing {
		s.lists(w, w.list, w.back, w.version, w.listings, now)
	}
}

// verifyAhead makes the leader read the tasks that come next and were never read: if one
// task was not pending as assumed, others may not be either. It begins with a few, because
// a new leader often finds a few finished tasks and must soon assign. Each further refusal
// doubles the number, so that thousands of uncollected results fail few assignments.
func (s *Scheduler) verifyAhead(q *queue) {
	s.ahead = min(max(leastAhead, 2*s.ahead), mostAhead)
	for _, id := range q.pending.Next(s.ahead) {
		if t := s.tasks[id]; !t.verified {
			s.become(t, Unverified, detail{cause: uncertain})
		}
	}
}

// Unknown is a move whose answer was lost. The caller has called Sync since, so a read now
// shows the outcome: the move's worker and tasks must be read.
type Unknown struct{ Move Move }

func (e Unknown) handle(s *Scheduler, _ time.Time) {
	for _, c := range e.Move.Tasks {
		if t := s.tasks[c.ID]; t != nil && (t.state == Assigning || t.state == Failing) {
			why := uncertain
			if c.CountLoss { // the loss still counts unless the move wrote the state
				why = lostAtStart
			}
			s.become(t, Unverified, detail{cause: why})
		}
	}
	if w := s.workers[e.Move.Worker]; w != nil {
		s.readAgain(w)
	}
}

// reserve reserves the tasks and the worker of a move until its outcome is known.
func (s *Scheduler) reserve(m Move) Move {
	for _, c := range m.Tasks {
		switch t := s.tasks[c.ID]; m.Kind {
		case Assign:
			s.become(t, Assigning, detail{})
		case Fail:
			s.become(t, Failing, detail{})
		}
	}
	if w := s.workers[m.Worker]; w != nil {
		m.Version, m.listings = w.version, w.listings
		s.becomeWorker(w, writing, nil)
	}
	return m
}
