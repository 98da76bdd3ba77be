package zktest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Op is an operation of ZooKeeper's protocol.
type Op int32

// The operations that tests and fault runs act upon.
const (
	OpCreate      Op = 1
	OpDelete      Op = 2
	OpExists      Op = 3
	OpGetData     Op = 4
	OpSetData     Op = 5
	OpSetACL      Op = 7
	OpSync        Op = 9
	OpPing        Op = 11
	OpGetChildren Op = 12
	OpCheck       Op = 13
	OpMulti       Op = 14
	OpUnwatch     Op = 18 // removeWatches
	OpMultiRead   Op = 22
	OpSetWatches  Op = 101
	OpAddWatch    Op = 106
	OpClose       Op = -11
)

var opNames = map[Op]string{
	OpCreate: "create", OpDelete: "delete", OpExists: "exists", OpGetData: "getData", OpSetData: "setData",
	OpSetACL: "setACL", OpSync: "sync", OpPing: "ping", OpGetChildren: "getChildren", OpCheck: "check",
	OpMulti: "multi", OpUnwatch: "removeWatches", OpMultiRead: "multiRead", OpSetWatches: "setWatches",
	OpAddWatch: "addWatch", OpClose: "close",
}

func (o Op) String() string {
	if name, ok := opNames[o]; ok {
		return name
	}
	return fmt.Sprintf("op %d", int32(o))
}

// A Match reports whether a request is meant. It gets the request's bytes, from
// the xid on. It must not keep or change them, nor call the Proxy.
type Match func(request []byte) bool

// Naming matches requests that contain a path, or a part of one.
func Naming(path string) Match {
	return func(request []byte) bool { return bytes.Contains(request, []byte(path)) }
}

// A Proxy stands between clients and one server, and fails there as a network
// does, but at an exact request. It understands where packets begin, and which
// operation a request is; it passes four-letter words too. Its methods may be
// called from several goroutines.
//
// Some methods decide about one request: the n-th from now on, n from 1, that has the operation
// and that each Match accepts. They return a channel, which is closed when that has happened.
type Proxy struct {
	// Fixed at construction.
	target   string
	server   *Server // at the target; with TLS, the proxy speaks TLS on both sides
	listener net.Listener
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	all      sync.WaitGroup

	mu      sync.Mutex // guards the rest
	refuses bool
	delay   time.Duration
	open    chan struct{} // closed while packets pass
	links   map[*link]struct{}
	rules   []*rule
	unknown map[Op]bool
	seen    []Op
}

// rule decides about one request yet to come.
type rule struct {
	op    Op
	match []Match
	n     int // how many such requests are to come, the meant one included

	request func(*link) action // decides what becomes of the request; without, it passes
	reply   func(*link) action // and of its reply
	replied chan struct{}      // closed when reply has returned, or the connection has ended
}

// NewProxy listens on a free port of 127.0.0.1 for the server at target,
// host:port, which need not be up. The caller must Close it.
func NewProxy(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("proxy for %s: %w", target, err)
	}
	p := &Proxy{target: target, server: serverAt(target), listener: listener,
		open: make(chan struct{}), links: make(map[*link]struct{}), unknown: make(map[Op]bool)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	close(p.open)
	servers.Store(p.Addr(), p.server)
	p.all.Go(p.accept)
	return p, nil
}

