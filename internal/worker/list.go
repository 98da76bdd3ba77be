package worker

import (
	"slices"
	"time"

	"taskkeeper/internal/task"
)

// holding is a task on the slot's list, from the read that found it there until it is
// off the list. The goroutine of run owns it.
type holding struct {
	id      string
	asked   bool // the znode marks it: the slot is to return it unless it has begun it
	phase   phase
	fetch   *fetch  // waiting: what is read ahead; nil: nothing is
	verdict verdict // ready: what is to be committed
}

// phase is how far a slot is with a task. Only a waiting one is begun or returned.
//
//	waiting ──► running ──► ready
//	   ▲           │
//	   └───────────┘ told to end, and still listed
type phase int

const (
	waiting phase = iota // not begun, at most read ahead
	running              // the executor has it
	ready                // it has a verdict
)

// verdict is what a commit is to write for a task.
type verdict struct {
	state    task.State
	version  int32 // of the state that it replaces
	took     time.Duration
	freeOnly bool // nothing: the task is finished by another hand, gone, or malformed
}

// mayBegin tells whether a task is to be begun when it is its turn.
func (h *holding) mayBegin() bool { return h.phase == waiting && !h.asked }

// returns tells whether a task goes back with the next write of the list. While it does,
// it is not begun: only the next read of the znode can change asked.
func (h *holding) returns() bool { return h.phase == waiting && h.asked }

// merge takes a znode's content over: what is still listed stays as it is. gone is what
// is listed no more.
func merge(held []*holding, l task.List) (list, gone []*holding) {
	was := make(map[string]*holding, len(held))
	for _, h := range held {
		was[h.id] = h
	}
	back := l.Back
	for _, id := range l.IDs {
		h := was[id]
		if h == nil {
			h = &holding{id: id}
		}
		if h.asked = len(back) > 0 && back[0] == id; h.asked {
			back = back[1:]
		}
		list = append(list, h)
		delete(was, id)
	}
	for _, h := range held {
		if was[h.id] != nil {
			gone = append(gone, h)
		}
	}
	return list, gone
}

// without is a list less some of it, in the same order, and without marks.
func without(list, some []*holding) (rest []*holding) {
	for _, h := range list {
		if len(some) > 0 && some[0] == h {
			some = some[1:]
			continue
		}
		h.asked = false
		rest = append(rest, h)
	}
	return rest
}

// ids is a list as a worker's znode holds it, without marks.
func ids(list []*holding) task.List {
	var l task.List
	for _, h := range list {
		l.IDs = append(l.IDs, h.id)
	}
	return l
}

// find returns a task of the list, or nil.
func (sl *slot) find(id string) *holding {
	i := slices.IndexFunc(sl.list, func(h *holding) bool { return h.id == id })
	if i < 0 {
		return nil
	}
	return sl.list[i]
}
