package master

// free sets a task aside that left a worker's list: most likely it is finished.
func (v *view) free(id string) {
	t := v.shelve(id)
	if t == nil {
		return
	}
	t.freed = true
	if !t.leaving {
		t.leaving = true
		v.leavers = append(v.leavers, id)
	}
}

// setAside has a task that is not pending, or cannot be used, looked at again from
// time to time.
func (v *view) setAside(id string) {
	if t := v.shelve(id); t != nil && !t.shelved {
		t.shelved = true
		v.asides = append(v.asides, id)
	}
}

// postpone sets a task aside whose loss could not be written: it still is to be.
func (v *view) postpone(id string) {
	if t := v.tasks[id]; t != nil {
		lost := t.lost
		v.setAside(id)
		t.lost = lost
	}
}

func (v *view) shelve(id string) *taskView {
	t := v.tasks[id]
	if t != nil {
		t.phase, t.lost, t.since = aside, false, v.tick
	}
	return t
}

// shelfLife is how many ticks a task stays aside before it is read again: in
// the usual course its client has removed it by then.
const shelfLife = 2

// nextTick counts time on and has up to n of the tasks read again that were set
// aside. Those come first that left a list: a task that was taken back by hand is
// to be assigned soon, however many results wait for somebody to collect them.
// Those wait for each other: someone may have made one pending again.
func (v *view) nextTick(n int) {
	v.tick++
	left := n
	for len(v.leavers) > 0 {
		id := v.leavers[0]
		t := v.tasks[id]
		waits := t != nil && t.phase == aside
		if waits && (left == 0 || v.tick-t.since < shelfLife) {
			break
		}
		v.leavers = v.leavers[1:]
		if t != nil {
			t.leaving = false
		}
		if waits {
			left--
			v.look(id)
		}
	}
	left = max(left, n/5)
	for i := len(v.asides); i > 0 && left > 0; i-- {
		id := v.asides[0]
		v.asides = v.asides[1:]
		t := v.tasks[id]
		switch {
		case t == nil:
		case t.phase != aside:
			t.shelved = false
		case v.tick-t.since < shelfLife || v.tick < t.due:
			v.asides = append(v.asides, id)
		default:
			t.shelved = false
			left--
			v.look(id)
		}
	}
}

// A task may come back again and again, executed and not written, because its
// workers may not write it; or because somebody empties their lists by hand. After
// the first few times it waits ever longer, up to some minutes.
const (
	mostReturns  = 2   // at once
	longestPause = 300 // ticks
)

// returning tells whether a task waits because of that.
func (v *view) returning(id string) bool {
	t := v.tasks[id]
	return t != nil && t.phase == aside && t.due > v.tick
}

// unchanged merges that a large result is as it was.
func (v *view) unchanged(id string) {
	if t := v.tasks[id]; t != nil && t.phase == unread {
		v.setAside(id)
	}
}
