package master

// claim is a task as the leader believes it to be: pending at this version.
// An assignment checks that, and so fails when it is not so.
type claim struct {
	id      string
	version int32 // of /tasks/<id>; 0 if it was never read, for it was never touched then
	losses  int   // executions lost so far
	lost    bool  // the last execution was lost with its worker: the assignment counts it
	suspect bool  // it was listed behind that one, and may be what was executed: commits lag
}

// alone tells whether the task may be what its workers die of, and so may not
// share a turn with others.
func (c claim) alone() bool { return c.lost || c.losses > 0 || c.suspect }

// last tells whether the next loss would fail the task, and it was lost before.
func (c claim) last(maxLosses int) bool {
	losses := c.losses
	if c.lost {
		losses++
	}
	return losses > 0 && losses+1 >= maxLosses && maxLosses > 0
}

// place is a free worker, and how many tasks it may be given.
type place struct {
	worker  string
	session int64 // its process's; 0 if not known
	room    int
}

// assignment gives tasks to a free worker.
type assignment struct {
	worker string
	tasks  []claim
}

// plan maps waiting tasks onto free workers, both in the order given: the first
// task, the oldest, goes to the first worker, and so on round by round, so that
// the oldest are the first to be executed everywhere. What is left over waits.
func plan(waiting []claim, free []place) (out []assignment, left []claim) {
	n := min(len(waiting), len(free))
	for i := range n {
		out = append(out, assignment{worker: free[i].worker, tasks: []claim{waiting[i]}})
	}
	at := 0
	for _, c := range waiting[n:] {
		tried := 0
		for ; tried < n && (len(out[at].tasks) >= free[at].room || out[at].tasks[0].alone()); tried++ {
			at = (at + 1) % n
		}
		if tried == n || c.alone() {
			left = append(left, c)
			continue
		}
		out[at].tasks = append(out[at].tasks, c)
		at = (at + 1) % n
	}
	return out, left
}
