package master

import (
	"cmp"
	"slices"
	"time"
)

// A watch fires once, and to set it again is a read for each change, of each
// worker, that cannot share its request with others. So most changes are read
// without one:
//
//   - A worker that has stood still for a while is watched, busy or free.
//   - Of those that were given something just now, a few are watched, the first
//     of them, while somebody waits for what they do: a task that is queued, where
//     none is free; or, where one is, what stands behind another task in their lists.
//     When one of them is done, so are others, most likely: some more are read,
//     which is cheap together, and while all are done, ever more.
const (
	few      = 8
	calm     = 50 * time.Millisecond // most turns are shorter
	mostRead = 256                   // at once, as long as all that are read are done
)

// attend has workers read and watched that are to be; recheck is when others will
// be. Free tells whether a worker is.
func (v *view) attend(free bool) {
	var quick []string
	watched := 0
	for id, w := range v.workers {
		busy := len(w.list) > 0
		switch due := w.moved.Add(calm); {
		case w.ignored:
		case w.watched || w.stale && w.arm:
			if busy && due.After(v.now) {
				watched++
			}
		case !due.After(v.now):
			w.stale, w.arm = true, true
		default:
			v.checkAt(due)
			if busy && !free || len(w.list) > 1 {
				quick = append(quick, id)
			}
		}
	}
	if watched >= few {
		return
	}
	v.oldestFirst(quick)
	for _, id := range quick[:min(len(quick), few-watched)] {
		v.workers[id].stale, v.workers[id].arm = true, true
	}
}

// readOn has up to n busy workers read that are not watched, those first that were
// given something the longest ago.
func (v *view) readOn(n int) {
	var ids []string
	for id, w := range v.workers {
		if !w.ignored && !w.watched && len(w.list) > 0 {
			ids = append(ids, id)
		}
	}
	v.oldestFirst(ids)
	for _, id := range ids[:min(len(ids), n, mostRead)] {
		v.workers[id].stale = true
	}
}

// oldestFirst sorts workers by when their lists were known to change last.
func (v *view) oldestFirst(ids []string) {
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(v.workers[a].moved.Compare(v.workers[b].moved), cmp.Compare(a, b))
	})
}

// checkAt sees to it that the loop turns by then.
func (v *view) checkAt(at time.Time) {
	if v.recheck.IsZero() || at.Before(v.recheck) {
		v.recheck = at
	}
}

// watching merges that a watch was set on a worker's znode with the last read.
func (v *view) watching(id string) {
	w := v.workers[id]
	w.watched, w.watchedAt, w.arm = true, w.version, false
}

// fired merges that the watch on a worker's znode fired. It tells of the first
// change since it was set, which may be the leader's own.
func (v *view) fired(id string) {
	w := v.workers[id]
	if w == nil {
		return
	}
	if w.version == w.watchedAt {
		w.stale, w.told = true, true
	}
	w.watched = false
}
