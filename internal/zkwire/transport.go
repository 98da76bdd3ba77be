package zkwire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/identity"
)

// Config configures a Transport. All fields are required, except TLS.
type Config struct {
	Timeout time.Duration // session timeout to ask for
	TLS     identity.Files
	Logger  *slog.Logger
	// Refused is called when a server that serves others has closed a handshake of
	// this session. It may block; that delays only the next connection.
	Refused func(server string)
}

// Transport makes the connections of one session, one after the other, and keeps what
// outlasts a connection. Its methods may be called from any goroutine.
type Transport struct {
	// Fixed.
	ctx   context.Context // after its end no connection is made
	cfg   Config
	hosts *hosts
	began time.Time // heard counts from here

	session  atomic.Int64
	timeout  atomic.Int64 // granted, ns; before the first handshake the one to ask for
	zxid     atomic.Int64 // the highest in any answer; the library sees only some answers
	heard    atomic.Int64 // the last frame from a server, ns since began
	single   atomic.Bool  // the servers know no multi-reads
	together atomic.Int32 // how many reads the next request may have
	limits   limits

	mu      sync.Mutex // guards the rest
	conn    *conn      // nil before the first connection
	lastErr error
	logged  map[string]bool // TLS errors since the last good handshake
}

// New returns a Transport that makes connections until ctx ends.
func New(ctx context.Context, cfg Config) *Transport {
	t := &Transport{ctx: ctx, cfg: cfg, hosts: &hosts{over: ctx.Done()}, began: time.Now()}
	t.timeout.Store(int64(cfg.Timeout))
	t.together.Store(firstReads)
	return t
}

// Connect returns a Conn of go-zookeeper over this Transport. Each server is host:port. The
// caller must call it once. The Conn calls onEvent on its own goroutines: onEvent must not
// block, nor call the Conn.
func (t *Transport) Connect(servers []string, onEvent func(zk.Event)) (*zk.Conn, <-chan zk.Event, error) {
	return zk.Connect(servers, t.cfg.Timeout,
		zk.WithDialer(t.dial), zk.WithHostProvider(t.hosts), zk.WithEventCallback(onEvent),
		zk.WithLogger(libLogger{t.cfg.Logger}), zk.WithLogInfo(false))
}

// libLogger logs the messages of go-zookeeper.
type libLogger struct{ log *slog.Logger }

func (l libLogger) Printf(format string, args ...any) {
	l.log.Debug("zk", "text", fmt.Sprintf(format, args...))
}

// Close closes the connection. While the context lasts, the Conn dials the next one.
func (t *Transport) Close() {
	t.mu.Lock()
	c := t.conn
	t.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// SessionID is the id that the servers gave the session; 0 before the first handshake.
func (t *Transport) SessionID() int64 { return t.session.Load() }

// Timeout is the session timeout that the server granted last; before the first handshake,
// the one to ask for.
func (t *Transport) Timeout() time.Duration { return time.Duration(t.timeout.Load()) }

// Silence is how long ago a server was last heard.
func (t *Transport) Silence() time.Duration {
	return time.Since(t.began) - time.Duration(t.heard.Load())
}

// LastErr is the error of the last dial or handshake that failed.
func (t *Transport) LastErr() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lastErr
}

// Limits returns two bounds, in bytes. request bounds a single request: MaxRequest, or less
// if these servers take less. batch bounds a request that joins several smaller ones: if a
// size is too large, half of it most likely is not.
func (t *Transport) Limits() (request, batch int) { return t.limits.bounds() }

// Suspect reports whether a server closed the connection at a request of at most size bytes.
// The caller should send a request of that size only after another call was answered on the
// same connection: if not, a cut does not count.
func (t *Transport) Suspect(size int) bool { return t.limits.suspects(size) }

// AddWatch sets a watch, before later requests of the Conn. The watch lasts as long as the
// connection. The Conn reports its events like all others. done is called once with the
// answer: nil, a [ServerError], or zk.ErrConnectionClosed if no answer will arrive. It is
// called before AddWatch returns, or on a goroutine of the connection. It must not block.
func (t *Transport) AddWatch(path string, mode WatchMode, done func(error)) {
	t.watch(func(b []byte) []byte { return appendAddWatch(b, path, mode) }, done)
}

// Unwatch removes all watches of the session on a path, in the same order and with the same
// answers as AddWatch. When the Conn reconnects, it sets its own watches again.
func (t *Transport) Unwatch(path string, done func(error)) {
	t.watch(func(b []byte) []byte { return appendUnwatch(b, path) }, done)
}

