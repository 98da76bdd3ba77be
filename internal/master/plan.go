package master

// claim is a task as the leader believes it to be: pending at this version.
// An assignment checks that, and so fails when it is not so.
type claim struct {
	id      string
	version int32 // of /tasks/<id>; 0 if it was never read, for it was never touched then
	losses  int   // executions lost so far
	lost    bool  // the last execution was lost with its worker: the assignment counts it
}

// assignment gives tasks to a free worker.
type assignment struct {
	worker string
	tasks  []claim
}

// plan maps waiting tasks onto free workers, both in the order given: the
// first task, the oldest, goes to the first worker. What is left over waits.
func plan(waiting []claim, free []string) []assignment {
	n := min(len(waiting), len(free))
	out := make([]assignment, n)
	for i := range out {
		out[i] = assignment{worker: free[i], tasks: waiting[i : i+1]}
	}
	return out
}
