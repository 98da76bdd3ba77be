package web

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/session"
)

// Leader answers what a master knows, while it leads.
type Leader interface {
	Leads() bool
	View(ctx context.Context) (sched.View, error)
	Totals(ctx context.Context) (sched.Totals, error)
	Select(ctx context.Context, q sched.Query) (sched.Selection, error)
}

// Page is the page for people. It has a session of its own, so that no reader delays the master.
type Page struct {
	leader Leader
	cfg    session.Config
	own    bool // it reads with a certificate of its own, and shows what that certificate may read
	hub    *hub
	tree   *hub        // its readers have the tree open
	who    string      // this master, "host:pid"
	host   string      // its machine's name
	http   http.Client // to the leader's page

	session   atomic.Pointer[session.Session] // nil: there is none
	selecting chan struct{}                   // holds a token for selection after each selection of tasks
	looking   chan struct{}                   // holds a token for each look at a task
	finding   chan struct{}                   // holds a token during findLeader

	mu      sync.Mutex // guards the rest
	ballot  ballot
	led     candidate // the last candidate that led
	hearing hearing
	view    view      // what was last known of tasks and workers
	viewed  time.Time // when that was
	rated   int64     // the Time of the newest rate
	lost    []lost    // workers that are gone, for lostFor

	versions map[process]string // of the workers; replaced as a whole
}

//go:embed static
var static embed.FS

// Identity is the part "who": the program that serves the page.
type Identity struct {
	Program string   `json:"program"`
	Who     string   `json:"who"` // "host:pid"
	Version string   `json:"version"`
	Servers []string `json:"servers"`
	Chroot  string   `json:"chroot"`
}

// NewPage returns the page of a master with sessions of cfg.
func NewPage(cfg session.Config, who Identity, leader Leader) *Page {
	p := &Page{leader: leader, cfg: cfg, who: who.Who, hub: newHub(), tree: newHub(), looking: make(chan struct{}, mostLooks), selecting: make(chan struct{}, 1), finding: make(chan struct{}, 1)}
	p.host, _ = os.Hostname()
	p.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.http.Transport = &http.Transport{ResponseHeaderTimeout: time.Second, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}
	who.Servers, who.Chroot = cfg.Address.Servers, cfg.Address.Chroot
	p.hub.set("who", who)
	return p
}

// Records returns a logger that logs to log, and also shows its lines on the page.
func (p *Page) Records(log *slog.Logger) *slog.Logger {
	return slog.New(&recorder{Handler: log.Handler(), hub: p.hub, onRecord: p.keepLost})
}

// Run reads and shows until ctx ends.
func (p *Page) Run(ctx context.Context, log *slog.Logger) {
	cfg := p.cfg
	cfg.NoCreate, cfg.Meter, cfg.Role, cfg.Leave = true, nil, "", 0
	cfg.Logger = slog.New(slog.DiscardHandler) // the master's session logs the same
	if p.own {
		cfg.Logger = log.With("of", "page")
	}
	var all sync.WaitGroup
	all.Go(func() { p.sample(ctx) })
	all.Go(func() { p.askServers(ctx) })
	all.Go(func() {
		for ctx.Err() == nil { // the chroot or a right may be missing
			if err := session.Run(ctx, cfg, math.MaxInt64, p.read); err != nil {
				p.unknown(err)
			}
			wait(ctx, time.Second)
		}
	})
	all.Wait()
}

// read shows what a session can read.
func (p *Page) read(ctx context.Context, s *session.Session) error {
	p.session.Store(s)
	defer p.session.Store(nil)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.follow(ctx, s) })
	g.Go(func() error { return p.relay(ctx, s) })
	g.Go(func() error { return p.followVersions(ctx, s) })
	g.Go(func() error { p.followTree(ctx, s); return nil })
	return g.Wait()
}

var (
	errNoSession    = errors.New("there is no session with ZooKeeper")
	errNoConnection = errors.New("there is no connection to ZooKeeper")
)

// connected returns the page's session, if it seems to have a connection: else a reader of the
// page would have to wait.
func (p *Page) connected() (*session.Session, error) {
	s := p.session.Load()
	if s == nil {
		return nil, errNoSession
	}
	if _, suspended := s.Suspended(); suspended {
		return nil, errNoConnection
	}
	return s, nil
}

// hidesPayloads reports whether payloads are not shown. Under a policy, or an unknown one, the
// master's certificate may read payloads, but the readers of the page may have no such right.
// The only error is that of a session that is over.
func (p *Page) hidesPayloads(s *session.Session) (bool, error) {
	if p.own {
		return false, nil
	}
	policy, err := s.Policy()
	if errors.Is(err, session.ErrOver) {
		return true, err
	}
	return err != nil || !policy.IsZero(), nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// Handler serves the page. All its addresses are relative: the page may be behind a prefix.
func (p *Page) Handler() http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // it is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("/events", p.hub)
	mux.Handle("/tree", p.tree)
	mux.HandleFunc("/task", p.serveTask)
	mux.HandleFunc("/tasks", p.serveTable)
	mux.Handle("/", http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		if h.Get("Cache-Control") == "" {
			h.Set("Cache-Control", "no-cache")
		}
		mux.ServeHTTP(w, r)
	})
}
