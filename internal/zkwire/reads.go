package zkwire

import (
	"slices"
	"sync/atomic"

	"github.com/go-zookeeper/zk"
)

const (
	mostReads  = 128 // go in one request: a worker of many slots reads two znodes a task
	mostSent   = 2   // requests are under way: the server has the next one when it has answered one
	firstReads = 16  // at first: answers may be large
	// From this size of an answer on, in bytes, half as many go in the next request: a
	// server builds the whole answer, and the client reads it within a deadline.
	largeAnswer = 256 << 10
)

// reads sends the reads of one connection together: those that come while as many
// answers are on their way as may be go in the next request, as one multi-read. A read
// that is alone is sent as it is, at once.
//
// Who waits for an answer cannot tell. Whatever else is under way meanwhile may
// overtake such a read, or be overtaken, as ever between calls made at once.
type reads struct {
	waiting []read
	sent    [][]read      // in each of the requests under way, the first one first
	most    *atomic.Int32 // to go in the next one: the Transport's, which outlasts connections
}

// keep takes a frame that go-zookeeper writes, if it is a read.
func (r *reads) keep(frame []byte) bool {
	one, ok := parseRead(frame)
	if ok {
		one.body = slices.Clone(one.body)
		r.waiting = append(r.waiting, one)
	}
	return ok
}

// next appends the next request to buf, if there is one and it may be under way.
func (r *reads) next(buf []byte) []byte {
	if len(r.sent) == mostSent || len(r.waiting) == 0 {
		return buf
	}
	n := min(int(r.most.Load()), len(r.waiting))
	some := r.waiting[:n:n]
	r.sent, r.waiting = append(r.sent, some), r.waiting[n:]
	if len(r.waiting) == 0 {
		r.waiting = nil // it holds what is answered to some
	}
	return appendReads(buf, some)
}

// answered returns the reads that the reply is to, if it is to any: they are not under way
// any more.
func (r *reads) answered(xid int32, size int) []read {
	if len(r.sent) == 0 || r.sent[0][0].xid != xid {
		return nil
	}
	sent := r.sent[0]
	r.sent = slices.Delete(r.sent, 0, 1) // which keeps nothing of it
	switch most := r.most.Load(); {
	case size >= largeAnswer:
		r.most.Store(max(1, most/2))
	case len(sent) == int(most):
		r.most.Store(min(2*most, mostReads))
	}
	return sent
}

// lost records that no answer will come, and returns the reads that are left. The first
// answer may have been too large to arrive in time. So each lost connection, for whatever
// reason, bounds the next request to half of the reads of the first one that was under way,
// if these were several; an answer to a full request doubles the bound again.
func (r *reads) lost() []read {
	if len(r.sent) > 0 && len(r.sent[0]) > 1 {
		r.most.Store(int32(len(r.sent[0]) / 2))
	}
	left := append(slices.Concat(r.sent...), r.waiting...)
	r.sent, r.waiting = nil, nil
	return left
}

// abandon tells ours of some reads that no answer will come.
func abandon(reads []read) {
	for _, r := range reads {
		if r.done != nil {
			r.done(nil, zk.ErrConnectionClosed)
		}
	}
}
