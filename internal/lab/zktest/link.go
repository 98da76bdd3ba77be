package zktest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// link is one client's connection and the proxy's own to the server.
type link struct {
	p              *Proxy
	client, server *net.TCPConn
	ctx            context.Context // ends with both connections
	cancel         context.CancelFunc
	gone           chan struct{} // closed when the client has closed its connection

	unanswered map[uint32]*rule // rules for the replies to come, by xid; guarded by p.mu
}

// reset ends both connections as a failing network does.
func (l *link) reset() {
	l.client.SetLinger(0)
	l.server.SetLinger(0)
	l.end()
}

func (l *link) end() {
	l.cancel()
	l.client.Close()
	l.server.Close()
}

// run passes packets until a connection ends, and ends the other one.
func (l *link) run() {
	defer l.end()
	client, server, err := l.handshake()
	if err != nil {
		return
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { l.pump(client, server, l.request, func() { close(l.gone) }) })
	pumps.Go(func() { l.pump(server, client, l.reply, func() {}) })
	pumps.Wait()
}

// handshake makes the TLS handshakes if the server has TLS. To the server the proxy shows the
// certificate of the role that the client's certificate names.
func (l *link) handshake() (client, server net.Conn, err error) {
	s := l.p.server
	if s == nil || s.ca == nil {
		return l.client, l.server, nil
	}
	if !l.wait(time.Time{}) {
		return nil, nil, net.ErrClosed
	}
	config, err := s.ca.serverConfig()
	if err != nil {
		return nil, nil, err
	}
	in := tls.Server(l.client, config)
	if err := in.HandshakeContext(l.ctx); err != nil {
		return nil, nil, err
	}
	role := strings.TrimPrefix(in.ConnectionState().PeerCertificates[0].Subject.CommonName, "tk-")
	if config, err = clientConfig(s.Identity(role)); err != nil {
		return nil, nil, err
	}
	out := tls.Client(l.server, config)
	return in, out, out.HandshakeContext(l.ctx)
}

// action is what the proxy does with a packet.
type action int

const (
	pass action = iota
	drop        // the packet alone
	end         // the packet and its connection
)

// pump passes packets in one direction until a side ends, and calls ended when from does. decide
// sees all packets but the first, which is the handshake.
func (l *link) pump(from, to net.Conn, decide func(frame []byte) action, ended func()) {
	type packet struct {
		bytes []byte
		due   time.Time
	}
	queue := make(chan packet, 256)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer l.end()
	reader.Go(func() {
		defer close(queue)
		defer ended()
		for r := bufio.NewReader(from); ; {
			b, err := nextPacket(r)
			if err != nil {
				return
			}
			select {
			case queue <- packet{b, time.Now().Add(l.p.latency())}:
			case <-l.ctx.Done():
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
			switch decide(f.bytes[4:]) {
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
	l.wait(time.Time{}) // a black hole hides the end as well
}

func (p *Proxy) latency() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

// wait returns true when a packet may pass, and false when it never will.
func (l *link) wait(due time.Time) bool {
	select {
	case <-time.After(time.Until(due)):
	case <-l.ctx.Done():
		return false
	}
	l.p.mu.Lock()
	open := l.p.open
	l.p.mu.Unlock()
	select {
	case <-open: // also what the client wrote before it closed the connection
		return true
	default:
	}
	select {
	case <-open:
		return true
	case <-l.gone:
	case <-l.ctx.Done():
	}
	return false
}

// request applies the rules to a request: xid 4 · operation 4 · body.
func (l *link) request(frame []byte) action {
	xid, op := binary.BigEndian.Uint32(frame), Op(binary.BigEndian.Uint32(frame[4:]))
	r := l.p.take(op, frame)
	if r != nil && r.request != nil {
		if v := r.request(l); v != pass {
			return v
		}
	}
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if l.p.unknown[op] {
		frame[7] = 99 // the last byte of the operation
	}
	if r != nil && r.reply != nil {
		l.unanswered[xid] = r
	}
	if op != OpPing {
		l.p.seen = append(l.p.seen, op)
	}
	return pass
}

// reply applies the rules to a reply: xid 4 · zxid 8 · error 4 · body.
func (l *link) reply(frame []byte) action {
	xid := binary.BigEndian.Uint32(frame)
	l.p.mu.Lock()
	r := l.unanswered[xid]
	delete(l.unanswered, xid)
	l.p.mu.Unlock()
	if r == nil {
		return pass
	}
	defer close(r.replied)
	return r.reply(l)
}

// nextPacket reads a packet with its length in front. A four-letter word, or the answer to one,
// has no length: four letters would be more than any packet has. Of such text it reads what
// has come.
func nextPacket(r *bufio.Reader) ([]byte, error) {
	const maxPacket = 64 << 20
	head, err := r.Peek(4)
	n := r.Buffered()
	if err == nil {
		if length := binary.BigEndian.Uint32(head); length <= maxPacket {
			n = 4 + int(length)
		}
	}
	if n == 0 {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return b, err
}
