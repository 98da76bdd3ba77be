package master

import (
	"slices"
	"time"
)

// A worker is given several tasks at a time when more wait than there are workers
// and its turns, from an assignment until it is free again, are short: the calls
// that a turn costs beside the tasks' own are shared by all of them. A turn is not to
// become long, so long tasks go one by one, and so do all while many are long. But
// where hundreds of workers share the servers, each waits for 100 ms even for tasks
// that take no time, and turns of one would make that worse. A task that was lost
// before goes alone: it may be what kills its workers.
const (
	mostTurn  = 64                     // tasks
	shortTurn = 150 * time.Millisecond // a turn that takes no longer may have twice as many tasks
	longTurn  = 300 * time.Millisecond // one that takes longer gets fewer
	// stuck is after how long without any progress what a worker has not begun goes to
	// others, if any is free.
	stuck = 25 * time.Millisecond
	// stuckLong is after how long it goes back to the queue, whether or not its worker
	// is known to execute something long: others may soon be free. Turns are shorter.
	stuckLong = 500 * time.Millisecond
)

// turn is how a worker gets on.
type turn struct {
	given int       // tasks of the turn under way, when it began; 0 if not by this leader
	began time.Time // then
	next  int       // how many tasks it may be given next; 0 is 1
}

func (t turn) size() int { return max(1, t.next) }

// ended is the turn after the one that has ended: now, if the leader was told, or
// some time ago, but not longer than that a worker is not watched.
func (t turn) ended(now time.Time, told bool) turn {
	if t.given == 0 {
		return t
	}
	next := t.size()
	took := now.Sub(t.began)
	least := took
	if !told {
		least -= calm
	}
	switch {
	case least > longTurn:
		next = max(1, int(time.Duration(t.given)*shortTurn/least))
	case took <= shortTurn && t.given >= next:
		next = min(2*next, mostTurn)
	}
	return turn{next: next}
}

// rare is how many tasks at least are short for each in a turn: what is behind a long
// one waits for it.
const rare = 100

// room is how many tasks a turn may have, by how many were given since one was found
// to be long, or some were taken back from behind one.
func room(shorts int) int { return min(max(1, shorts/rare), mostTurn) }

// places returns the free workers, each with how many tasks it may be given: its
// turn, but no more than its share of what is queued, and few soon after a long task.
func (v *view) places(free []string) []place {
	if len(free) == 0 {
		return nil
	}
	share := (v.queue.len() + len(v.workers) - 1) / len(v.workers)
	share = min(share, room(v.shorts))
	places := make([]place, len(free))
	for i, id := range free {
		w := v.workers[id]
		places[i] = place{id, w.session, max(1, min(w.turn.size(), share))}
	}
	return places
}

// overtakers is how many turns have begun, for each worker, while something long is
// executed: of twice as many as there are workers, half have ended as well.
const overtakers = 2

// noteLong looks for workers that are known now to execute something long: others
// have had many turns meanwhile. Where all stand still, it is the machine that does;
// and where a worker's turns are never short, the worker is slow and not the task.
func (v *view) noteLong() {
	for _, w := range v.workers {
		overtaken := v.begun-w.movedAt >= overtakers*len(v.workers)
		if !w.long && w.watched && len(w.list) > 0 && overtaken && v.now.Sub(w.moved) >= calm {
			w.long = true
			if w.turn.size() > 1 {
				v.shorts = 0
			}
		}
	}
}

// appetite is how many tasks all workers may be given at once.
func (v *view) appetite() (n int) {
	for _, w := range v.workers {
		n += w.turn.size()
	}
	return n
}

// spread returns what is taken back from workers that stand still and have more
// than they execute: for workers that are free, if nothing else waits; or anyway.
// Where more may be soon, recheck is when.
func (v *view) spread(free int) []move {
	if v.queue.len() > 0 {
		free = 0
	}
	var ids []string
	for id, w := range v.workers {
		wait := stuckLong
		switch {
		case free > 0:
			wait = stuck
		case w.long || v.now.Sub(w.moved) < calm: // it may be known to be long then
			wait = calm
		}
		due := w.moved.Add(wait)
		switch {
		case w.stale || w.ignored || len(w.list) < 2:
		case due.After(v.now):
			v.checkAt(due)
		case w.watched: // else it is read first
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var moves []move
	for _, id := range ids {
		w := v.workers[id]
		most := free
		if w.long || v.now.Sub(w.moved) >= stuckLong {
			most = len(w.list)
		}
		m := move{kind: spare, worker: id, version: w.version, list: w.list[:1:1]}
		for _, t := range w.list[1:] {
			if tv := v.tasks[t]; len(m.tasks) < most && tv != nil && v.holders[t] == 1 {
				m.tasks = append(m.tasks, tv.claim(t))
			} else {
				m.list = append(m.list, t)
			}
		}
		if len(m.tasks) > 0 {
			moves = append(moves, m)
			free -= len(m.tasks)
		}
	}
	return moves
}
