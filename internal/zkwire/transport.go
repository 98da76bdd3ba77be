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

// Config says what a Transport is for. All fields are required, but for TLS.
type Config struct {
	Timeout time.Duration // session timeout to ask for
	TLS     identity.Files
	Logger  *slog.Logger
	// Refused is called when a server that serves others has closed a handshake of
	// this session. It may block, and delays only the next try to connect.
	Refused func(server string)
}

// Transport makes the connections of one session, one after the other, and keeps what
// outlasts each of them. Its methods may be called from any goroutine.
type Transport struct {
	// Fixed.
	ctx   context.Context // there is no connection after its end
	cfg   Config
	hosts *hosts
	began time.Time // what heard counts from

	session  atomic.Int64
	timeout  atomic.Int64 // granted, ns; until then what is asked for
	zxid     atomic.Int64 // the highest that a server has told: the library sees only some of the answers
	heard    atomic.Int64 // the last frame from a server, ns since began
	single   atomic.Bool  // the servers know no multi-reads
	together atomic.Int32 // how many reads go in one
	limits   limits

	mu      sync.Mutex // guards the rest
	conn    *conn      // nil before the first
	lastErr error
	logged  map[string]bool // what went wrong with TLS since the last good handshake
}

// New returns a Transport that makes connections until ctx ends.
func New(ctx context.Context, cfg Config) *Transport {
	t := &Transport{ctx: ctx, cfg: cfg, hosts: &hosts{over: ctx.Done()}, began: time.Now()}
	t.timeout.Store(int64(cfg.Timeout))
	t.together.Store(firstReads)
	return t
}

// Connect returns a Conn of go-zookeeper over this Transport, to the servers, each
// host:port. It is called once. The Conn calls onEvent on its own goroutines: onEvent
// must not block, nor call the Conn.
func (t *Transport) Connect(servers []string, onEvent func(zk.Event)) (*zk.Conn, <-chan zk.Event, error) {
	return zk.Connect(servers, t.cfg.Timeout,
		zk.WithDialer(t.dial), zk.WithHostProvider(t.hosts), zk.WithEventCallback(onEvent),
		zk.WithLogger(libLogger{t.cfg.Logger}), zk.WithLogInfo(false))
}

// libLogger hands on what go-zookeeper has to say.
type libLogger struct{ log *slog.Logger }

func (l libLogger) Printf(format string, args ...any) {
	l.log.Debug("zk", "text", fmt.Sprintf(format, args...))
}

// Close closes the connection. While the context lasts the Conn gets another one.
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

// Timeout is the session timeout that the server granted last; before the first
// handshake, what is asked for.
func (t *Transport) Timeout() time.Duration { return time.Duration(t.timeout.Load()) }

// Silence is how long ago a server was last heard.
func (t *Transport) Silence() time.Duration {
	return time.Since(t.began) - time.Duration(t.heard.Load())
}

// LastErr is what last went wrong with a dial or a handshake.
func (t *Transport) LastErr() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lastErr
}

// Limits returns what a request may carry at most, in bytes: MaxRequest, or less where
// these servers were found to take less; and what requests that could as well go one by
// one may carry together: half of what is too large is most likely not.
func (t *Transport) Limits() (request, batch int) { return t.limits.bounds() }

// Suspect tells whether a server closed the connection at a request that was no larger,
// in bytes. A request of that size is best sent over a connection that has just been
// found to be good: else the next loss of it proves nothing.
func (t *Transport) Suspect(size int) bool { return t.limits.suspects(size) }

// AddWatch has a watch set, before whatever the Conn is asked later. It lasts as long
// as the connection does. Its events come as all others. The answer goes to done, once: nil, a
// [ServerError], or zk.ErrConnectionClosed if none will come. It is called before AddWatch
// returns or on a goroutine of the connection, and must not block.
func (t *Transport) AddWatch(path string, mode WatchMode, done func(error)) {
	t.watch(func(b []byte) []byte { return appendAddWatch(b, path, mode) }, done)
}

// Unwatch has all watches of the session on a path removed, in the same order and with the
// same answers as AddWatch. Those set by the Conn are set again by it when it reconnects.
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

// Read is what a read of a znode came to: its data and Stat, or an error.
type Read struct {
	Data []byte
	Stat *zk.Stat
	Err  error
}

// GetAll reads znodes in one request, with whatever else is read at that moment. It returns
// nil where it cannot: there is no connection, it was lost, or the server knows no
// multi-read. A single read that failed has Err, a [ServerError].
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
		told := sync.OnceFunc(waiting.Done)
		reads[i] = ownRead(path, func(body []byte, err error) {
			if a := &answers[i]; a.Stat == nil && a.Err == nil {
				if a.Err = err; err == nil {
					a.Data, a.Stat, a.Err = parseData(bytes.Clone(body)) // the frame may be large
				}
			}
			told()
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

// dial is go-zookeeper's dialer. It pauses between rounds in vain, and it bounds the
// handshake: that of TCP, of TLS and of ZooKeeper together. Once the context has ended it fails. The library would open another
// session after an expiry, and send there what is still queued; without a connection
// it cannot.
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
	go c.send() // until the connection is closed, by the next one if not before
	return c, nil
}

// use takes the connection that is used from now on; the one before is dead, and the
// library may not have closed it. When the context has ended meanwhile, Close may have
// seen the one before.
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

// failed records what went wrong. A session that is cut off waits, without a word; so what a
// person has to mend is logged, once, and with less weight what a person may have to mend.
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

// hear records that a server was heard. What a frame holds must have come soon after
// its beginning: the library sets a deadline.
func (t *Transport) hear() { t.heard.Store(int64(time.Since(t.began))) }

// see records a zxid that a server has told.
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
