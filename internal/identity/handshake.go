package identity

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
)

// Client returns the TLS configuration for the server of this name, as a person typed it: the
// server's certificate must be for this name. Client reads the files.
func (f Files) Client(serverName string) (*tls.Config, error) {
	m, err := f.read()
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{ServerName: serverName, RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	for _, ca := range m.authorities {
		cfg.RootCAs.AddCert(ca)
	}
	if m.own != nil {
		// Sent whatever CAs the server asks for: then its error says that it refuses this
		// certificate, not that there was none.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return m.own, nil }
	}
	return cfg, nil
}

// Secure makes the TLS handshake with a server, given as host:port, and returns the connection to
// use; without files it returns raw itself. ctx bounds the handshake only. On an error raw is
// closed; an [Error] lasts until a person mends its cause, a [Doubt] may last so.
func (f Files) Secure(ctx context.Context, raw net.Conn, server string) (net.Conn, error) {
	if f.IsZero() {
		return raw, nil
	}
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		host = server
	}
	cfg, err := f.Client(host)
	if err != nil {
		raw.Close()
		return nil, &Error{err}
	}
	c := &conn{raw: raw, files: f, server: server, host: host}
	answer := cfg.GetClientCertificate
	cfg.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c.asked = true
		if answer == nil {
			return new(tls.Certificate), nil // none
		}
		own, err := answer(r)
		c.own = own.Leaf
		return own, err
	}
	c.Conn = tls.Client(raw, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, c.explain(cmp.Or(ctx.Err(), err), true)
	}
	return c, nil
}

// conn is a TLS connection that explains the refusals of a server.
type conn struct {
	*tls.Conn
	raw          net.Conn
	files        Files
	server, host string

	// Set in the handshake.
	asked bool              // the server asked for a certificate
	own   *x509.Certificate // the certificate that it got; nil: none
}

// Read explains the error when the server refuses the certificate: with TLS 1.3 the handshake is
// over by then.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		err = c.explain(err, false)
	}
	return n, err
}

// Close closes the connection at once. The Close of tls.Conn first sends an alert, and waits for
// up to 5 s if the server reads nothing. ZooKeeper has a message of its own for the end of a
// session.
func (c *conn) Close() error { return c.raw.Close() }
