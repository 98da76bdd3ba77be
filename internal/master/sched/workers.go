package sched

import (
	"slices"
	"time"

	"taskkeeper/internal/task"
)

// WorkersListed is a listing of /workers.
type WorkersListed struct{ IDs []string }

func (e WorkersListed) handle(s *Scheduler, _ time.Time) {
	s.workersListed = true
	listed := make(map[string]bool, len(e.IDs))
	for _, id := range e.IDs {
		listed[id] = true
		if s.workers[id] == nil {
			w := &worker{id: id, queue: s.queue(queueOf(id)), size: 1}
			w.queue.members++
			s.workers[id] = w
			s.becomeWorker(w, newcomer, nil)
		}
	}
	for id, w := range s.workers { // only a read shows that a worker is gone
		if !listed[id] {
			s.readAgain(w)
		}
	}
}

// WorkerChanged says how many times a worker's znode was written since the last such
// event; 0 if that is not known. The leader's own writes count too.
type WorkerChanged struct {
	ID    string
	Times int
}

func (e WorkerChanged) handle(s *Scheduler, _ time.Time) {
	w := s.workers[e.ID]
	if w == nil {
		return
	}
	w.hinted += int32(e.Times)
	if e.Times == 0 || w.hinted > w.version {
		s.readAgain(w)
	}
}

// AllChanged says that every worker may have been written.
type AllChanged struct{}

func (AllChanged) handle(s *Scheduler, _ time.Time) {
	asked := 0
	for _, w := range s.workers {
		if w.state == unusable || w.state == malformed {
			if asked++; asked > mostMalformedReads {
				continue // after a later AllChanged
			}
		}
		s.readAgain(w)
	}
}

// WorkerRead is a worker's znode, as the leader read it.
type WorkerRead struct {
	ID       string
	Session  int64    // the worker's znode vanishes with this session
	List     []string // the ids in it, each once
	Back     []string // of those, the ones that it is asked to return
	Version  int32
	Listings int64 // how many listings of /tasks had begun before the read
}

func (e WorkerRead) handle(s *Scheduler, now time.Time) {
	w := s.workers[e.ID]
	if w == nil {
		return
	}
	if len(e.List) == 0 && w.given > 0 {
		w.size = nextBatch(w.size, w.given, now.Sub(w.began))
	}
	w.session, w.hinted = e.Session, e.Version
	s.lists(w, e.List, e.Back, e.Version, e.Listings, now)
	for _, id := range e.List {
		if t := s.tasks[id]; t != nil {
			t.unsure = false
		}
	}
}

// lists merges a worker's list. A task that left the list was released, or returned.
func (s *Scheduler) lists(w *worker, list, back []string, version int32, listings int64, now time.Time) {
	old, asked := w.list, w.back
	var came, left []string
	if !slices.Equal(list, old) {
		came, left = difference(list, old), difference(old, list)
	}
	state := busy
	switch {
	case w.hinted > version:
		state = unread
	case len(list) == 0:
		state = s.withoutTasks(w)
	}
	s.becomeWorker(w, state, func() {
		if version != w.version || len(came)+len(left) > 0 {
			w.changed, w.listings = now, listings
		}
		w.list, w.back, w.version = list, back, version
		if len(list) == 0 || len(came) > 0 {
			w.given = 0
		}
	})
	for _, id := range came {
		s.holders[id] = append(s.holders[id], w)
		t := s.tasks[id]
		if t == nil {
			s.unlisted[id] = true
		} else if t.state != Assigned {
			// By hand, by a leader before this one, or by a move whose answer was lost.
			if t.state != Assigning && !t.verified || t.state == Unverified && t.cause == lostAtStart {
				t.version = -1
			}
			if t.state == Assigning {
				s.totals.assigned(task.ParseName(id).Made, now)
			}
			s.become(t, Assigned, detail{since: now})
		}
	}
	if len(list) > 0 {
		s.firsts[list[0]] = true
	}
	for _, id := range left {
		if t := s.letGo(w, id); t == nil {
		} else if slices.Contains(asked, id) {
			s.become(t, Unverified, detail{cause: wasReturned})
		} else {
			s.totals.released(t.since, now)
			s.become(t, Released, detail{recheck: now.Add(releasePause + returnPause(t.returns))})
		}
	}
}

// letGo records that a worker no longer lists a task. It returns the task if no other
// worker lists it and it is known.
func (s *Scheduler) letGo(w *worker, id string) *entry {
	others := slices.DeleteFunc(s.holders[id], func(h *worker) bool { return h == w })
	if len(others) > 0 {
		s.holders[id] = others
		return nil
	}
	delete(s.holders, id)
	delete(s.unlisted, id)
	return s.tasks[id]
}

// difference returns what is in a and not in b.
func difference(a, b []string) (only []string) {
	if len(b) == 0 {
		return a
	}
	in := make(map[string]bool, len(b))
	for _, id := range b {
		in[id] = true
	}
	for _, id := range a {
		if !in[id] {
			only = append(only, id)
		}
	}
	return only
}

// WorkerUnusable is a znode under /workers that is not a worker's, or that may not be read
// or written. It gets no tasks and is asked for none. If it is malformed, its list counts
// as empty; else its old list stays.
type WorkerUnusable struct {
	ID        string
	Malformed bool
}

func (e WorkerUnusable) handle(s *Scheduler, now time.Time) {
	w := s.workers[e.ID]
	if w == nil {
		return
	}
	if !e.Malformed {
		s.becomeWorker(w, unusable, nil)
		return
	}
	s.lists(w, nil, nil, w.version, w.listings, now)
	s.becomeWorker(w, malformed, nil)
}

// WorkerGone is a worker whose znode does not exist.
type WorkerGone struct {
	ID string
	// Blame: a loss is counted. After an outage of the servers many sessions may end
	// through no fault of the workers, and no loss is counted.
	Blame bool
}

func (e WorkerGone) handle(s *Scheduler, _ time.Time) {
	w := s.workers[e.ID]
	if w == nil {
		return
	}
	s.becomeWorker(w, unusable, nil)
	delete(s.workers, e.ID)
	w.queue.members--
	s.drop(w.queue)
	for i, id := range w.list {
		t := s.letGo(w, id)
		switch {
		case t == nil:
		case i > 0:
			s.become(t, Unverified, detail{cause: behindLost})
		case e.Blame && !t.unsure:
			s.become(t, Unverified, detail{cause: lostAtStart})
		default:
			s.become(t, Unverified, detail{cause: uncertain})
		}
	}
}
