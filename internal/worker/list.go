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
	asked   bool // marked in the znode: the slot must return the task unless it has begun it
	phase   phase
	fetch   *fetch  // of a waiting task: its read ahead of execution; nil: none
	verdict verdict // of a ready task: what the commit writes
}

// phase is how far a slot is with a task. Only a waiting task is begun or returned.
//
//	waiting ──► running ──► ready
//	   ▲           │
//	   └───────────┘ cancelled, and still listed
type phase int

const (
	waiting phase = iota // not begun; may be read ahead of execution
	running              // the executor has it
	ready                // it has a verdict
)

// verdict is what a commit writes for a task.
type verdict struct {
	state    task.State
	version  int32 // of the state that it replaces
	took     time.Duration
	freeOnly bool // write no state: someone else finished the task, or it is gone or malformed
}

// mayBegin reports whether the slot may begin the task.
func (h *holding) mayBegin() bool { return h.phase == waiting && !h.asked }

// returns reports whether the next write of the list returns the task. Until then it is
// not begun: only the next read of the znode can change asked.
func (h *holding) returns() bool { return h.phase == waiting && h.asked }

// merge returns the holdings for a znode's content. A task that is still listed keeps its
// holding. gone has those that are no longer listed.
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

// without returns a list without some of its tasks, which are in the same order. It drops
// all marks.
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

// ids returns a list as a worker's znode holds it, without marks.
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