func (t *Transport) watch(appendTo func([]byte) []byte, done func(error)) {
	t.mu.Lock()
	c := t.conn
	t.mu.Unlock()
	if c == nil || !c.watch(appendTo, done) {
		done(zk.ErrConnectionClosed)
	}
}

// Read is the result of a read of a znode: its data and Stat, or an error.
type Read struct {
	Data []byte
	Stat *zk.Stat
	Err  error
}

// GetAll reads znodes in one request, which other reads may share. It returns nil if there
// is no connection, if the connection is lost, or if the server knows no multi-read. Err of
// a read that failed is a [ServerError].
func (t *Transport) GetAll(paths []string) []Read {
	t.mu.Lock()
	c := t.conn
	t.mu.Unlock()
	if c == nil {
		return nil
	}
	answers := make([]Read, len(paths))
	reads := make([]read, len(paths))
	var waiting sync.WaitGroup
	for i, path := range paths {
		waiting.Add(1)
		answered := sync.OnceFunc(waiting.Done)
		reads[i] = ownRead(path, func(body []byte, err error) {
			if a := &answers[i]; a.Stat == nil && a.Err == nil {
				if a.Err = err; err == nil {
					a.Data, a.Stat, a.Err = parseData(bytes.Clone(body)) // the frame may be large
				}
			}
			answered()
		})
	}
	if !c.readTogether(reads) {
		return nil
	}
	waiting.Wait()
	for _, a := range answers {
		if errors.Is(a.Err, zk.ErrConnectionClosed) {
			return nil
		}
	}
	return answers
}

// dial is go-zookeeper's dialer. It pauses between rounds, and bounds the handshake of TCP,
// TLS and ZooKeeper together. It fails after the end of the context: with a connection the
// library would open another session after an expiry, and send the queued requests there.
func (t *Transport) dial(network, server string, timeout time.Duration) (net.Conn, error) {
	select {
	case <-time.After(t.hosts.pause()):
	case <-t.ctx.Done():
	}
	deadline := time.Now().Add(handshakeBound(t.Timeout(), t.hosts.Len()))
	ctx, cancel := context.WithDeadline(t.ctx, deadline)
	defer cancel()
	raw, err := connect(ctx, network, server, timeout, t.cfg.TLS)
	if err != nil {
		t.failed(err)
		return nil, err
	}
	c := newConn(t, raw, server, deadline)
	t.use(c)
	go c.send() // ends when the connection is closed, at the latest by the next use
	return c, nil
}

// use sets the current connection. It closes the last one, which is dead: the library may
// not have closed it. If the context has ended, it also closes the new one: Close may have
// closed only the last one.
func (t *Transport) use(c *conn) {
	t.mu.Lock()
	before := t.conn
	t.conn = c
	t.mu.Unlock()
	if before != nil {
		before.Close()
	}
	if t.ctx.Err() != nil {
		c.Close()
	}
}

func (t *Transport) granted(answer connectHead) {
	t.session.Store(answer.session)
	t.timeout.Store(int64(answer.timeout))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.logged = nil
}

// failed records an error of a connection. It also logs, once, what a person must mend
// (identity.Error) or may have to mend (identity.Doubt): a session that is cut off waits,
// and logs nothing else.
func (t *Transport) failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastErr = err
	var (
		fault *identity.Error
		doubt *identity.Doubt
		level = slog.LevelWarn
	)
	switch {
	case t.SessionID() == 0 || t.logged[err.Error()]:
		return
	case errors.As(err, &fault):
		level = slog.LevelError
	case !errors.As(err, &doubt):
		return
	}
	if t.logged == nil {
		t.logged = make(map[string]bool)
	}
	t.logged[err.Error()] = true
	t.cfg.Logger.Log(t.ctx, level, "no connection to ZooKeeper", "err", err)
}

// hear records that the head of a frame has arrived. The rest of the frame arrives soon
// after: the library sets a deadline.
func (t *Transport) hear() { t.heard.Store(int64(time.Since(t.began))) }

// see records a zxid from an answer.
func (t *Transport) see(zxid int64) {
	for {
		seen := t.zxid.Load()
		if zxid <= seen || t.zxid.CompareAndSwap(seen, zxid) {
			return
		}
	}
}

// cut records that a server closed the connection at a request.
func (t *Transport) cut(size int, served bool) {
	if t.limits.cut(size, served) {
		t.cfg.Logger.Warn("the servers close the connection at requests of this size: no larger ones are sent", "bytes", size)
	}
}
