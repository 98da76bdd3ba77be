package session

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// dial is go-zookeeper's dialer. It pauses between rounds in vain, and it bounds the
// handshake. Once the session is over it fails. The library would open another
// session after an expiry, and send there what is still queued; without a connection
// it cannot.
func (s *Session) dial(network, addr string, timeout time.Duration) (net.Conn, error) {
	pause(s.ctx, s.hosts.pause())
	bound := handshakeBound(s.Timeout(), len(s.cfg.Address.Servers))
	d := net.Dialer{Timeout: min(timeout, bound)}
	raw, err := d.DialContext(s.ctx, network, addr)
	if err != nil {
		s.setLastErr(err)
		return nil, err
	}
	c := newConn(s, raw, addr, time.Now().Add(bound))
	s.setSocket(c)
	go c.send() // until the connection is closed, by the next one if not before
	return c, nil
}

// handshakeBound is how long a server may take for the handshake. Each gets its
// share of two thirds of the timeout: a frozen one must leave time to reach another
// before the session expires. None gets more than 5 s: a server that restarts can
// swallow a handshake, and answers the next one.
func handshakeBound(timeout time.Duration, servers int) time.Duration {
	return min(timeout*2/3/time.Duration(servers), 5*time.Second)
}

// silenceBound is for how long a server may say nothing until the connection is given
// up. The library waits for two thirds of the timeout, and has pings answered in
// half of that. With a timeout of hours nobody would notice for hours that the other
// end is gone; to connect again costs little.
func silenceBound(timeout time.Duration) time.Duration {
	return min(timeout*2/3, 20*time.Second)
}

// conn is the socket as go-zookeeper sees it.
//
// The library waits ten times too long for the answer to its handshake, and for
// the answer's body without limit: a server that accepts and then is silent
// would cost the session although others are listed. So until the answer is
// there, complete, every deadline is the handshake's. The answer also tells
// what the library keeps to itself: the timeout that the server granted. From then
// on it waits for an answer, and between two pings, too long as well where that
// timeout is long.
//
// The library writes each request by itself. What it writes while the socket is
// being written to goes out together: a busy session makes few system calls, and
// wakes the server less often. A write that fails closes the connection, which is
// what the library itself does then. Reads of znodes wait for each other, to go
// together: see reads.
//
// Read is called by one goroutine at a time.
type conn struct {
	net.Conn
	s    *Session
	addr string
	r    *bufio.Reader

	// Owned by the goroutine that calls Read.
	handshake time.Time // its deadline; zero when it is over
	rest      int       // bytes of the frame that is passed on
	split     []byte    // answers that came together

	closing sync.Once
	closed  chan struct{}
	wake    chan struct{} // there is something to send
	mu      sync.Mutex    // guards the rest
	unsent  []byte
	greeted bool // the handshake was written
	reads   reads
	large   []largeRequest // large ones that are not answered
	served  bool           // one was answered
}

// largeRequest is one that the library wrote.
type largeRequest struct {
	xid  int32
	size int
}

func newConn(s *Session, raw net.Conn, addr string, handshake time.Time) *conn {
	return &conn{
		Conn: raw, s: s, addr: addr, r: bufio.NewReaderSize(raw, 64<<10), handshake: handshake,
		closed: make(chan struct{}), wake: make(chan struct{}, 1), reads: reads{most: &s.together},
	}
}

// Write has p sent soon. Whether it arrived only an answer tells.
func (c *conn) Write(p []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	c.mu.Lock()
	if together := c.greeted && !c.s.old.Load(); !together || !c.reads.keep(p) {
		c.unsent = append(c.unsent, p...)
	}
	if len(p) >= largeFrom {
		c.large = append(c.large, largeRequest{int32(binary.BigEndian.Uint32(p[lengthSize:])), len(p)})
	}
	c.greeted = true
	c.mu.Unlock()
	c.poke()
	return len(p), nil
}

// readOwn has reads of our own sent, together. It is false where it cannot: the
// connection is closed or not made yet, or the server is old.
func (c *conn) readOwn(gets []get) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return false
	default:
	}
	if !c.greeted || c.s.old.Load() {
		return false
	}
	c.reads.waiting = append(c.reads.waiting, gets...)
	c.poke()
	return true
}

func (c *conn) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// SetWriteDeadline does nothing: send has a deadline of its own.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// keep is what is kept of a buffer that grew, for the next time.
const keep = 1 << 20

// send writes what is unsent until the connection is closed.
func (c *conn) send() {
	var sending []byte
	ping := time.NewTicker(longPing)
	defer ping.Stop()
	for {
		select {
		case <-c.closed:
			return
		case <-ping.C:
			if !c.ping() {
				continue
			}
		case <-c.wake:
		}
		runtime.Gosched() // who is about to write goes with it
		c.mu.Lock()
		sending, c.unsent = c.reads.next(c.unsent), sending[:0]
		c.mu.Unlock()
		if len(sending) == 0 {
			continue
		}
		err := c.Conn.SetWriteDeadline(time.Now().Add(silenceBound(c.s.Timeout())))
		if err == nil {
			_, err = c.Conn.Write(sending)
		}
		if err != nil {
			c.failed(err)
			return
		}
		if cap(sending) > keep {
			sending = nil
		}
	}
}

func (c *conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		close(c.closed)
		err = c.Conn.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reads.lost()
	})
	return err
}

// longPing is how often a server is pinged where the library would do so later.
const longPing = 5 * time.Second

var pingFrame = []byte{0, 0, 0, 8, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 11} // xid -2, opcode 11

