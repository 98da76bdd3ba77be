package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"taskkeeper/internal/printable"
)

// Site is all that is served.
type Site struct {
	Metrics prometheus.Gatherer
	Healthy func() error // nil: the process does its work
	Ready   func() error // nil: the process can be used
	Pprof   bool         // profiles are served as well
	Page    *Page        // nil: there is none
}

// Handler serves a site.
func (s Site) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	mux.Handle("/healthz", probe(s.Healthy))
	mux.Handle("/readyz", probe(s.Ready))
	if s.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	if s.Page != nil {
		mux.Handle("/", s.Page.Handler())
	}
	return readOnly(mux)
}

// readOnly refuses methods that may change something.
func readOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "nothing here can be changed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}

// probe answers people by a text, and programs by the status.
func probe(ask func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := ask(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
}

// Bounds of connections: no client can hold an idle one open for ever, or take all of them.
const (
	mostConnections = 1000
	headersWithin   = 10 * time.Second
	idleFor         = 2 * time.Minute
	closingWithin   = 500 * time.Millisecond
)

// bodiless refuses requests with a body, which may never come.
func bodiless(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(closingWithin))
			w.Header().Set("Connection", "close")
			http.Error(w, "a request here has no body", http.StatusBadRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// named refuses requests to other names than this machine's. A listener on the loopback address is
// only for users of this machine. But a website that such a user visits may point its own name at
// this address, and so read what is served (DNS rebinding).
func named(h http.Handler) http.Handler {
	self, _ := os.Hostname()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.TrimSuffix((&url.URL{Host: r.Host}).Hostname(), ".")
		if _, err := netip.ParseAddr(host); err != nil && !strings.EqualFold(host, "localhost") && !strings.EqualFold(host, self) {
			http.Error(w, fmt.Sprintf("only this machine is served here, as localhost or by its address, and not as %q: a proxy must ask for one of these", printable.Cut(host, 100)), http.StatusMisdirectedRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Serve serves until ctx ends or the listener fails.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	if at, ok := l.Addr().(*net.TCPAddr); ok && at.IP.IsLoopback() {
		h = named(h)
	}
	var connections atomic.Int64
	server := &http.Server{
		ConnState: func(c net.Conn, state http.ConnState) {
			switch {
			case state == http.StateClosed, state == http.StateHijacked:
				connections.Add(-1)
			case state == http.StateNew && connections.Add(1) > mostConnections:
				_ = c.Close()
			}
		},
		Handler: bodiless(h), ReadHeaderTimeout: headersWithin, IdleTimeout: idleFor, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingWithin)
		defer cancel()
		if server.Shutdown(late) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(l)
	if !stop() {
		<-closed
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve HTTP at %s: %w", l.Addr(), err)
}
