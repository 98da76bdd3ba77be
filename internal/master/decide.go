package master

import (
	"slices"
	"strings"
	"time"
)

// move is one step of the leader's: one part of a Multi.
type move struct {
	kind    kind
	worker  string   // assign, takeBack
	version int32    // of the worker's znode
	list    []string // what its znode is to list
	tasks   []claim  // assign: those given; takeBack, spare: those taken; fail: the one
}

type kind int

const (
	assign   kind = iota
	takeBack      // what was withdrawn
	fail          // the task was lost once too often
	spare         // what a worker that stands still has not begun, for one that is free
)

// decide returns what is to be done now. Each task in it is out of the queue
// until done, undone or doubt says what became of it.
func (v *view) decide() []move {
	var moves []move
	var free []string
	for id, w := range v.workers {
		switch {
		case w.ignored || w.stale:
		case len(w.list) == 0:
			free = append(free, id)
		default:
			m, ok := v.withdrawn(id, w)
			switch {
			case !w.watched: // it may be done, and its tasks cleaned up
			case ok && v.listing > w.listing:
				moves = append(moves, m)
			case ok && v.listing == v.asked:
				v.relist = true
			}
		}
	}
	slices.Sort(free)
	slices.SortFunc(moves, func(a, b move) int { return strings.Compare(a.worker, b.worker) })

	for _, id := range v.doomed {
		if t := v.tasks[id]; t != nil && t.phase == waiting && t.lost {
			moves = append(moves, move{kind: fail, tasks: []claim{t.claim(id)}})
		}
	}
	v.doomed = nil
	v.noteLong()
	v.foresee()
	assignments := v.assign(free)
	for _, a := range assignments {
		m := move{kind: assign, worker: a.worker, version: v.workers[a.worker].version, tasks: a.tasks}
		for _, c := range a.tasks {
			m.list = append(m.list, c.id)
		}
		moves = append(moves, m)
	}
	v.recheck = time.Time{}
	moves = append(moves, v.spread(len(free)-len(assignments))...)
	if len(moves) == 0 { // else once they are carried out
		v.attend(len(free) > 0)
	}
	return moves
}

// assign takes tasks from the queue for the workers that are free.
func (v *view) assign(free []string) []assignment {
	places := v.places(free)
	room := 0
	for _, p := range places {
		room += p.room
	}
	var claims []claim
	alone := 0
	for len(claims) < room {
		id, ok := v.pop(&v.queue)
		if !ok {
			break
		}
		t := v.tasks[id]
		c := t.claim(id)
		if !t.known() {
			v.look(id)
			break
		}
		if c.last(v.maxLosses) {
			t.queued = true
			v.chances.push(t.item(id))
			continue
		}
		claims = append(claims, c)
		if c.alone() {
			if alone++; alone == len(places) {
				break
			}
		}
	}
	isolated, places := v.isolate(places)
	out, left := plan(claims, places)
	for _, c := range left {
		v.wait(c.id)
	}
	return append(isolated, out...)
}

// pop takes the first out of a queue that waits.
func (v *view) pop(q *queue) (id string, ok bool) {
	for {
		id, ok := q.pop()
		if !ok {
			return "", false
		}
		t := v.tasks[id]
		// A name that was removed and made again stands here twice.
		if t == nil || !t.queued {
			continue
		}
		t.queued = false
		if t.phase == waiting {
			return id, true
		}
	}
}

// isolate gives tasks whose next loss would fail them to workers that are free, each
// to a process that executes no other such: where one of them is what kills the
// process, it is not to take the others along. It returns the places that are left.
func (v *view) isolate(places []place) ([]assignment, []place) {
	var out []assignment
	crowded := v.crowded()
	for v.chances.len() > 0 {
		i := slices.IndexFunc(places, func(p place) bool { return !crowded[p.session] })
		if i < 0 {
			break
		}
		id, ok := v.pop(&v.chances)
		if !ok {
			break
		}
		p := places[i]
		out = append(out, assignment{p.worker, []claim{v.tasks[id].claim(id)}})
		places = slices.Delete(places, i, i+1)
		if p.session != 0 {
			crowded[p.session] = true
		}
	}
	return out, places
}

// crowded returns the sessions of processes that execute a task whose next loss
// would fail it, if that is of interest. What is not known is read, and counts until
// then.
func (v *view) crowded() map[int64]bool {
	if v.chances.len() == 0 {
		return nil
	}
	v.verify(len(v.workers))
	sessions := make(map[int64]bool)
	for _, w := range v.workers {
		for i, id := range w.list {
			if t := v.tasks[id]; t != nil && w.session != 0 && (i == 0 && !t.read || t.claim(id).last(v.maxLosses)) {
				sessions[w.session] = true
			}
		}
	}
	return sessions
}

// withdrawn returns the take-back of what a worker holds and nobody wants.
func (v *view) withdrawn(id string, w *workerView) (move, bool) {
	m := move{kind: takeBack, worker: id, version: w.version}
	for _, t := range w.list {
		if v.tasks[t] == nil {
			m.tasks = append(m.tasks, claim{id: t})
		} else {
			m.list = append(m.list, t)
		}
	}
	return m, len(m.tasks) > 0
}

// done merges a move that was carried out; version is the one that its worker's
// znode has now.
func (v *view) done(m move, version int32) {
	if m.kind == fail {
		v.setAside(m.tasks[0].id)
		return
	}
	if m.kind == assign {
		v.ahead = 0
		v.begun++
		v.shorts += len(m.tasks)
		for _, c := range m.tasks {
			if t := v.tasks[c.id]; t != nil {
				t.lost, t.suspect, t.version, t.losses, t.read = false, false, c.version, c.losses, true
				if c.lost {
					t.version, t.losses = c.version+1, c.losses+1
				}
			}
		}
	}
	v.readWorker(m.worker, m.list, version)
	switch w := v.workers[m.worker]; m.kind {
	case assign:
		w.turn.given, w.turn.began = len(m.tasks), v.now
	case spare:
		v.shorts = 0
		for _, c := range m.tasks {
			t := v.tasks[c.id]
			switch {
			case t == nil:
			case t.ended || !t.known(): // it was listed by hand
				v.look(c.id)
			default:
				v.wait(c.id)
			}
		}
	}
}

// undone merges a move that was not carried out, for no fault of its tasks.
func (v *view) undone(m move) {
	for _, c := range m.tasks {
		if m.kind != takeBack && v.holders[c.id] == 0 {
			v.wait(c.id)
		}
	}
}

// reread has all that a move stands on read again. It was not carried out.
func (v *view) reread(m move) {
	v.markStale(m.worker)
	if m.kind == takeBack {
		return
	}
	for _, c := range m.tasks {
		if v.holders[c.id] == 0 {
			v.look(c.id)
		}
	}
}
