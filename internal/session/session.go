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

// DefaultTimeout is the session timeout that is asked for: the least that a
// server with default settings grants (2 ticks of 2 s).
const DefaultTimeout = 4 * time.Second

// ErrNoChroot means that the chroot is not there, and was not to be created.
var ErrNoChroot = errors.New("there is no such chroot")

// Config says how to reach ZooKeeper.
type Config struct {
	Address  Address
	TLS      identity.Files
	Timeout  time.Duration // session timeout to ask for; default DefaultTimeout; servers clamp it
	GiveUp   time.Duration // how long a serving server may refuse the session; default 3 Timeout, from 15 s to 1 min
	Leave    time.Duration // how long a role may work on once it was told to end; default: not at all
	Role     access.Role   // that the program needs by the policy; default: none in particular
	NoCreate bool          // for who only reads: Open fails with ErrNoChroot where it would create the chroot
	Meter    Meter         // is told what is asked of ZooKeeper; default: nobody is
	Logger   *slog.Logger  // default: none

	again bool // a session before this one has ended
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
	ctx  context.Context // ends with the session; no connection is made after that
	over context.CancelCauseFunc

	wire     *zkwire.Transport
	conn     *zk.Conn
	events   <-chan zk.Event
	hub      hub
	policy   policy
	oneShot  atomic.Bool // the servers set no persistent watches
	reported atomic.Bool // the first handshake has been logged
	wrote    atomic.Bool // a Multi was sent

	mu      sync.Mutex    // guards the rest
	up      chan struct{} // closed while connected
	live    context.Context
	lapse   context.CancelFunc // ends live
	lapsing *time.Timer        // calls lapse, unless the connection is back before
	lostAt  time.Time          // zero before the first connection and while connected
	backAt  time.Time          // see Restored

	firstRefusal, lastRefusal time.Time // by a server that serves; see refused
}

// Open connects and returns once there is a session; the chroot is created
// when it is missing, unless Config.NoCreate is set. It fails when ctx ends before that, with the last thing
// that went wrong. The session outlives ctx: end it with Close.
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

// noticeAfter is how long a person looks at a terminal in peace.
const noticeAfter = 2 * time.Second

var errSilent = errors.New("no answer so far")

// begin waits for the session to be of use, and says so when that takes long.
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

// makeChroot creates the chroot, which no path of ours can name.
func (s *Session) makeChroot() error {
	if s.cfg.Address.Chroot == "" {
		return nil
	}
	err := s.makeDir(s.cfg.Address.Chroot)
	if errors.Is(err, zk.ErrNoAuth) {
		err = fmt.Errorf("%w: have it created by someone who may, or choose another chroot (--zk)", err)
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

// makeDir creates a znode and what is missing above it. It looks first: to
// create what is there costs a transaction, and may not even be allowed.
func (s *Session) makeDir(full string) error {
	exists, err := s.exists(full)
	if exists {
		return nil
	}
	path, ours := strings.CutPrefix(full, s.cfg.Address.Chroot)
	acl := zk.WorldACL(zk.PermAll) // of what is above the chroot
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

// EnsureDirs creates the given permanent znodes, and the chroot, where they
// are missing. It may be called at any time: someone may have removed them.
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

// Done is closed when the session is over; Err says why.
func (s *Session) Done() <-chan struct{} { return s.ctx.Done() }

// Err is nil while the session lasts, and then an ErrOver with its reason.
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

// Suspended tells whether the connection is lost, and since when.
func (s *Session) Suspended() (since time.Time, suspended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lostAt, !s.lostAt.IsZero()
}

// Restored tells when the servers were last found again after they had been out
// of reach, or had ended a session of this process before this one; the zero
// time if neither was ever so. What ends soon after that, elsewhere, may have
// ended for the same reason.
func (s *Session) Restored() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backAt
}

// Live returns a context that ends when no server has been heard for the
// session's timeout: by then the session may be over, without a word, and what
// it holds may already be someone else's. It also ends with the session. After
// a reconnect that finds the session alive there is a new context.
func (s *Session) Live() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

// LastErr is what last went wrong with the connection.
func (s *Session) LastErr() error { return s.wire.LastErr() }

// Close ends the session: its ephemeral znodes vanish at once if a server can
// be reached, else when the servers find it silent for its timeout. It returns
// within a second or two, also when ZooKeeper is away.
func (s *Session) Close() {
	s.over(errClosed)
	s.conn.Close()
	s.wire.Close()
	s.mu.Lock()
	if s.lapsing != nil {
		s.lapsing.Stop()
	}
	s.mu.Unlock()
	for range s.events { // the library's goroutines are gone when it is closed
	}
}

var errClosed = errors.New("closed")

// refused is called when a server that serves others has closed a handshake of
// this session. It ends a session that has met nothing else for GiveUp. Once is
// nothing: after an outage the first server that is back may lag behind, and
// refuse whoever has seen more than it has, for as long as it catches up.
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
