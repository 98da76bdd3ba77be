package zkwire

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// conn is the socket as go-zookeeper sees it.
//
// The library waits for the answer to its handshake for 6.7 session timeouts (ten times its
// read timeout, which is two thirds of the session's), and for the answer's body without
// limit. So a server that accepts and then is silent would cost the session, although other
// servers are listed. Therefore every deadline is the handshake's, until its answer is
// complete. That answer also has the granted timeout, which the library does not export. If
// that timeout is long, the library's later deadlines and pings are too long as well.
//
// The library writes each request by itself. Here requests that wait while the socket is
// written to share the next write. So a busy session makes few system calls, and wakes the
// server less often. A write that fails closes the connection, as in the library. Reads of
// znodes share requests: see reads.
//
// One goroutine at a time calls Read.
type conn struct {
	net.Conn
	t      *Transport
	server string
	r      *bufio.Reader

	// Owned by the goroutine that calls Read.
	handshake time.Time // the deadline of the handshake; zero after it
	rest      int       // bytes of the current frame that the library has not read yet
	split     []byte    // answers to reads that shared a request

	closing    sync.Once
	closed     chan struct{}
	wake       chan struct{} // there is a frame to send
	mu         sync.Mutex    // guards the rest
	unsent     []byte
	greeted    bool // the handshake was written
	reads      reads
	watches    []func(error) // called with the answers to requests of watch, in this order
	unanswered unanswered
}

func newConn(t *Transport, raw net.Conn, server string, handshake time.Time) *conn {
	return &conn{
		Conn: raw, t: t, server: server, r: bufio.NewReaderSize(raw, 64<<10), handshake: handshake,
		closed: make(chan struct{}), wake: make(chan struct{}, 1), reads: reads{most: &t.together},
	}
}

// Write takes p, which is one frame, and returns before it is sent. Only an answer shows
// that the frame arrived.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.isClosed() {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	if !c.greeted {
		p = seenSince(p, c.t.zxid.Load())
	}
	if together := c.greeted && !c.t.single.Load(); !together || !c.reads.keep(p) {
		c.unsent = append(c.unsent, p...)
	}
	c.unanswered.sent(p)
	c.greeted = true
	c.mu.Unlock()
	c.poke()
	return len(p), nil
}

// watch sends a request about watches that the library does not know. It returns false,
// and sends nothing, before the handshake and after the connection is closed.
func (c *conn) watch(appendTo func([]byte) []byte, done func(error)) bool {
	c.mu.Lock()
	if !c.greeted || c.isClosed() {
		c.mu.Unlock()
		return false
	}
	c.unsent = appendTo(c.unsent)
	c.watches = append(c.watches, done)
	c.mu.Unlock()
	c.poke()
	return true
}

// readTogether sends reads of GetAll in one request. It returns false, and sends nothing,
// before the handshake, after the connection is closed, and if the server knows no
// multi-read.
func (c *conn) readTogether(reads []read) bool {
	c.mu.Lock()
	if !c.greeted || c.isClosed() || c.t.single.Load() {
		c.mu.Unlock()
		return false
	}
	c.reads.waiting = append(c.reads.waiting, reads...)
	c.mu.Unlock()
	c.poke()
	return true
}

func (c *conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

func (c *conn) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// SetWriteDeadline does nothing: send has a deadline of its own.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// keep is the largest buffer, in bytes, that is kept for the next write.
const keep = 1 << 20

// send writes the unsent frames until the connection is closed.
func (c *conn) send() {
	var sending []byte
	ping := time.NewTicker(longPing)
	defer ping.Stop()
	for {
		pinging := false
		select {
		case <-c.closed:
			return
		case <-ping.C:
			pinging = pingsRarely(c.t.Timeout())
		case <-c.wake:
		}
		runtime.Gosched() // goroutines that are ready to write run first, and share this write
		c.mu.Lock()
		if pinging && c.greeted {
			c.unsent = appendPing(c.unsent)
		}
		sending, c.unsent = c.reads.next(c.unsent), sending[:0]
		c.mu.Unlock()
		if len(sending) == 0 {
			continue
		}
		err := c.Conn.SetWriteDeadline(time.Now().Add(silenceBound(c.t.Timeout())))
		if err == nil {
			_, err = c.Conn.Write(sending)
		}
		if err != nil {
			c.fail(err)
			return
		}
		if cap(sending) > keep {
			sending = nil
		}
	}
}

// Close closes the connection. Watches and reads of this package that wait for an answer get
// zk.ErrConnectionClosed.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		c.mu.Lock()
		close(c.closed)
		reads := c.reads.lost()
		watches := c.watches
		c.watches = nil
		c.mu.Unlock()
		err = c.Conn.Close()
		for _, done := range watches {
			done(zk.ErrConnectionClosed)
		}
		abandon(reads)
	})
	return err
}

