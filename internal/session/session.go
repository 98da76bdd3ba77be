package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/identity"
	"taskkeeper/internal/zkwire"
)

// DefaultTimeout is the session timeout that a session asks for: the least that a server
// with default settings grants (2 ticks of 2 s).
const DefaultTimeout = 4 * time.Second

// ErrNoChroot means that the chroot is missing, and Config.NoCreate is set.
var ErrNoChroot = errors.New("there is no such chroot")

// Config says how to reach ZooKeeper.
type Config struct {
	Address  Address
	TLS      identity.Files
	Timeout  time.Duration // session timeout to ask for; default DefaultTimeout; servers clamp it
	GiveUp   time.Duration // how long a serving server may refuse the session; default 3 Timeout, from 15 s to 1 min
	Leave    time.Duration // how long a role may still work after the end of Run's ctx; default 0
	Role     access.Role   // the role that the policy must give the program; default: none
	NoCreate bool          // for programs that only read: Open fails with ErrNoChroot if the chroot is missing
	Meter    Meter         // counts requests; default: nothing is counted
	Logger   *slog.Logger  // default: nothing is logged

	again bool // an earlier session of this Run has ended
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.GiveUp <= 0 {
		c.GiveUp = min(max(3*c.Timeout, 15*time.Second), time.Minute)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	return c
}

// Session is one ZooKeeper session. All methods may be called from any
// goroutine.
type Session struct {
	// Fixed once open.
	cfg  Config
	who  string // the subject of the certificate; "" without one
	log  *slog.Logger
	ctx  context.Context // ends with the session; after that no connection is made
	over context.CancelCauseFunc

	wire     *zkwire.Transport
	conn     *zk.Conn
	events   <-chan zk.Event
	hub      hub
	policy   policy
	oneShot  atomic.Bool // the servers know no persistent watches
	reported atomic.Bool // the first handshake has been logged
	wrote    atomic.Bool // a Multi was sent

	mu      sync.Mutex    // guards the rest
	up      chan struct{} // closed while connected
	live    context.Context
	lapse   context.CancelFunc // ends live
	lapsing *time.Timer        // calls lapse, unless a reconnect stops it
	lostAt  time.Time          // zero before the first connection and while connected
	backAt  time.Time          // see Restored

	firstRefusal, lastRefusal time.Time // by a server that serves; see refused
}

// Open connects, and returns when there is a session. It creates the chroot if that is
// missing, unless Config.NoCreate is set. When ctx ends first, it fails with the last error
// of the connection. The session outlives ctx: end it with Close.
func Open(ctx context.Context, cfg Config) (*Session, error) {
	cfg = cfg.withDefaults()
	who, err := cfg.TLS.Subject()
	if err != nil {
		return nil, err
	}
	s := &Session{
		cfg: cfg,
		who: who,
		log: cfg.Logger,
		hub: hub{byKey: make(map[string]*Hints)},
		up:  make(chan struct{}),
	}
	s.ctx, s.over = context.WithCancelCause(context.Background())
	s.live, s.lapse = context.WithCancel(s.ctx)
	s.wire = zkwire.New(s.ctx, zkwire.Config{Timeout: cfg.Timeout, TLS: cfg.TLS, Logger: cfg.Logger, Refused: s.refused})
	conn, events, err := s.wire.Connect(cfg.Address.Servers, s.onEvent)
	if err != nil {
		s.over(errClosed)
		return nil, fmt.Errorf("connect to %q: %w", cfg.Address, err)
	}
	s.conn, s.events = conn, events

	if err := s.begin(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// noticeAfter is when begin logs that it waits. A shorter wait needs no explanation.
const noticeAfter = 2 * time.Second

var errSilent = errors.New("no answer so far")

// begin waits until the session can be used. It logs that when it takes long.
func (s *Session) begin(ctx context.Context) error {
	begun := make(chan error, 1)
	go func() {
		err := s.await()
		switch {
		case err != nil:
		case s.cfg.NoCreate:
			err = s.findChroot()
		default:
			err = s.makeChroot()
		}
		if err == nil {
			_, err = s.currentRules()
		}
		begun <- err
	}()
	servers := strings.Join(s.cfg.Address.Servers, ",")
	notice := time.NewTimer(noticeAfter)
	defer notice.Stop()
	for {
		select {
		case err := <-begun:
			return err
		case <-notice.C:
			s.log.Warn("waiting for ZooKeeper", "servers", servers, "err", cmp.Or(s.LastErr(), errSilent))
		case <-ctx.Done():
			err := cmp.Or(s.LastErr(), ctx.Err())
			s.Close()
			<-begun
			return fmt.Errorf("no ZooKeeper at %s: %w", servers, err)
		}
	}
}

// makeChroot creates the chroot: all other paths are relative to it.
func (s *Session) makeChroot() error {
	if s.cfg.Address.Chroot == "" {
		return nil
	}
	err := s.makeDir(s.cfg.Address.Chroot)
	if errors.Is(err, zk.ErrNoAuth) {
		err = fmt.Errorf("%w: have someone create it who has the right, or choose another chroot (--zk)", err)
	}
	return err
}

// findChroot fails when the chroot is missing.
func (s *Session) findChroot() error {
	chroot := s.cfg.Address.Chroot
	if chroot == "" {
		return nil
	}
	exists, err := s.exists(chroot)
	if err == nil && !exists {
		err = ErrNoChroot
	}
	if err != nil {
		err = fmt.Errorf("find %s: %w", chroot, err)
	}
	return err
}

func (s *Session) exists(full string) (exists bool, err error) {
	err = s.read("exists", func() (err error) {
		exists, _, err = s.conn.Exists(full)
		return err
	})
	return exists && err == nil, err
}

// makeDir creates a znode, and those above it that are missing. First it looks whether the
// znode exists: to create a znode again costs a transaction, and may be forbidden.
func (s *Session) makeDir(full string) error {
	exists, err := s.exists(full)
	if exists {
		return nil
	}
	path, ours := strings.CutPrefix(full, s.cfg.Address.Chroot)
	acl := zk.WorldACL(zk.PermAll) // for znodes above the chroot
	if err == nil && ours {
		var r rules
		r, err = s.currentRules()
		err = cmp.Or(err, r.err)
		acl = s.acl(r, path)
	}
	create := func() error {
		_, err := s.conn.Create(full, nil, 0, acl)
		return err
	}
	if err == nil {
		err = s.read("create", create)
	}
	if above := full[:strings.LastIndexByte(full, '/')]; above != "" && errors.Is(err, zk.ErrNoNode) {
		if err := s.makeDir(above); err != nil {
			return err
		}
		err = s.read("create", create)
	}
	switch {
	case err == nil || errors.Is(err, zk.ErrNodeExists):
		return nil
	case err == noAuth{} && ours && path != "":
		err = s.denied(parent(path), zk.PermCreate)
	}
	return fmt.Errorf("create znode %s: %w", full, err)
}

// EnsureDirs creates the given permanent znodes, and the chroot, if they are missing. It
// may be called at any time: someone may have removed them.
func (s *Session) EnsureDirs(paths ...string) error {
	if err := s.makeChroot(); err != nil {
		return err
	}
	for _, p := range paths {
		if err := s.makeDir(s.full(p)); err != nil {
			return err
		}
	}
	return nil
}

// ID is the session's id, as in a znode's ephemeralOwner.
func (s *Session) ID() int64 { return s.wire.SessionID() }

// Timeout is the session timeout that the server granted.
func (s *Session) Timeout() time.Duration { return s.wire.Timeout() }

// Done is closed when the session is over; Err returns the reason.
func (s *Session) Done() <-chan struct{} { return s.ctx.Done() }

// Err is nil while the session lasts; then it is an ErrOver with the reason.
func (s *Session) Err() error {
	if s.ctx.Err() == nil {
		return nil
	}
	return s.overErr()
}

func (s *Session) overErr() error { return fmt.Errorf("%w: %w", ErrOver, context.Cause(s.ctx)) }

// Within returns a context that ends with parent or with the session.
func (s *Session) Within(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	stop := context.AfterFunc(s.ctx, func() { cancel(s.overErr()) })
	return ctx, func() { stop(); cancel(context.Canceled) }
}

// Suspended reports whether the connection is lost, and since when.
func (s *Session) Suspended() (since time.Time, suspended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lostAt, !s.lostAt.IsZero()
}

// Restored returns when this session last connected after an outage: after it had lost its
// connection, or after an earlier session of this process had ended. It is the zero time if
// there was no outage. Sessions of other processes that end soon after it may have ended
// because of the same outage.
func (s *Session) Restored() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backAt
}

// Live returns a context that ends when no server has answered for the session's timeout.
// By then the session may have expired without a message, and its tasks may already belong
// to another worker. The context also ends with the session. When a reconnect finds the
// session alive, Live returns a new context.
func (s *Session) Live() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

// LastErr is the last error of the connection.
func (s *Session) LastErr() error { return s.wire.LastErr() }

// Close ends the session. If a server can be reached, the session's ephemeral znodes vanish
// at once; if not, after the session timeout. Close returns within 2 s, even when ZooKeeper
// is away.
func (s *Session) Close() {
	s.over(errClosed)
	s.conn.Close()
	s.wire.Close()
	s.mu.Lock()
	if s.lapsing != nil {
		s.lapsing.Stop()
	}
	s.mu.Unlock()
	for range s.events { // closed when the library's goroutines have ended
	}
}

var errClosed = errors.New("closed")

// refused is called when a server that serves others has closed a handshake of this
// session. It ends the session when such refusals were all that the session met for GiveUp.
// One refusal is not enough: after an outage the first server may lag behind, and refuse
// clients that have seen later transactions until it has caught up.
func (s *Session) refused(addr string) {
	s.mu.Lock()
	now := time.Now()
	if now.Sub(s.lastRefusal) > s.cfg.GiveUp {
		s.firstRefusal = now
	}
	s.lastRefusal = now
	since := now.Sub(s.firstRefusal)
	s.mu.Unlock()
	if since > s.cfg.GiveUp {
		s.over(fmt.Errorf("%s serves, but has refused this session for %s: were its data removed?", addr, since.Round(time.Second)))
	}
}
