package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"taskkeeper/internal/lab/zktest"
)

func TestMain(m *testing.M) { zktest.Main(m) }

func ask(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func well() error { return nil }

func site() Site {
	return Site{Metrics: prometheus.NewRegistry(), Healthy: well, Ready: well, Pprof: true}
}

func TestOnlyGETAndHEADAreAllowed(t *testing.T) {
	h := site().Handler()
	paths := []string{"/metrics", "/healthz", "/readyz", "/debug/pprof/", "/debug/pprof/symbol", "/none", "/"}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "get", "PROPFIND"} {
		for _, path := range paths {
			w := ask(h, method, path)
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow: %s", method, path, w.Code, w.Header().Get("Allow"))
			}
		}
	}
	for _, method := range []string{"GET", "HEAD"} {
		for _, path := range paths[:5] {
			if w := ask(h, method, path); w.Code != http.StatusOK || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s %s: %d, %v", method, path, w.Code, w.Header())
			}
		}
	}
}

func TestProbesAnswerWithTheCause(t *testing.T) {
	s := site()
	s.Healthy = func() error { return errors.New("the loop is stuck") }
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/healthz": {http.StatusServiceUnavailable, "the loop is stuck\n"},
		"/readyz":  {http.StatusOK, "ok\n"},
	} {
		w := ask(s.Handler(), "GET", path)
		if w.Code != want.status || w.Body.String() != want.text || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %q, %v", path, w.Code, w.Body, w.Header())
		}
	}
}

func TestProfilesAreServedOnlyWithPprof(t *testing.T) {
	s := site()
	s.Pprof = false
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/profile?seconds=1"} {
		if w := ask(s.Handler(), "GET", path); w.Code != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
	if w := ask(site().Handler(), "GET", "/debug/pprof/heap"); w.Code != http.StatusOK {
		t.Errorf("with --pprof: %d", w.Code)
	}
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"9180":             "127.0.0.1:9180",
		":9180":            "127.0.0.1:9180",
		"0":                "127.0.0.1:0",
		"0.0.0.0:9180":     "0.0.0.0:9180",
		"localhost:65535":  "localhost:65535",
		"[::1]:9180":       "[::1]:9180",
		"[::]:9180":        "[::]:9180",
		"host.example:80":  "host.example:80",
		"":                 "",
		"x":                "",
		"host":             "",
		"host:":            "",
		"host:http":        "",
		"65536":            "",
		"-1":               "",
		"+1":               "",
		"080":              "",
		" 9180":            "",
		"::1":              "",
		"::1:9180":         "",
		"[::1]":            "",
		"http://host:9180": "",
		"host:9180/x":      "",
	} {
		got, err := parseAddress(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	if _, err := parseAddress("\x1b[2J" + strings.Repeat("x", 1000)); err == nil || len(err.Error()) > 250 || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("a hostile one: %v", err)
	}
}

// A request that is under way does not keep the program from ending.
func TestServeEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- Serve(ctx, l, h, slog.New(slog.DiscardHandler)) }()
	asked := make(chan struct{})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		defer close(asked)
		if r, err := client.Get("http://" + l.Addr().String()); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	}()
	<-begun
	began := time.Now()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*closingWithin {
		t.Errorf("took %s", took)
	}
	<-asked
}

// serving serves a site until the test ends, and returns its address.
func serving(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- Serve(ctx, l, site().Handler(), slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// A client must not hold a connection open with a body that does not come.
func TestARequestWithABodyIsRefused(t *testing.T) {
	address := serving(t)
	for _, owed := range []string{"Content-Length: 1000", "Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n"+owed+"\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		answer, err := io.ReadAll(c) // until the server has closed
		if !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || !strings.HasSuffix(string(answer), "a request here has no body\n") || err != nil {
			t.Errorf("%s: %q, %v", owed, answer, err)
		}
		c.Close()
	}
}

// A name that resolves to this machine must not let a website read the page (DNS rebinding).
func TestOnlyNamesOfThisMachineAreServed(t *testing.T) {
	self, _ := os.Hostname()
	h := named(site().Handler())
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST": 200, "localhost.:80": 200, "localhost:9180": 200, "127.0.0.1:9180": 200, "[::1]:9180": 200, self + ":9180": 200,
		"evil.example": 421, "evil.example:9180": 421, "localhost.evil.example": 421, "": 421, "127.0.0.1.evil.example": 421,
	} {
		r := httptest.NewRequest("GET", "/healthz", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d %s, want %d", host, w.Code, w.Body, want)
		}
	}
}

// A client with a thousand connections may keep others out, but costs no more memory.
func TestConnectionsAreBounded(t *testing.T) {
	address := serving(t)
	ask := func(c net.Conn) bool {
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, _ := c.Read(make([]byte, 1000))
		return n > 0
	}
	var all []net.Conn
	for range mostConnections + 1 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all = append(all, c)
	}
	if first := all[0]; !ask(first) {
		t.Error("the first is not served")
	}
	if ask(all[mostConnections]) {
		t.Error("one too many is served")
	}
	all[1].Close()
	zktest.Eventually(t, "another one is not served", func() (bool, string) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return false, err.Error()
		}
		defer c.Close()
		return ask(c), ""
	})
}

func TestServeFailsWithTheAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Serve(t.Context(), l, site().Handler(), slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "serve HTTP at 127.0.0.1:") {
		t.Errorf("got %v", err)
	}
}
