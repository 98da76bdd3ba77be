package session

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/lab/zktest"
)

func as(files identity.Files) func(*Config) { return func(c *Config) { c.TLS = files } }

func issue(t *testing.T, ca *zktest.CA, r zktest.Request) identity.Files {
	t.Helper()
	f, err := ca.Issue(r)
	must(t, err)
	return f
}

func newCA(t *testing.T) *zktest.CA {
	t.Helper()
	ca, err := zktest.NewCA(t.TempDir())
	must(t, err)
	return ca
}

// onlyTLS13 are flags of a server that speaks nothing else.
var onlyTLS13 = []string{"-Dzookeeper.ssl.protocol=TLSv1.3", "-Dzookeeper.ssl.enabledProtocols=TLSv1.3", "-Dzookeeper.ssl.ciphersuites=TLS_AES_128_GCM_SHA256"}

func TestTLS(t *testing.T) {
	t.Parallel()
	for version, flags := range map[string][]string{"1.2": nil, "1.3": onlyTLS13} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			server := zktest.NewServer(t, zktest.Options{TLS: true, Flags: flags})
			ca, worker := server.CA(), server.Identity("worker")
			t.Run("is_of_that_version", func(t *testing.T) {
				raw, err := net.Dial("tcp", server.Addr())
				must(t, err)
				c, err := worker.Secure(t.Context(), raw, server.Addr())
				must(t, err)
				defer c.Close()
				state := c.(interface{ ConnectionState() tls.ConnectionState }).ConnectionState()
				if got := tls.VersionName(state.Version); got != "TLS "+version {
					t.Error(got)
				}
			})
			t.Run("goes_on_over_reconnects_with_a_renewed_certificate", func(t *testing.T) {
				s := newSession(t, server.Addr(), as(issue(t, ca, zktest.Request{CN: "tk-renewed"})), patient)
				id := s.ID()
				for range 3 {
					issue(t, ca, zktest.Request{CN: "tk-renewed"})
					cut(s)
					proven(t, s, id)
				}
			})
			t.Run("carries_large_requests_and_answers_for_many_callers", func(t *testing.T) {
				s := newSession(t, server.Addr(), as(worker), patient)
				text := strings.Repeat("x", 300_000)
				write(t, s, Create("/large", []byte(text)))
				const callers = 16
				errs := make(chan error, callers)
				for range callers {
					go func() {
						data, _, err := s.Get("/large")
						if err == nil && string(data) != text {
							err = fmt.Errorf("%d bytes", len(data))
						}
						errs <- err
					}()
				}
				for range callers {
					if err := <-errs; err != nil {
						t.Error(err)
					}
				}
			})
			strange := issue(t, newCA(t), zktest.Request{CN: "tk-mallory"})
			expired := issue(t, ca, zktest.Request{CN: "tk-late", NotAfter: time.Now().Add(-time.Hour)})
			for _, tt := range []struct {
				name  string
				files identity.Files
				want  string
			}{
				{"is_not_spoken_by_a_plain_client", identity.Files{}, "it speaks TLS: is that its secureClientPort? Give --tls-ca or $ZK_TLS_CA"},
				{"demands_a_certificate", identity.Files{CA: worker.CA}, "it demands a certificate: give --tls-cert and --tls-key"},
				{"refuses_a_foreign_certificate", identity.Files{CA: worker.CA, Cert: strange.Cert, Key: strange.Key},
					"it refused the certificate in --tls-cert " + strange.Cert + ": does the server trust its CA?"},
				{"refuses_an_expired_certificate", expired, "it refused the certificate in --tls-cert " + expired.Cert + ", which expired at "},
				{"refuses_a_server_of_a_foreign_CA", identity.Files{CA: strange.CA}, "its certificate, CN=tk-server, is not signed by a CA in --tls-ca " + strange.CA},
			} {
				t.Run(tt.name, func(t *testing.T) { cannotOpen(t, server.Addr(), tt.files, tt.want) })
			}
		})
	}
	t.Run("is_not_spoken_by_a_plain_server", func(t *testing.T) {
		t.Parallel()
		worker := issue(t, newCA(t), zktest.Request{CN: "tk-worker"})
		cannotOpen(t, zktest.Shared(t).Addr(), worker, "it closed the connection in the TLS handshake: is that its secureClientPort?")
	})
}

