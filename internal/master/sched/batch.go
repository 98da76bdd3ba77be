package sched

import "time"

// A worker gets several tasks at once when more wait than there are workers: a batch
// shares what an assignment and a commit cost. A batch is to stay short, because a
// task that stands behind a long one waits. So it grows only while batches are done
// quickly, and what is not begun is asked back from a worker that stands still.
const (
	maxBatch   = 64                     // tasks; with more the calls of a task cost no less
	shortBatch = 150 * time.Millisecond // a batch done in this time may double
	longBatch  = 300 * time.Millisecond // one that takes longer shrinks

	// reclaimIdle is how long a worker may stand still while another is free and has
	// nothing to do. Most tasks that are worth a batch are shorter. The worker's answer
	// takes some milliseconds more. With no-op tasks, 40,000 of four clients on 64
	// slots, 12 ms led to one question at most.
	reclaimIdle = 12 * time.Millisecond
	// reclaimStuck is the same while no worker is free: one may soon be. It is above
	// longBatch, and above what a busy machine stands still for.
	reclaimStuck = 500 * time.Millisecond
)

// nextBatch is how many tasks a worker may get next, that did given tasks in a time
// when it might have got size.
func nextBatch(size, given int, took time.Duration) int {
	switch {
	case took > longBatch:
		return max(1, int(time.Duration(given)*shortBatch/took))
	case took <= shortBatch && given >= size:
		return min(2*size, maxBatch)
	}
	return size
}

// share is how many of the pending tasks each of the workers of a queue may have.
func share(pending, workers int) int { return max(1, (pending+workers-1)/max(1, workers)) }

// reclaimAt is when tasks are asked back from a worker whose list changed last then.
func reclaimAt(changed time.Time, idle bool) time.Time {
	if idle {
		return changed.Add(reclaimIdle)
	}
	return changed.Add(reclaimStuck)
}

// A task may leave a worker's list unfinished again and again, because workers may not
// write its state, or because somebody empties their lists. After the first few times
// it is tried ever more rarely.
const (
	releasePause  = 2 * time.Second // in the usual course its client has removed it by then
	freeReturns   = 2               // after the usual pause
	longestPause  = 5 * time.Minute
	finishedPause = 2 * time.Second        // between two looks at a failed task: somebody may retry it
	finishedReads = 50                     // of those looks at most in
	finishedPer   = 100 * time.Millisecond // so that many results that nobody collects cost little
	foundPause    = 250 * time.Millisecond // what a new leader takes over is assigned first; then it reads the rest,
	mostFound     = 256                    // so many at most in
	foundPer      = 20 * time.Millisecond  // which is a third of the time
	leastAhead    = 32                     // tasks read when one was not what it was taken for,
	mostAhead     = 1024                   // and twice as many the next time

	// In one decision, so that the loop turns.
	mostTaskReads   = 64
	mostWorkerReads = 256
	// mostAwaited is how many workers that were never read hold up all decisions. More
	// are a mistake, like children of /workers that a script made.
	mostAwaited = 10_000
	// mostMalformedReads is how many znodes that are no workers are read again when all may
	// have changed.
	mostMalformedReads = 1000
)

// donePause is how long it takes until a task that is done is looked at again, that was
// found to be done looks times in a row. Only a person sets it back to pending.
func donePause(looks int32) time.Duration {
	return min(finishedPause<<min(looks, 10), 2*longestPause)
}

// returnPause is how long a task waits that was released so many times.
func returnPause(returns int) time.Duration {
	if returns <= freeReturns {
		return 0
	}
	return min(time.Duration(returns*returns)*time.Second, longestPause)
}