// Via puts a proxy before the server of a connect string, until the test ends,
// and returns the connect string that leads through it.
func Via(t testing.TB, connectString string) (*Proxy, string) {
	t.Helper()
	server, _, _ := strings.Cut(connectString, "/")
	p, err := NewProxy(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, p.Addr() + strings.TrimPrefix(connectString, server)
}

// Addr is where clients connect to, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close cuts all connections and waits for the end of the proxy's goroutines.
func (p *Proxy) Close() {
	p.listener.Close()
	p.Refuse(true)
	p.cancel()
	p.all.Wait()
	servers.Delete(p.Addr())
}

// CutBefore resets the request's connection without passing the request on: it fails, and was
// not carried out.
func (p *Proxy) CutBefore(op Op, n int, match ...Match) (met <-chan struct{}) {
	cut := make(chan struct{})
	p.add(&rule{op: op, n: n, match: match, request: func(l *link) action {
		l.reset()
		close(cut)
		return end
	}})
	return cut
}

// CutAfter passes the request, and resets its connection when the reply comes, without passing
// the reply: the request fails, and was carried out.
func (p *Proxy) CutAfter(op Op, n int, match ...Match) (met <-chan struct{}) {
	return p.atReply(op, n, match, func(l *link) action {
		l.reset()
		return end
	})
}

// RefuseAfter is CutAfter, and Refuse(true) from that moment on: nobody connects
// in between.
func (p *Proxy) RefuseAfter(op Op, n int, match ...Match) (met <-chan struct{}) {
	return p.atReply(op, n, match, func(*link) action {
		p.Refuse(true)
		return end
	})
}

// Lose passes the request, and drops its reply; all else on its connection goes on. So one call
// never returns, and the session lives: as when a server or the client library has a fault.
func (p *Proxy) Lose(op Op, n int, match ...Match) (met <-chan struct{}) {
	return p.atReply(op, n, match, func(*link) action { return drop })
}

func (p *Proxy) atReply(op Op, n int, match []Match, reply func(*link) action) <-chan struct{} {
	r := &rule{op: op, n: n, match: match, reply: reply, replied: make(chan struct{})}
	p.add(r)
	return r.replied
}

// Hold keeps the request, and whatever comes behind it on its connection, until release is
// called; once is enough, more do no harm. To cut there, call Refuse and then release.
func (p *Proxy) Hold(op Op, n int, match ...Match) (held <-chan struct{}, release func()) {
	holds, released := make(chan struct{}), make(chan struct{})
	p.add(&rule{op: op, n: n, match: match, request: func(l *link) action {
		close(holds)
		select {
		case <-released:
			return pass
		case <-l.ctx.Done():
			return end
		}
	}})
	return holds, sync.OnceFunc(func() { close(released) })
}

// Catch is Hold of the next such request, which is received from the channel: its bytes, from
// the xid on. See [MultiOps] and [Deliver].
func (p *Proxy) Catch(op Op, match ...Match) (caught <-chan []byte, release func()) {
	request := make(chan []byte, 1)
	_, release = p.Hold(op, 1, append(slices.Clip(match), func(b []byte) bool {
		select {
		case request <- slices.Clone(b):
		default: // it has been caught
		}
		return true
	})...)
	return request, release
}

// Unknown makes the server, from now on, one that does not know an operation: the server answers
// with an error, and closes the connection.
func (p *Proxy) Unknown(op Op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unknown[op] = true
}

func (p *Proxy) add(r *rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, r)
}

// Blackhole(true) passes nothing any more, on any connection, and resets none.
// A packet that is just being written still passes. After Blackhole(false)
// what was kept goes on, except on connections that were given up meanwhile.
func (p *Proxy) Blackhole(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
		if on {
			p.open = make(chan struct{})
		}
	default:
		if !on {
			close(p.open)
		}
	}
}

// Refuse(true) resets all connections, and new ones at once.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = on
	if on {
		for l := range p.links {
			l.reset()
		}
	}
}

// Delay lets every packet, in both directions, take that much longer.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Seen lists the requests that were passed on since the last call, without
// handshakes and pings.
func (p *Proxy) Seen() []Op {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.serve(client.(*net.TCPConn)) })
	}
}

// serve carries one client's connection until it ends.
func (p *Proxy) serve(client *net.TCPConn) {
	d := net.Dialer{Timeout: 5 * time.Second}
	server, err := d.DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		client.SetLinger(0)
		client.Close()
		return
	}
	l := &link{p: p, client: client, server: server.(*net.TCPConn), gone: make(chan struct{}), unanswered: make(map[uint32]*rule)}
	l.ctx, l.cancel = context.WithCancel(p.ctx)
	p.mu.Lock()
	p.links[l] = struct{}{}
	if p.refuses {
		l.reset()
	}
	p.mu.Unlock()

	l.run()

	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
	for _, r := range l.unanswered { // the connection has ended by itself
		close(r.replied)
	}
}

// take counts a request in all rules, and takes out the first rule that it meets.
func (p *Proxy) take(op Op, request []byte) (met *rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = slices.DeleteFunc(p.rules, func(r *rule) bool {
		if r.op != op || slices.ContainsFunc(r.match, func(m Match) bool { return !m(request) }) {
			return false
		}
		if r.n--; r.n > 0 || met != nil {
			return false
		}
		met = r
		return true
	})
	return met
}
