package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/identity"
	"taskkeeper/internal/metrics"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/session"
)

// Endpoint serves a program's HTTP, if --http is given: the flags, the registry of metrics, and
// the listener. The zero value is ready.
type Endpoint struct {
	address string // "" serves nothing
	pprof   bool
	page    identity.Files // the certificate and the key with which the page reads, if it has its own

	registry *prometheus.Registry // nil before Open, and if nothing is served
	listener net.Listener
	current  atomic.Pointer[session.Session]
}

// AddTo adds the flags to a program's command.
func (e *Endpoint) AddTo(cmd *cobra.Command) {
	cli.Var(cmd.Flags(), &e.address, "http", "",
		"Serve HTTP at this `address`, PORT or HOST:PORT: /metrics for Prometheus, /healthz and /readyz, and on a master a live page for people. Without a host only this machine can connect. Whoever can connect may read all, and can change nothing.",
		parseAddress)
	cmd.Flags().BoolVar(&e.pprof, "pprof", false, "Also serve profiles of this process, below /debug/pprof of --http.")
}

// AddPageTo adds the flags of a program that has a page.
func (e *Endpoint) AddPageTo(cmd *cobra.Command) {
	cmd.Flags().StringVar(&e.page.Cert, "page-cert", "",
		"The page reads with the certificate in this PEM `file`, such as a viewer's, and shows what that certificate may read. Without this flag the page reads with the certificate of this process, and shows no payloads under a policy.")
	cmd.Flags().StringVar(&e.page.Key, "page-key", "", "The key of --page-cert, in a PEM `file` that no other user may read.")
}

// Page returns the page of a master with sessions of cfg.
func (e *Endpoint) Page(cfg session.Config, who Identity, leader Leader) (*Page, error) {
	p := NewPage(cfg, who, leader)
	if e.page.IsZero() {
		return p, nil
	}
	if e.page.Cert == "" || e.page.Key == "" {
		return nil, cli.WrongUse("--page-cert and --page-key belong together: give both")
	}
	if cfg.TLS.CA == "" {
		return nil, cli.WrongUse("--page-cert needs TLS: give --tls-ca, or $%s", identity.CAVariable)
	}
	p.own = true
	p.cfg.TLS.Cert, p.cfg.TLS.Key = e.page.Cert, e.page.Key
	p.cfg.TLS = p.cfg.TLS.Named("", "--page-cert", "--page-key")
	return p, p.cfg.TLS.Check()
}

// parseAddress reads the address of --http.
func parseAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil && !strings.Contains(s, ":") {
		port, err = s, nil
	}
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || strconv.FormatUint(n, 10) != port {
		return "", fmt.Errorf("must be PORT or HOST:PORT, such as 9180 or 0.0.0.0:9180, not %q", printable.Cut(s, 100))
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// Open begins to listen, if --http is given. It returns the registry of metrics; nil if there is
// nothing to serve.
func (e *Endpoint) Open() (prometheus.Registerer, error) {
	switch {
	case e.address == "" && e.pprof:
		return nil, cli.WrongUse("--pprof needs --http, which says where to serve")
	case e.address == "" && !e.page.IsZero():
		return nil, cli.WrongUse("--page-cert and --page-key need --http, which says where to serve")
	case e.address == "":
		return nil, nil
	}
	var err error
	if e.listener, err = net.Listen("tcp", e.address); err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("--http %s: %w", e.address, err)
	}
	e.registry = prometheus.NewRegistry()
	e.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics.Build(e.registry, cli.Version())
	return e.registry, nil
}

// Address is the address for others, host:port; "" if nothing is served.
func (e *Endpoint) Address() string {
	if e.listener == nil {
		return ""
	}
	at := e.listener.Addr().(*net.TCPAddr)
	host := at.IP.String()
	if at.IP.IsUnspecified() {
		host, _ = os.Hostname()
	}
	return net.JoinHostPort(host, strconv.Itoa(at.Port))
}

// Within is the role, and keeps its current session for Serve.
func (e *Endpoint) Within(role session.Role) session.Role {
	return func(ctx context.Context, s *session.Session) error {
		e.current.Store(s)
		return role(ctx, s)
	}
}

// Serve serves a site until stop is called, if there is anything to serve. site.Ready is asked
// only while there is a connection; Serve sets Metrics and Pprof.
func (e *Endpoint) Serve(ctx context.Context, log *slog.Logger, site Site) (stop func()) {
	if e.registry == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ready := site.Ready
	site.Metrics, site.Pprof = e.registry, e.pprof
	site.Ready = func() error {
		if err := e.connected(); err != nil {
			return err
		}
		return ready()
	}
	log.Info("serving HTTP", "address", "http://"+e.listener.Addr().String()+"/")
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := Serve(ctx, e.listener, site.Handler(), log); err != nil {
			log.Error("HTTP is no longer served", "err", err)
		}
	})
	if site.Page != nil {
		serving.Go(func() { site.Page.Run(ctx, log) })
	}
	return func() { cancel(); serving.Wait() }
}

// connected fails while there is no session with a connection.
func (e *Endpoint) connected() error {
	s := e.current.Load()
	if s == nil || s.Err() != nil {
		return errors.New("no session with ZooKeeper")
	}
	if since, suspended := s.Suspended(); suspended {
		return fmt.Errorf("no connection to ZooKeeper for %s", time.Since(since).Round(time.Millisecond))
	}
	return nil
}
