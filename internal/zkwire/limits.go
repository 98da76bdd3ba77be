package zkwire

import (
	"errors"
	"io"
	"sync"
	"syscall"
)

// MaxRequest bounds what a request may carry, in bytes. A server with default
// settings (jute.maxbuffer) answers a request over 1,048,575 bytes by closing the
// connection, which ends every other call on it; the rest is room for what a caller
// that counts paths and data leaves out.
const MaxRequest = 900_000

const (
	// largeFrom is the least that a request is suspected from, in bytes: what the library
	// sends when it sets its watches again has up to 128 KB as well.
	largeFrom = 32 << 10
	// cutsEnough is how often in a row the connection must be cut at large requests
	// until they are taken for too large. Servers restart as well.
	cutsEnough = 3
)

// limits learns how large a request these servers take: jute.maxbuffer may be set to
// less than its default, and no answer tells. A connection is cut: the server closed
// it, and a large request was not answered. Of several it was the largest, most likely:
// none but the first that is too large does any harm. Where that comes about three times,
// over connections that had answered something before, and no request as large is answered
// in between, the servers take none as large as the largest of them.
type limits struct {
	mu      sync.Mutex // guards the rest
	limit   int        // what has been learnt to be too large, in bytes; 0: nothing
	suspect int        // the smallest request since then that a connection was cut at; 0: none
	most    int        // the largest
	cuts    int        // that count
}

// cut records that the connection was cut at a request; if it had not served, that does
// not count. It tells whether it was once too often.
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

// unanswered are the large requests of one connection that wait for an answer.
type unanswered struct {
	large  []largeRequest
	served bool // the server has answered a request
}

type largeRequest struct {
	xid  int32
	size int // bytes
}

// sent adds a frame that go-zookeeper wrote, if it is large.
func (u *unanswered) sent(frame []byte) {
	if len(frame) >= largeFrom {
		u.large = append(u.large, largeRequest{int32At(frame, lengthSize), len(frame)})
	}
}

// answered returns how large the request was that the reply is to; 0 if not large.
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

// cutAt empties it at the end of its connection. It returns how large the request is
// that the server may have closed the connection at; 0 if there is none.
func (u *unanswered) cutAt(err error) (size int) {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		for _, r := range u.large {
			size = max(size, r.size)
		}
	}
	u.large = nil
	return size
}