// ping adds a ping to what is unsent, where the library pings rarely. It ignores the
// answer.
func (c *conn) ping() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.greeted || silenceBound(c.s.Timeout()) == c.s.Timeout()*2/3 {
		return false
	}
	c.unsent = append(c.unsent, pingFrame...)
	return true
}

func (c *conn) SetReadDeadline(t time.Time) error {
	switch latest := time.Now().Add(silenceBound(c.s.Timeout())); {
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
		// The library gives a connection up only when its writer has noticed
		// too, and a silent server can hold a write for as long again.
		c.failed(err)
	}
	return n, err
}

// failed closes the connection at an error. Where the server closed it, a large request
// may be to blame.
func (c *conn) failed(err error) {
	c.mu.Lock()
	largest := 0
	for _, r := range c.large {
		largest = max(largest, r.size)
	}
	c.large = nil
	cut := c.served && largest > 0 &&
		(errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
	c.mu.Unlock()
	if cut {
		c.s.cut(largest)
	}
	c.Close()
}

func (c *conn) read(p []byte) (int, error) {
	if !c.handshake.IsZero() {
		if err := c.readHandshake(); err != nil {
			c.s.setLastErr(fmt.Errorf("%s: no answer to the handshake: %w", c.addr, err))
			if !isTimeout(err) && c.s.ID() != 0 && serves(c.s.ctx, c.addr) {
				c.s.refused(c.addr)
			}
			return 0, err
		}
		c.handshake = time.Time{}
		c.hear()
	}
	for c.rest == 0 && len(c.split) == 0 { // a frame may be for us alone
		if err := c.nextFrame(); err != nil {
			return 0, err
		}
	}
	if len(c.split) > 0 {
		n := copy(p, c.split)
		if c.split = c.split[n:]; len(c.split) == 0 {
			c.split = nil // it may be large
		}
		return n, nil
	}
	n, err := c.r.Read(p[:min(len(p), c.rest)])
	c.rest -= n
	return n, err
}

// hear takes down that the server was heard. What a frame holds must have come
// soon after its beginning: the library sets a deadline.
func (c *conn) hear() { c.s.heard.Store(int64(time.Since(c.s.born))) }

// nextFrame waits for the next frame that the library is to see. It passes on what is
// no answer to reads that went together.
func (c *conn) nextFrame() error {
	head, size, err := c.peekFrame()
	for err == nil && int32(binary.BigEndian.Uint32(head[lengthSize:])) == watchXid {
		c.s.watched(failure(head))
		if _, err = c.r.Discard(size); err == nil {
			head, size, err = c.peekFrame()
		}
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.answered(int32(binary.BigEndian.Uint32(head[lengthSize:])))
	gets := c.reads.answered(head[lengthSize:lengthSize+4], size)
	more := gets != nil && len(c.reads.waiting) > 0
	c.mu.Unlock()
	if more {
		c.poke()
	}
	if len(gets) == 0 || len(gets) == 1 && gets[0].done == nil {
		c.rest = size
		return nil
	}
	defer abandon(gets) // in case of an error
	frame := make([]byte, size)
	if _, err := io.ReadFull(c.r, frame); err != nil {
		return err
	}
	if failure(frame) == unimplemented {
		c.s.old.Store(true) // it closes the connection, and the reads are repeated
	}
	c.split, err = split(frame[lengthSize:], gets)
	return err
}

// answered takes that a request was answered. The caller holds mu.
func (c *conn) answered(xid int32) {
	c.served = true
	c.large = slices.DeleteFunc(c.large, func(r largeRequest) bool {
		if r.xid == xid {
			c.s.packets.taken(r.size)
		}
		return r.xid == xid
	})
}

// peekFrame waits for the next frame and returns how it begins, and its size.
func (c *conn) peekFrame() (head []byte, size int, err error) {
	head, err = c.r.Peek(lengthSize + answerHeader)
	if err != nil {
		return nil, 0, err
	}
	c.hear()
	return head, lengthSize + int(binary.BigEndian.Uint32(head)), nil
}

// failure is the error code of an answer.
func failure(frame []byte) int32 {
	return int32(binary.BigEndian.Uint32(frame[lengthSize+answerHeader-4:]))
}

// readHandshake waits for the whole answer and leaves it in the buffer:
// length, protocol version, timeout in ms, session id, each big-endian.
func (c *conn) readHandshake() error {
	head, err := c.r.Peek(20)
	if err != nil {
		return err
	}
	size := int(binary.BigEndian.Uint32(head))
	timeout := time.Duration(int32(binary.BigEndian.Uint32(head[8:]))) * time.Millisecond
	id := int64(binary.BigEndian.Uint64(head[12:]))
	if size > 1024 {
		return fmt.Errorf("an answer of %d bytes: not a ZooKeeper server", size)
	}
	c.rest = lengthSize + size
	if _, err := c.r.Peek(c.rest); err != nil {
		return err
	}
	if id == 0 { // expired: the library's event follows
		return nil
	}
	c.s.granted(id, timeout)
	return nil
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// serves tells whether a server serves clients: one that is down, starting or
// without a quorum does not, and is waited for. It asks by the four-letter word
// srvr, which is allowed by default. A server without a quorum answers that too,
// but not with its mode; or it is read-only, and refuses whoever may write.
func serves(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, err := io.WriteString(c, "srvr"); err != nil {
		return false
	}
	answer, _ := io.ReadAll(io.LimitReader(c, 4<<10))
	return strings.Contains(string(answer), "Mode: ") && !strings.Contains(string(answer), "Mode: read-only")
}
