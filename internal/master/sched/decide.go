package sched

import (
	"maps"
	"slices"
	"time"

	"github.com/google/btree"

	"taskkeeper/internal/task"
)

// Decision is what the leader must do now.
type Decision struct {
	Moves       []Move
	ReadWorkers []string  // read their znodes
	Blocked     bool      // no move is decided before these reads
	ReadTasks   []string  // read their states
	Recheck     []Known   // finished tasks: read each state that was written since
	Drained     []Drain   // write "drained": all their workers are free, and get no task
	Relist      bool      // list /tasks; a listing that has begun already does not count
	Wake        time.Time // when to decide again without an event; zero: never
}

// Known is a task, and the last write of its state that is known.
type Known struct {
	ID      string
	Version int32
	Zxid    int64 // 0 if not known
}

// wake makes the loop decide again at that time, or earlier.
func (d *Decision) wake(at time.Time) {
	if d.Wake.IsZero() || at.Before(d.Wake) {
		d.Wake = at
	}
}

// Decide returns what the leader must do now, and reserves the tasks and workers of each
// move until Carried, NotSent, Refused or Unknown reports the outcome. ReadWorkers and
// ReadTasks are repeated until the reads are merged, and Drained until DrainWritten. A task
// in Recheck comes again later.
func (s *Scheduler) Decide(now time.Time) Decision {
	var d Decision
	for _, index := range []*btree.BTreeG[*worker]{s.unread, s.newcomers} {
		index.Ascend(func(w *worker) bool {
			if len(d.ReadWorkers) < mostWorkerReads {
				d.ReadWorkers = append(d.ReadWorkers, w.id)
			}
			return len(d.ReadWorkers) < mostWorkerReads
		})
	}
	s.readTasks(&d, now)
	d.Blocked = s.unread.Len() > 0 || s.newcomers.Len() > 0 && (!s.complete || s.newcomers.Len() <= mostAwaited)
	if d.Blocked || !s.ready() {
		return d
	}
	for t, ok := s.exhausted.Min(); ok; t, ok = s.exhausted.Min() {
		d.Moves = append(d.Moves, s.reserve(Move{Kind: Fail, Tasks: []Claim{t.claim()}}))
	}
	s.revoke(&d)
	d.Drained = s.drained()
	for _, name := range slices.Sorted(maps.Keys(s.staffed)) {
		s.assign(s.staffed[name], &d)
		s.reclaim(s.staffed[name], &d, now)
	}
	s.verifyFound(&d, now)
	return d
}

// plenty is how many times the pending tasks must fill the next batches of all workers.
const plenty = 2

// Plenty reports whether every worker has enough to do for a while without another
// listing of /tasks.
func (s *Scheduler) Plenty() bool {
	for _, q := range s.staffed {
		capacity := 0
		for _, w := range q.workers {
			capacity += w.size
		}
		if q.pending.Len() <= plenty*capacity {
			return false
		}
	}
	return true
}

// ready reports whether everything that a new leader must know was read, except the
// workers. Once true, it stays true.
func (s *Scheduler) ready() bool {
	s.complete = s.complete || s.listing > 0 && s.workersListed && s.drains != nil && len(s.firsts) == 0
	return s.complete
}

// readTasks adds the tasks to read and to recheck: a few, so that a turn stays short.
func (s *Scheduler) readTasks(d *Decision, now time.Time) {
	for s.released.Len() > 0 && s.unverified.Len() < mostTaskReads {
		t, _ := s.released.Min()
		if t.recheck.After(now) {
			d.wake(t.recheck)
			break
		}
		why := wasReleased
		if t.lost {
			why = lostAtStart
		}
		s.become(t, Unverified, detail{cause: why})
	}
	for id := range s.firsts {
		if t := s.tasks[id]; t != nil && t.state == Assigned && t.version < 0 {
			d.ReadTasks = append(d.ReadTasks, id)
		} else {
			delete(s.firsts, id)
		}
	}
	slices.Sort(d.ReadTasks)
	s.unverified.Ascend(func(t *entry) bool {
		d.ReadTasks = append(d.ReadTasks, t.id)
		return len(d.ReadTasks) < mostTaskReads
	})
	if next := s.finishedNext; next.After(now) {
		if s.finished.Len() > 0 {
			d.wake(next)
		}
		return
	}
	for len(d.Recheck) < finishedReads {
		t, ok := s.finished.Min()
		if !ok {
			return
		}
		if t.recheck.After(now) {
			d.wake(t.recheck)
			break
		}
		next := detail{recheck: now.Add(finishedPause), phase: t.phase}
		if t.phase == task.Done {
			next.looks = t.looks + 1
			next.recheck = now.Add(donePause(next.looks))
		}
		s.become(t, Finished, next)
		d.Recheck = append(d.Recheck, Known{t.id, t.version, t.zxid})
	}
	if len(d.Recheck) > 0 {
		s.finishedNext = now.Add(finishedPer)
	}
}