// cannotOpen waits until it is known why a session cannot be opened.
func cannotOpen(t *testing.T, addr string, files identity.Files, want string) {
	t.Helper()
	cfg := config(t, addr)
	cfg.TLS = files
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := Open(ctx, cfg)
	if err == nil || !strings.Contains(err.Error(), addr+": "+want) {
		t.Errorf("%v; want %s", err, want)
	}
}

// Each server has its share of the time, for TCP, TLS and ZooKeeper together.
func TestServersFrozenInTheirTLSHandshakeCostNoSession(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{TLS: true})
	before := listen(t, silent)
	theirs := issue(t, server.CA(), zktest.Request{CN: "tk-frozen", Hosts: []string{"127.0.0.1"}})
	pair, err := tls.LoadX509KeyPair(theirs.Cert, theirs.Key)
	must(t, err)
	after := listen(t, func(c net.Conn) { silent(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}})) })

	s := newSession(t, server.Addr()+","+before+","+after, as(server.Identity("worker")), func(c *Config) { c.Timeout = 8 * time.Second })
	id := s.ID()
	for range 2 {
		cut(s)
		zktest.Eventually(t, "loss", suspended(s))
		proven(t, s, id)
	}
}

// A connection outlasts the certificate that it was made with. The next one is not made, and
// the session waits for a renewed certificate.
func TestACertificateThatExpiresIsToldAndCostsNoSession(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{TLS: true})
	cfg := config(t, server.Addr())
	cfg.Timeout = 8 * time.Second
	cfg.TLS = issue(t, server.CA(), zktest.Request{CN: "tk-brief", NotAfter: time.Now().Add(5 * time.Second)})
	log := new(record)
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	sessions := make(chan *Session, 1)
	run(t, cfg, idle(sessions))
	s := <-sessions
	id := s.ID()
	log.waitFor(t, `level=ERROR msg="the certificate has expired: ZooKeeper takes no new connection until it is renewed" file=`+cfg.TLS.Cert)
	proven(t, s, id)
	cut(s)
	log.waitFor(t, `level=ERROR msg="no connection to ZooKeeper" err="`+server.Addr()+": it refused the certificate in --tls-cert "+cfg.TLS.Cert+", which expired at ")
	issue(t, server.CA(), zktest.Request{CN: "tk-brief"})
	proven(t, s, id)
	if n := strings.Count(log.String(), "no connection to ZooKeeper"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log)
	}
}

// So it is with a server that is just starting: the next handshake may be answered.
func TestAHandshakeThatEndsWithoutAWordIsNoErrorOfTheLog(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{TLS: true})
	starting := listen(t, func(c net.Conn) { c.Close() })
	log := new(record)
	s := newSession(t, server.Addr()+","+starting, as(server.Identity("worker")), func(c *Config) {
		c.Logger, c.Timeout = slog.New(slog.NewTextHandler(log, nil)), 20*time.Second // a handshake takes a second where others test
	})
	id := s.ID()
	const says = `level=WARN msg="no connection to ZooKeeper" err="`
	zktest.Eventually(t, says, func() (bool, string) {
		cut(s)
		zktest.Eventually(t, "loss", suspended(s))
		proven(t, s, id)
		text := log.String()
		return strings.Contains(text, says+starting+": it closed the connection in the TLS handshake: is that its secureClientPort?"), text
	})
	if text := log.String(); strings.Contains(text, "level=ERROR") {
		t.Error(text)
	}
}

// record keeps a log.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *record) waitFor(t *testing.T, text string) {
	t.Helper()
	zktest.Eventually(t, text, func() (bool, string) {
		all := r.String()
		return strings.Contains(all, text), all
	})
}

func TestRunChecksTheTLSFilesFirst(t *testing.T) {
	t.Parallel()
	cfg := config(t, "127.0.0.1:1")
	cfg.TLS = identity.Files{CA: "/nowhere"}
	err := Run(t.Context(), cfg, time.Hour, idle(nil))
	if err == nil || err.Error() != "--tls-ca /nowhere: there is no such file" {
		t.Error(err)
	}
}
