package master

// look has a task read.
func (v *view) look(id string) {
	if t := v.tasks[id]; t != nil {
		t.phase = unread
		if !t.listed {
			t.listed = true
			v.toRead = append(v.toRead, id)
		}
	}
}

// verify has up to n tasks read that workers execute since before this leader: it is to
// know what they lost, and at which version they were assigned.
func (v *view) verify(n int) {
	for _, w := range v.workers {
		if n == 0 {
			return
		}
		if len(w.list) == 0 {
			continue
		}
		if t := v.tasks[w.list[0]]; t != nil && t.phase == held && !t.read && !t.listed {
			t.listed = true
			v.toRead = append(v.toRead, w.list[0])
			n--
		}
	}
}

// takeUnread returns up to n tasks that are to be read.
func (v *view) takeUnread(n int) []string {
	var ids []string
	for len(ids) < n && len(v.toRead) > 0 {
		id := v.toRead[0]
		v.toRead = v.toRead[1:]
		t := v.tasks[id]
		if t == nil {
			continue
		}
		t.listed = false
		if t.phase == unread || t.phase == held && !t.read {
			ids = append(ids, id)
		}
	}
	return ids
}

// Where a task was found not to be as it was taken to be, what follows it may be
// the same: that many are read at once, and twice as many each time that this
// happens again. A new leader finds a few that are finished and not yet cleaned
// up, and must not read a thousand before it assigns anything; where there are
// thousands of results that nobody collected, few assignments fail.
const (
	leastAhead = 32
	ahead      = 1024 // at most
)

// doubt has a task read whose state is not what it was taken for, and those
// that follow it and have never been read.
func (v *view) doubt(id string) {
	v.look(id)
	v.ahead = min(max(leastAhead, 2*v.ahead), ahead)
	for _, next := range v.queue.next(v.ahead) {
		if t := v.tasks[next.id]; t != nil && t.phase == waiting && !t.read {
			v.look(next.id)
		}
	}
}

// foresee has those of the queue read in time that are to be read before they are
// assigned: of what all workers may be given twice over, and, while nothing can be
// assigned of what was read, ever more.
func (v *view) foresee() {
	soon, looked := 0, false
	defer func() {
		if looked {
			v.ahead = min(max(leastAhead, 2*v.ahead), ahead)
		}
	}()
	for i, it := range v.queue.next(ahead) {
		if !it.old {
			continue
		}
		if soon == 0 {
			soon = max(2*v.appetite(), v.ahead)
		}
		if i >= soon {
			return
		}
		if t := v.tasks[it.id]; t != nil && t.phase == waiting && !t.known() {
			v.look(it.id)
			looked = true
		}
	}
}