// verifyFound makes a new leader read a few of the tasks that it found and that are still
// pending. Some may be finished. In a queue without workers only a read shows that.
func (s *Scheduler) verifyFound(d *Decision, now time.Time) {
	if s.foundNext.IsZero() {
		s.foundNext = now.Add(foundPause)
	}
	for n := 0; len(s.found) > 0; s.found = s.found[1:] {
		t := s.tasks[s.found[0]]
		if t == nil || t.state != Pending || t.verified {
			continue
		}
		if s.foundNext.After(now) || n == mostFound {
			break
		}
		s.become(t, Unverified, detail{cause: uncertain})
		d.ReadTasks = append(d.ReadTasks, t.id)
		n++
	}
	if len(s.found) == 0 {
		return
	}
	if !s.foundNext.After(now) {
		s.foundNext = now.Add(foundPer)
	}
	d.wake(s.foundNext)
}

// revoke takes the tasks that /tasks lacks off the workers' lists.
func (s *Scheduler) revoke(d *Decision) {
	holders := make(map[string]*worker)
	for id := range s.unlisted {
		for _, w := range s.holders[id] {
			holders[w.id] = w
		}
	}
	for _, id := range slices.Sorted(maps.Keys(holders)) {
		w := holders[id]
		if w.state != busy {
			continue
		}
		if w.listings >= s.listing { // the last listing may have begun before the task was made
			d.Relist = true
			continue
		}
		m := Move{Kind: Revoke, Worker: w.id}
		for _, id := range w.list {
			switch {
			case s.tasks[id] == nil:
				m.Tasks = append(m.Tasks, Claim{ID: id})
				continue
			case slices.Contains(w.back, id):
				m.Back = append(m.Back, id)
			}
			m.List = append(m.List, id)
		}
		d.Moves = append(d.Moves, s.reserve(m))
	}
}

// assign gives the pending tasks of a queue to its free workers.
func (s *Scheduler) assign(q *queue, d *Decision) {
	if q.free.Len() == 0 || q.pending.Len()+q.lastAttempts.Len() == 0 {
		return
	}
	workers := s.assignLastAttempts(q, d)
	most := share(q.pending.Len(), len(q.workers))
	lists := make([][]Claim, len(workers))
	for open := len(workers); open > 0; {
		open = 0
		for i, w := range workers {
			if n := len(lists[i]); n > 0 && (n >= min(w.size, most) || n == 1 && s.tasks[lists[i][0].ID].alone()) {
				continue
			}
			id, ok := q.pending.Pop()
			if !ok {
				break
			}
			t := s.tasks[id]
			if len(lists[i]) > 0 && t.alone() { // it needs a worker of its own
				q.pending.PutBack(id)
				break
			}
			lists[i] = append(lists[i], t.claim())
			open++
		}
	}
	for i, w := range workers {
		if len(lists[i]) > 0 {
			d.Moves = append(d.Moves, s.give(w, lists[i]))
		}
	}
}

func (s *Scheduler) give(w *worker, tasks []Claim) Move {
	m := Move{Kind: Assign, Worker: w.id, Tasks: tasks}
	for _, c := range tasks {
		m.List = append(m.List, c.ID)
	}
	return s.reserve(m)
}

// assignLastAttempts gives each task that the next loss would fail to a process that
// executes no other such task. It returns free workers for the other tasks.
func (s *Scheduler) assignLastAttempts(q *queue, d *Decision) (workers []*worker) {
	q.free.Ascend(func(w *worker) bool {
		workers = append(workers, w)
		return q.lastAttempts.Len() > 0 || len(workers) < q.pending.Len()
	})
	if q.lastAttempts.Len() == 0 {
		return workers
	}
	occupied := make(map[int64]bool) // by session: its process executes such a task
	for _, w := range s.workers {
		if len(w.list) > 0 {
			if t := s.tasks[w.list[0]]; t != nil && t.lastAttempt(s.maxLosses) {
				occupied[w.session] = true
			}
		}
	}
	var left []*worker
	for _, w := range workers {
		id, ok := q.lastAttempts.Min()
		if !ok || occupied[w.session] {
			left = append(left, w)
			continue
		}
		occupied[w.session] = true
		d.Moves = append(d.Moves, s.give(w, []Claim{s.tasks[id].claim()}))
	}
	return left
}

// reclaim asks workers whose lists have not changed for some time for the tasks that they
// have not begun.
func (s *Scheduler) reclaim(q *queue, d *Decision, now time.Time) {
	idle := q.free.Len() // no task is pending for them: assign came first
	var stuck []*worker
	q.batched.Ascend(func(w *worker) bool {
		at := reclaimAt(w.changed, idle > 0)
		if at.After(now) {
			d.wake(at)
			return false
		}
		if len(w.back) == 0 { // else it was asked already, and has not answered
			stuck = append(stuck, w)
		}
		return true
	})
	for _, w := range stuck {
		n := len(w.list) - 1
		if !reclaimAt(w.changed, false).After(now) {
			idle = 0 // ask for all of them, whether or not another worker is free
		} else if idle == 0 {
			break
		} else {
			n = min(n, idle)
			idle -= n
		}
		m := Move{Kind: Reclaim, Worker: w.id, List: w.list, Back: w.list[len(w.list)-n:]}
		for _, id := range m.Back {
			m.Tasks = append(m.Tasks, Claim{ID: id})
		}
		d.Moves = append(d.Moves, s.reserve(m))
	}
}