// fail closes the connection after an error. If the server closed it, a large request may
// be the cause.
func (c *conn) fail(err error) {
	c.mu.Lock()
	size, served := c.unanswered.cutAt(err), c.unanswered.served
	c.mu.Unlock()
	if size > 0 {
		c.t.cut(size, served)
	}
	c.Close()
}

func (c *conn) SetReadDeadline(t time.Time) error {
	switch latest := time.Now().Add(silenceBound(c.t.Timeout())); {
	case !c.handshake.IsZero():
		t = c.handshake
	case t.After(latest):
		t = latest
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.read(p)
	if err != nil {
		// The library gives up a connection only when its writer fails as well. A silent
		// server can block a write for as long again.
		c.fail(err)
	}
	return n, err
}

func (c *conn) read(p []byte) (int, error) {
	if !c.handshake.IsZero() {
		if err := c.greet(); err != nil {
			c.ungreeted(err)
			return 0, err
		}
		c.handshake = time.Time{}
		c.t.hear()
	}
	if c.rest == 0 && len(c.split) == 0 {
		if err := c.nextFrame(); err != nil {
			return 0, err
		}
	}
	if len(c.split) > 0 {
		n := copy(p, c.split)
		if c.split = c.split[n:]; len(c.split) == 0 {
			c.split = nil // frees the memory, which may be large
		}
		return n, nil
	}
	n, err := c.r.Read(p[:min(len(p), c.rest)])
	c.rest -= n
	return n, err
}

// nextFrame waits for the next frame for the library. It handles the answers to requests
// that the library does not know, and splits the answers to reads that shared a request.
func (c *conn) nextFrame() error {
	for {
		head, err := c.r.Peek(replyHeadSize)
		if err != nil {
			return err
		}
		c.t.hear()
		reply, err := parseReply(head)
		if err != nil {
			return err
		}
		c.t.see(reply.zxid)
		if reply.xid == watchXid {
			if _, err := c.r.Discard(reply.size); err != nil {
				return err
			}
			c.watched(reply)
			continue
		}
		answered := c.answered(reply)
		if len(answered) == 0 || len(answered) == 1 && answered[0].done == nil {
			c.rest = reply.size
			return nil
		}
		if reply.err == Unimplemented {
			c.t.single.Store(true) // the server closes the connection, and session repeats the reads
		}
		frame := bytes.NewBuffer(make([]byte, 0, min(reply.size, keep))) // the size may be wrong
		if _, err = io.CopyN(frame, c.r, int64(reply.size)); err == nil {
			c.split, err = splitReads(frame.Bytes()[lengthSize:], answered)
		}
		if err != nil {
			abandon(answered)
		}
		if err != nil || len(c.split) > 0 {
			return err
		}
	}
}

// answered records that a request was answered, and returns the reads that shared it.
func (c *conn) answered(reply replyHead) []read {
	c.mu.Lock()
	size := c.unanswered.answered(reply.xid)
	reads := c.reads.answered(reply.xid, reply.size)
	more := reads != nil && len(c.reads.waiting) > 0
	c.mu.Unlock()
	if size > 0 {
		c.t.limits.taken(size)
	}
	if more {
		c.poke()
	}
	return reads
}

// watched passes an answer to the first request of watch without one.
func (c *conn) watched(reply replyHead) {
	c.mu.Lock()
	if len(c.watches) == 0 { // no request waits, or the connection was closed meanwhile
		c.mu.Unlock()
		return
	}
	done := c.watches[0]
	c.watches = c.watches[1:]
	c.mu.Unlock()
	if reply.err != 0 {
		done(reply.err)
	} else {
		done(nil)
	}
}
