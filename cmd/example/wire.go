package main

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/identity"
)

// wire makes the library's connections. The library does not know TLS, so wire gives it
// connections that speak TLS.
type wire struct {
	ctx context.Context // when it ends the connections are closed
	tls identity.Files

	mu  sync.Mutex // guards the rest
	err error      // of the last dial that failed
}

// handshakeTimeout is how long a connection may take, with TLS.
const handshakeTimeout = 5 * time.Second

// dial closes its sockets when the context ends. Without that, a server that accepts
// connections and then sends nothing blocks the library, even its Close, for ten times the
// session timeout.
func (w *wire) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(w.ctx, handshakeTimeout)
	defer cancel()
	d := net.Dialer{Timeout: timeout}
	c, err := d.DialContext(ctx, network, address)
	if err == nil {
		c, err = w.tls.Secure(ctx, c, address)
	}
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = err
		return nil, err
	}
	context.AfterFunc(w.ctx, func() { c.Close() })
	return c, nil
}

func (w *wire) lastErr() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// byName hands out the servers in turn, by name: the library's own provider resolves the names
// at the start, but a server's certificate is for a name, not for an address. Only the goroutine
// that connects calls it.
type byName struct {
	servers []string
	next    int
}

var _ zk.HostProvider = (*byName)(nil)

func (b *byName) Init(servers []string) error { b.servers = servers; return nil }
func (b *byName) Len() int                    { return len(b.servers) }
func (b *byName) Connected()                  {}

// Next makes the library pause for a second after each round.
func (b *byName) Next() (server string, pause bool) {
	server, pause = b.servers[b.next%len(b.servers)], b.next > 0 && b.next%len(b.servers) == 0
	b.next++
	return server, pause
}
