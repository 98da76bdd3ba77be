package session

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// Numbers of ZooKeeper's protocol. go-zookeeper knows no multi-read.
const (
	opcodeError     = -1
	opcodeGetData   = 4
	opcodeMultiRead = 22 // servers before 3.6 do not know it either,
	unimplemented   = -6 // and say so

	lengthSize      = 4
	requestHeader   = 8         // xid, opcode
	answerHeader    = 16        // xid, zxid, error
	multiHeaderSize = 4 + 1 + 4 // opcode, done, error
	statSize        = 68
)

const (
	mostReads  = 32 // go in one request
	firstReads = 16 // at first: answers may be large
	// From this size of an answer on, half as many go in the next request: a
	// server builds the whole answer, and the client reads it within a deadline.
	largeAnswer = 256 << 10
)

// get is a read of one znode, without a watch: one that the library asked for, or one
// of our own.
type get struct {
	xid  []byte // 4 bytes
	body []byte // the path, behind its length, and a 0: no watch

	// Of our own: called with what the answer holds behind its header. It does not block,
	// and only the first call counts. Where code is not 0, body means nothing.
	done func(code int32, body []byte)
}

// lostCode is the error code of a read that no answer came to.
const lostCode = -4 // connection loss

// ownXid is the number of a request that begins with a read of our own. See watchXid.
var ownXid = binary.BigEndian.AppendUint32(nil, 0xffffffff-106) // -107

// own is a read of our own. done is called once.
func own(path string, done func(code int32, body []byte)) get {
	var once sync.Once
	body := make([]byte, 0, 4+len(path)+1)
	body = append(append(binary.BigEndian.AppendUint32(body, uint32(len(path))), path...), 0)
	return get{xid: ownXid, body: body, done: func(code int32, body []byte) {
		once.Do(func() { done(code, body) })
	}}
}

// abandon takes it that no answer will come. The library finds out by itself.
func abandon(gets []get) {
	for _, g := range gets {
		if g.done != nil {
			g.done(lostCode, nil)
		}
	}
}

// reads sends the reads of one connection together: those that come while an
// answer is on its way go in the next request, as one multi-read. A read that is
// alone is sent as it is, at once. It is what Group is for writes, for the requests
// that go-zookeeper cannot put together: they are taken out of what it writes,
// and the answer is taken apart into those that it waits for.
//
// Who waits for an answer cannot tell. Whatever else is under way meanwhile may
// overtake such a read, or be overtaken, as ever between calls made at once.
type reads struct {
	waiting []get
	sent    []get         // in the request under way
	most    *atomic.Int32 // to go in the next one: the session's, which outlasts connections
}

// keep takes a frame, length and all, that the library writes, if it is such a read.
func (r *reads) keep(frame []byte) bool {
	const header = lengthSize + requestHeader
	if len(frame) <= header || binary.BigEndian.Uint32(frame[header-4:]) != opcodeGetData || frame[len(frame)-1] != 0 {
		return false
	}
	frame = slices.Clone(frame)
	r.waiting = append(r.waiting, get{xid: frame[lengthSize : lengthSize+4], body: frame[header:]})
	return true
}

// next appends the next request to buf, if there is one and none is under way.
func (r *reads) next(buf []byte) []byte {
	if len(r.sent) > 0 || len(r.waiting) == 0 {
		return buf
	}
	n := min(int(r.most.Load()), len(r.waiting))
	r.sent, r.waiting = r.waiting[:n:n], r.waiting[n:]
	start := len(buf)
	buf = append(append(buf, 0, 0, 0, 0), r.sent[0].xid...)
	if n == 1 && r.sent[0].done == nil {
		buf = binary.BigEndian.AppendUint32(buf, opcodeGetData)
		buf = append(buf, r.sent[0].body...)
	} else {
		buf = binary.BigEndian.AppendUint32(buf, opcodeMultiRead)
		for _, g := range r.sent {
			buf = append(appendMultiHeader(buf, opcodeGetData, 0), g.body...)
		}
		buf = appendMultiHeader(buf, opcodeError, 1)
	}
	binary.BigEndian.PutUint32(buf[start:], uint32(len(buf)-start-lengthSize))
	return buf
}

func appendMultiHeader(buf []byte, opcode int32, done byte) []byte {
	buf = append(binary.BigEndian.AppendUint32(buf, uint32(opcode)), done)
	return append(buf, 0xff, 0xff, 0xff, 0xff)
}

// answered tells which reads the answer of this xid and size is to, if it is to
// any: then none is under way any more.
func (r *reads) answered(xid []byte, size int) []get {
	if len(r.sent) == 0 || !slices.Equal(r.sent[0].xid, xid) {
		return nil
	}
	gets := r.sent
	r.sent = nil
	switch most := r.most.Load(); {
	case size >= largeAnswer:
		r.most.Store(max(1, most/2))
	case len(gets) == int(most):
		r.most.Store(min(2*most, mostReads))
	}
	return gets
}

// lost takes it that no answer will come: it may have been too large to arrive in
// time.
func (r *reads) lost() {
	if n := len(r.sent); n > 1 {
		r.most.Store(int32(n / 2))
	}
	abandon(r.sent)
	abandon(r.waiting)
	r.sent, r.waiting = nil, nil
}

var errMultiRead = errors.New("an answer to a multi-read that makes no sense")

// split takes the answer to a multi-read, from its xid on, apart into the frames
// that are the answers to each read of the library, and hands out those to our own. An
// error of the whole is one of each.
func split(answer []byte, gets []get) ([]byte, error) {
	if len(answer) < answerHeader {
		return nil, errMultiRead
	}
	zxid, failed, rest := answer[4:12], answer[12:answerHeader], answer[answerHeader:]
	out := make([]byte, 0, len(answer)+len(gets)*(lengthSize+answerHeader))
	frame := func(g get, err, body []byte) {
		if g.done != nil {
			g.done(int32(binary.BigEndian.Uint32(err)), body)
			return
		}
		out = binary.BigEndian.AppendUint32(out, uint32(answerHeader+len(body)))
		out = append(append(append(append(out, g.xid...), zxid...), err...), body...)
	}
	if whole := binary.BigEndian.Uint32(failed) != 0; whole {
		for _, g := range gets {
			frame(g, failed, nil)
		}
		return out, nil
	}
	for _, g := range gets {
		if len(rest) < multiHeaderSize+4 {
			return nil, errMultiRead
		}
		opcode := int32(binary.BigEndian.Uint32(rest))
		rest = rest[multiHeaderSize:]
		switch opcode {
		case opcodeError:
			frame(g, rest[:4], nil)
			rest = rest[4:]
		case opcodeGetData:
			size := int64(int32(binary.BigEndian.Uint32(rest)))
			size = 4 + max(0, size) + statSize // -1 stands for no data
			if int64(len(rest)) < size {
				return nil, errMultiRead
			}
			frame(g, []byte{0, 0, 0, 0}, rest[:size])
			rest = rest[size:]
		default:
			return nil, errMultiRead
		}
	}
	return out, nil
}
