package sched

import "time"

// A worker gets several tasks at once, a batch, when more wait than there are workers: the
// tasks of a batch share the cost of one assignment and often of one commit. A batch must
// be short, because each task waits for those before it. So batches grow only while they
// are done quickly, and the leader reclaims what a worker has not begun for some time.
const (
	maxBatch   = 64                     // tasks; in a larger batch a task costs no less
	shortBatch = 150 * time.Millisecond // after a batch done within this time the next may be twice as large
	longBatch  = 300 * time.Millisecond // after a batch that takes longer the next is smaller

	// reclaimIdle is how long a worker's list may stay the same while another worker is
	// free and nothing is pending for it. Most tasks that come in batches are shorter. The
	// worker's answer takes some milliseconds more. Measured: 40,000 no-op tasks of four
	// clients on 64 slots led to one reclaim at most.
	reclaimIdle = 12 * time.Millisecond
	// reclaimStuck is the same while no worker is free: one may soon be. It is above
	// longBatch, and above the usual pauses of a process on a busy machine.
	reclaimStuck = 500 * time.Millisecond
)

// nextBatch is how many tasks a worker may get next. It might have got size tasks last,
// got given tasks, and took that long for them.
func nextBatch(size, given int, took time.Duration) int {
	switch {
	case took > longBatch:
		return max(1, int(time.Duration(given)*shortBatch/took))
	case took <= shortBatch && given >= size:
		return min(2*size, maxBatch)
	}
	return size
}

// share is how many of the pending tasks each worker of a queue may get.
func share(pending, workers int) int { return max(1, (pending+workers-1)/max(1, workers)) }

// reclaimAt is when to reclaim tasks from a worker whose list last changed at changed.
// idle means that another worker is free.
func reclaimAt(changed time.Time, idle bool) time.Time {
	if idle {
		return changed.Add(reclaimIdle)
	}
	return changed.Add(reclaimStuck)
}

const (
	// A released task is read after releasePause: usually its client has removed it by then.
	// It may be unfinished again and again, because workers may not write its state, or
	// because somebody empties their lists. After freeReturns such returns in a row the
	// pause grows, up to longestPause.
	releasePause = 2 * time.Second
	freeReturns  = 2
	longestPause = 5 * time.Minute

	// A failed task is rechecked every finishedPause, because somebody may retry it. At most
	// finishedReads tasks are rechecked in finishedPer: uncollected results must cost little.
	finishedPause = 2 * time.Second
	finishedReads = 50
	finishedPer   = 100 * time.Millisecond

	// A new leader first assigns. After foundPause it reads the tasks that are still pending,
	// mostFound in foundPer. These reads take a third of the time.
	foundPause = 250 * time.Millisecond
	mostFound  = 256
	foundPer   = 20 * time.Millisecond

	// verifyAhead reads leastAhead tasks at first, then twice as many each time, up to
	// mostAhead.
	leastAhead = 32
	mostAhead  = 1024

	// These reads are named in one decision at most, so that a turn stays short.
	mostTaskReads   = 64
	mostWorkerReads = 256
	// A decision waits until new workers are read. Once the leader has read everything, it
	// does not wait for more than mostAwaited: so many are a mistake, like children of
	// /workers that a script made.
	mostAwaited = 10_000
	// mostMalformedReads is how many malformed or unusable workers are read again when all
	// may have changed.
	mostMalformedReads = 1000
)

// donePause is the time until the next recheck of a done task, after looks rechecks without
// a change. Only a person sets such a task back to pending.
func donePause(looks int32) time.Duration {
	return min(finishedPause<<min(looks, 10), 2*longestPause)
}

// returnPause is how much longer a released task waits for its read after so many returns.
func returnPause(returns int) time.Duration {
	if returns <= freeReturns {
		return 0
	}
	return min(time.Duration(returns*returns)*time.Second, longestPause)
}
