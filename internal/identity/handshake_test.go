package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// serve runs a server until the test ends, and returns its address.
func serve(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			do(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}

// echo speaks TLS, and sends back the first bytes that it reads.
func echo(cfg *tls.Config) func(net.Conn) {
	return func(raw net.Conn) {
		c := tls.Server(raw, cfg)
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		buf := make([]byte, 4)
		if _, err := io.ReadFull(c, buf); err == nil {
			_, _ = c.Write(buf)
		}
	}
}

// ask sends four bytes, and waits for the answer.
func ask(t *testing.T, f Files, server string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	raw, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Secure(ctx, raw, server)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "srvr"); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 4))
	return err
}

func TestAFailedHandshakeNamesItsCause(t *testing.T) {
	ca, foreign := newAuthority(t, "ca"), newAuthority(t, "foreign")
	us := ca.issue(request{name: "tk-worker"})
	hour := time.Now().Add(-time.Hour)
	of := func(f Files, change func(*tls.Config)) func(net.Conn) {
		cfg := server(t, f)
		change(cfg)
		return echo(cfg)
	}
	good := ca.issue(request{name: "server"})
	only := func(version uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }
	}
	expired := ca.issue(request{name: "tk-late", begin: hour.Add(-time.Hour), end: hour})
	untrusted := foreign.issue(request{name: "tk-mallory"})
	untrusted.CA = ca.file
	for _, tt := range []struct {
		name   string
		files  Files
		server func(net.Conn)
		want   string
	}{
		{"TLS 1.2", us, of(good, only(tls.VersionTLS12)), ""},
		{"TLS 1.3", us, of(good, only(tls.VersionTLS13)), ""},
		{"a server that wants no certificate", Files{CA: ca.file}, of(good, func(c *tls.Config) { c.ClientAuth = tls.NoClientCert }), ""},
		{"a server that speaks at once, and no TLS", us, func(c net.Conn) { _, _ = io.WriteString(c, "\x00\x00\x00\x25 hello") }, "it does not speak TLS: is that its secureClientPort?"},
		{"a server that closes", us, func(c net.Conn) { _, _ = c.Read(make([]byte, 1000)) }, "it closed the connection in the TLS handshake: is that its secureClientPort?"},
		{"a server that resets", us, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)); _ = c.(*net.TCPConn).SetLinger(0) }, "it closed the connection in the TLS handshake: is that its secureClientPort?"},
		{"a server of a foreign CA", us, of(foreign.issue(request{name: "server"}), only(tls.VersionTLS13)), "its certificate, CN=server, is not signed by a CA in --tls-ca " + ca.file},
		{"a server whose certificate has expired", us, of(ca.issue(request{name: "server", begin: hour.Add(-time.Hour), end: hour}), only(tls.VersionTLS13)), "in its certificate's chain CN=server expired at " + shown(hour) + ": renew it"},
		{"a server that wants a certificate, TLS 1.2", Files{CA: ca.file}, of(good, only(tls.VersionTLS12)), "it demands a certificate: give --tls-cert and --tls-key, or $ZK_TLS_CERT and $ZK_TLS_KEY ("},
		{"a server that wants a certificate, TLS 1.3", Files{CA: ca.file}, of(good, only(tls.VersionTLS13)), "it demands a certificate: give --tls-cert"},
		{"a certificate of a foreign CA, TLS 1.2", untrusted, of(good, only(tls.VersionTLS12)), "it refused the certificate in --tls-cert " + untrusted.Cert + ": does the server trust its CA? ("},
		{"a certificate of a foreign CA, TLS 1.3", untrusted, of(good, only(tls.VersionTLS13)), "it refused the certificate in --tls-cert " + untrusted.Cert + ": does the server trust its CA? ("},
		{"a certificate that has expired", expired, of(good, only(tls.VersionTLS13)), "it refused the certificate in --tls-cert " + expired.Cert + ", which expired at " + shown(hour) + ": renew it ("},
		{"no version in common", us, of(good, only(tls.VersionTLS11)), "TLS: "},
		{"a file that is gone", Files{CA: "/nowhere"}, of(good, only(tls.VersionTLS13)), "--tls-ca /nowhere: there is no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := serve(t, tt.server)
			err := ask(t, tt.files, at)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var (
				fault *Error
				doubt *Doubt
			)
			lasts := tt.name != "a server that closes" && tt.name != "a server that resets"
			if errors.As(err, &fault) != lasts || errors.As(err, &doubt) == lasts || !strings.HasPrefix(strings.TrimPrefix(err.Error(), at+": "), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	t.Run("another host", func(t *testing.T) {
		at := serve(t, of(good, only(tls.VersionTLS13)))
		raw, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		_, err = us.Secure(t.Context(), raw, "zk1:2181")
		const want = "zk1:2181: its certificate, CN=server, is for localhost, 127.0.0.1, not for zk1: connect by a name that it has, or have it issued for zk1 as well"
		if err == nil || err.Error() != want {
			t.Errorf("%v", err)
		}
	})
}

func TestAHandshakeEndsWithItsContext(t *testing.T) {
	us := newAuthority(t, "ca").issue(request{name: "tk-worker"})
	silent := make(chan struct{})
	at := serve(t, func(net.Conn) { <-silent })
	defer close(silent)
	raw, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = us.Secure(ctx, raw, at)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	if _, err := raw.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is open: %v", err)
	}
}

func TestTheNextHandshakeUsesRenewedFiles(t *testing.T) {
	ca := newAuthority(t, "ca")
	us := ca.issue(request{name: "tk-old"})
	names := make(chan string, 1)
	cfg := server(t, ca.issue(request{name: "server"}))
	at := serve(t, func(raw net.Conn) {
		c := tls.Server(raw, cfg)
		if c.Handshake() == nil {
			names <- c.ConnectionState().PeerCertificates[0].Subject.CommonName
			_, _ = io.CopyN(c, c, 4)
		}
	})
	for _, want := range []string{"tk-old", "tk-new"} {
		if err := ask(t, us, at); err != nil {
			t.Fatal(err)
		}
		if got := <-names; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if subject, err := us.Subject(); err != nil || subject != "CN="+want {
			t.Errorf("%s, %v", subject, err)
		}
		ca.renew(us, request{name: "tk-new"})
	}
}

// A frozen server reads nothing. Close must not wait for it: the next server is dialed only
// after Close.
func TestCloseDoesNotWaitForAFrozenServer(t *testing.T) {
	ca := newAuthority(t, "ca")
	cfg := server(t, ca.issue(request{name: "server"}))
	frozen := make(chan struct{})
	at := serve(t, func(raw net.Conn) {
		_ = tls.Server(raw, cfg).Handshake()
		<-frozen
	})
	defer close(frozen)
	raw, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.issue(request{name: "tk-worker"}).Secure(t.Context(), raw, at)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_ = c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		_, err = c.Write(make([]byte, 1<<20))
	}
	began := time.Now()
	c.Close()
	if took := time.Since(began); took > time.Second {
		t.Errorf("after %s", took)
	}
}
