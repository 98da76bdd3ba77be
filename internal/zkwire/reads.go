package zkwire

import (
	"slices"
	"sync/atomic"

	"github.com/go-zookeeper/zk"
)

const (
	mostReads  = 128 // in one request; a worker of many slots reads two znodes a task
	mostSent   = 2   // requests under way: the server has the next one when it has answered one
	firstReads = 16  // in the first request: its answers may be large
	// largeAnswer is the size of an answer, in bytes, from which the next request has half as
	// many reads: a server builds the whole answer, and the client reads it within a deadline.
	largeAnswer = 256 << 10
)

// reads joins the reads of one connection. Reads that arrive while mostSent requests are
// under way share the next request, a multi-read. A single read is sent at once, as it is.
//
// The callers notice no difference. The order of a read and of other calls made at the same
// time is undefined, as always.
type reads struct {
	waiting []read
	sent    [][]read      // the reads of each request under way, the oldest request first
	most    *atomic.Int32 // how many reads the next request may have; the Transport's, which outlasts connections
}

// keep takes a frame of go-zookeeper if it is a read.
func (r *reads) keep(frame []byte) bool {
	one, ok := parseRead(frame)
	if ok {
		one.body = slices.Clone(one.body)
		r.waiting = append(r.waiting, one)
	}
	return ok
}

// next appends the next request to buf, if reads wait and fewer than mostSent requests are
// under way.
func (r *reads) next(buf []byte) []byte {
	if len(r.sent) == mostSent || len(r.waiting) == 0 {
		return buf
	}
	n := min(int(r.most.Load()), len(r.waiting))
	some := r.waiting[:n:n]
	r.sent, r.waiting = append(r.sent, some), r.waiting[n:]
	if len(r.waiting) == 0 {
		r.waiting = nil // frees the memory of these reads after their answer
	}
	return appendReads(buf, some)
}

// answered returns the reads that a reply answers, if there are any: they are no longer
// under way.
func (r *reads) answered(xid int32, size int) []read {
	if len(r.sent) == 0 || r.sent[0][0].xid != xid {
		return nil
	}
	sent := r.sent[0]
	r.sent = slices.Delete(r.sent, 0, 1) // clears the freed element
	switch most := r.most.Load(); {
	case size >= largeAnswer:
		r.most.Store(max(1, most/2))
	case len(sent) == int(most):
		r.most.Store(min(2*most, mostReads))
	}
	return sent
}

// lost returns all reads without an answer after the connection is lost. The answer to the
// oldest request may have been too large to arrive in time. So after each lost connection,
// for whatever reason, the next request may have half as many reads as that request, if it
// had several. An answer to a full request doubles the bound again.
func (r *reads) lost() []read {
	if len(r.sent) > 0 && len(r.sent[0]) > 1 {
		r.most.Store(int32(len(r.sent[0]) / 2))
	}
	left := append(slices.Concat(r.sent...), r.waiting...)
	r.sent, r.waiting = nil, nil
	return left
}

// abandon calls done of the reads of GetAll with zk.ErrConnectionClosed.
func abandon(reads []read) {
	for _, r := range reads {
		if r.done != nil {
			r.done(nil, zk.ErrConnectionClosed)
		}
	}
}
