package zktest

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// link is one client's connection and the proxy's own to the server.
type link struct {
	p              *Proxy
	client, server *net.TCPConn
	in, out        net.Conn      // the same, or TLS on them
	gone           chan struct{} // closed when the client is
	done           chan struct{} // closed when both are
	once           sync.Once
	losing         map[uint32]*rule // by the xid of the reply to lose; guarded by p.mu
}

// reset ends the link as a failing network does.
func (l *link) reset() {
	l.client.SetLinger(0)
	l.server.SetLinger(0)
	l.end()
}

func (l *link) end() {
	l.once.Do(func() {
		l.client.Close()
		if l.server != nil {
			l.server.Close()
		}
		close(l.done)
	})
}

// talk has both sides speak. Where the server has TLS, the client's certificate says which of
// its Roles the proxy takes on.
func (l *link) talk() error {
	l.in, l.out = l.client, l.server
	s := l.p.server
	if s == nil {
		return nil
	}
	if !l.wait(time.Time{}) {
		return net.ErrClosed
	}
	config, err := s.ca.accepting()
	if err != nil {
		return err
	}
	in := tls.Server(l.client, config)
	if err := in.HandshakeContext(l.p.ctx); err != nil {
		return err
	}
	role := strings.TrimPrefix(in.ConnectionState().PeerCertificates[0].Subject.CommonName, "tk-")
	if config, err = dialing(s.Identity(role)); err != nil {
		return err
	}
	out := tls.Client(l.server, config)
	if err := out.HandshakeContext(l.p.ctx); err != nil {
		return err
	}
	l.in, l.out = in, out
	return nil
}

// packet is one frame, with its length in front.
type packet struct {
	bytes []byte
	due   time.Time
}

// verdict is what becomes of a packet.
type verdict int

const (
	pass verdict = iota
	drop         // it alone
	end          // and its connection
)

// pump passes packets in one direction until either side ends. judge sees
// all but the first, the handshake.
func (l *link) pump(from, to net.Conn, judge func(frame []byte) verdict) {
	queue := make(chan packet, 256)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer l.end()
	reader.Go(func() {
		defer close(queue)
		if from == l.in {
			defer close(l.gone)
		}
		r := frames{r: bufio.NewReader(from)}
		for {
			b, err := r.next()
			if err != nil {
				return
			}
			select {
			case queue <- packet{b, time.Now().Add(l.p.latency())}:
			case <-l.done:
				return
			}
		}
	})
	first := true
	for f := range queue {
		if !l.wait(f.due) {
			return
		}
		if !first && len(f.bytes) >= 12 {
			switch judge(f.bytes[4:]) {
			case drop:
				continue
			case end:
				return
			}
		}
		if _, err := to.Write(f.bytes); err != nil {
			return
		}
		first = false
	}
	l.wait(time.Time{}) // an end does not show through a black hole either
}

// wait returns when a packet may pass, or false when it never will.
func (l *link) wait(due time.Time) bool {
	if d := time.Until(due); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.done:
			return false
		}
	}
	l.p.mu.Lock()
	open := l.p.open
	l.p.mu.Unlock()
	select {
	case <-open:
		return true
	default:
	}
	select {
	case <-open:
		return true
	case <-l.gone:
		return false
	case <-l.done:
		return false
	}
}

// request applies the rules to a request: xid 4 · operation 4 · body.
func (l *link) request(frame []byte) verdict {
	xid, op := binary.BigEndian.Uint32(frame), Op(binary.BigEndian.Uint32(frame[4:]))
	r := l.p.judge(op, frame)
	if r != nil && r.kind == hold {
		close(r.met)
		if r.caught != nil {
			r.caught <- slices.Clone(frame)
		}
		select {
		case <-r.release:
		case <-l.done:
			return end
		}
	}
	if r != nil && r.kind == cutBefore {
		l.reset()
		close(r.met)
		return end
	}
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if r != nil && (r.kind == cutAfter || r.kind == refuseAfter || r.kind == lose) {
		l.losing[xid] = r
	}
	if op != OpPing {
		l.p.seen = append(l.p.seen, op)
	}
	return pass
}

// reply looks for replies to lose: xid 4 · zxid 8 · error 4 · body.
func (l *link) reply(frame []byte) verdict {
	xid := binary.BigEndian.Uint32(frame)
	l.p.mu.Lock()
	r := l.losing[xid]
	delete(l.losing, xid)
	l.p.mu.Unlock()
	if r == nil {
		return pass
	}
	if r.kind == lose {
		close(r.met)
		return drop
	}
	if r.kind == refuseAfter {
		l.p.Refuse(true)
	}
	l.reset()
	close(r.met)
	return end
}

// maxFrame is more than any packet holds, and less than four letters read as a
// length.
const maxFrame = 64 << 20

// frames reads packets, each with its length in front. From four letters on it
// reads just what comes: a four-letter word, or the answer to one.
type frames struct {
	r   *bufio.Reader
	raw bool
}

func (f *frames) next() ([]byte, error) {
	if f.raw {
		b := make([]byte, 4096)
		n, err := f.r.Read(b)
		return b[:n], err
	}
	head, err := f.r.Peek(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	f.raw = n > maxFrame
	if f.raw {
		n = 0
	}
	b := make([]byte, 4+n)
	_, err = io.ReadFull(f.r, b)
	return b, err
}
