package zkwire

import (
	"errors"
	"io"
	"sync"
	"syscall"
)

// MaxRequest bounds a request, in bytes. A server with the default jute.maxbuffer closes the
// connection at a request over 1,048,575 bytes, which ends every other call on it. The
// difference covers the bytes that a caller who counts paths and data does not count.
const MaxRequest = 900_000

const (
	// largeFrom is the least size, in bytes, of a request that may be the cause of a cut.
	// Requests with which the library sets its watches again have up to 128 KB as well.
	largeFrom = 32 << 10
	// cutsEnough is how many cuts in a row show that requests are too large. One cut shows
	// nothing: servers also restart.
	cutsEnough = 3
)

// limits finds out how large a request these servers take: jute.maxbuffer may be below its
// default, and no answer says so. A cut is: the server closed the connection, and a large
// request was not answered. If there were several, the largest is most likely the cause.
// After three cuts, on connections that had answered something, and without an answer to a
// request as large in between, the largest of these requests counts as too large.
type limits struct {
	mu      sync.Mutex // guards the rest
	limit   int        // a size known to be too large, in bytes; 0: none
	suspect int        // since then, the smallest request of a cut; 0: no cut
	most    int        // since then, the largest request of a cut that counts
	cuts    int        // since then, the number of cuts that count
}

// cut records a cut at a request. It counts if the connection had served. learnt means that
// this cut has set the limit.
func (l *limits) cut(size int, served bool) (learnt bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.suspect == 0 || size < l.suspect {
		l.suspect = size
	}
	if !served {
		return false
	}
	l.most = max(l.most, size)
	if l.cuts++; l.cuts < cutsEnough {
		return false
	}
	l.limit, l.suspect, l.most, l.cuts = l.most, 0, 0, 0
	return true
}

// taken records that a request was answered.
func (l *limits) taken(size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.suspect > 0 && size >= l.suspect {
		l.suspect, l.most, l.cuts = 0, 0, 0
	}
}

func (l *limits) suspects(size int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.suspect > 0 && size >= l.suspect
}

func (l *limits) bounds() (request, batch int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit == 0 {
		return MaxRequest, MaxRequest
	}
	return min(MaxRequest, l.limit-1), min(MaxRequest, l.limit/2)
}

// unanswered has the large requests of one connection that wait for an answer.
type unanswered struct {
	large  []largeRequest
	served bool // the server has answered a request
}

type largeRequest struct {
	xid  int32
	size int // bytes
}

// sent adds a frame of go-zookeeper, if it is large.
func (u *unanswered) sent(frame []byte) {
	if len(frame) >= largeFrom {
		u.large = append(u.large, largeRequest{int32At(frame, lengthSize), len(frame)})
	}
}

// answered returns the size of the request that a reply answers; 0 if it was not large.
func (u *unanswered) answered(xid int32) (size int) {
	u.served = true
	for i, r := range u.large {
		if r.xid == xid {
			u.large = append(u.large[:i], u.large[i+1:]...)
			return r.size
		}
	}
	return 0
}

// cutAt is called at the end of the connection. It returns the size of the request that may
// be the cause; 0 if there is none. It forgets all requests.
func (u *unanswered) cutAt(err error) (size int) {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		for _, r := range u.large {
			size = max(size, r.size)
		}
	}
	u.large = nil
	return size
}
