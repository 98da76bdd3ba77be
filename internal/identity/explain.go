package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// Error is an error of TLS that lasts until a person mends a file, a certificate or a port.
type Error struct{ error }

func (e *Error) Unwrap() error { return e.error }

// Doubt is a handshake that the server ended without an alert: the port may not speak TLS, which a
// person must mend, or the server is starting, and the next handshake succeeds.
type Doubt struct{ error }

func (d *Doubt) Unwrap() error { return d.error }

// explain says what an error of the TLS layer means, and what to do: an [Error] or a [Doubt]. To
// another error it adds only that a handshake had no answer. The cause stays wrapped.
func (c *conn) explain(err error, handshake bool) error {
	var (
		record tls.RecordHeaderError
		verify *tls.CertificateVerificationError
		remote *net.OpError
	)
	text := ""
	closed := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	switch {
	case errors.As(err, &record) && handshake:
		text = "it does not speak TLS: is that its secureClientPort?"
	case errors.As(err, &verify):
		text = c.distrusted(verify.UnverifiedCertificates[0], verify.Err)
	case errors.As(err, &remote) && remote.Op == "remote error": // a TLS alert
		text = c.refused(remote.Err.Error())
	case handshake && closed && c.asked:
		text = c.refused("it closed the connection")
	case handshake && closed:
		return &Doubt{&explained{c.server + ": it closed the connection in the TLS handshake: is that its secureClientPort?", err}}
	case handshake:
		return fmt.Errorf("%s: no answer to the TLS handshake: %w", c.server, err)
	default:
		return err
	}
	return &Error{&explained{fmt.Sprintf("%s: %s", c.server, text), err}}
}

type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// refused says why the server may have ended the handshake; why is all that the server said.
func (c *conn) refused(why string) string {
	f := c.files
	switch now := time.Now(); {
	case !c.asked:
		return "TLS: " + why
	case c.own == nil:
		return fmt.Sprintf("it demands a certificate: give --tls-cert and --tls-key, or $%s and $%s (%s)", CertVariable, KeyVariable, why)
	case now.After(c.own.NotAfter):
		return fmt.Sprintf("it refused the certificate in %s %s, which expired at %s: renew it (%s)", f.certName(), f.Cert, shown(c.own.NotAfter), why)
	case now.Before(c.own.NotBefore):
		return fmt.Sprintf("it refused the certificate in %s %s, which is not valid before %s (%s)", f.certName(), f.Cert, shown(c.own.NotBefore), why)
	}
	return fmt.Sprintf("it refused the certificate in %s %s: does the server trust its CA? (%s)", f.certName(), f.Cert, why)
}

// distrusted says why the server's certificate is not trusted.
func (c *conn) distrusted(theirs *x509.Certificate, err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("its certificate, %s, is not signed by a CA in %s %s", subject(theirs), c.files.caName(), c.files.CA)
	case errors.As(err, &name):
		return fmt.Sprintf("its certificate, %s, is for %s, not for %s: connect by a name that it has, or have it issued for %[3]s as well",
			subject(theirs), hosts(theirs), c.host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		if c := invalid.Cert; time.Now().Before(c.NotBefore) {
			return fmt.Sprintf("in its certificate's chain %s is not valid before %s: is the clock right?", subject(c), shown(c.NotBefore))
		}
		return fmt.Sprintf("in its certificate's chain %s expired at %s: renew it", subject(invalid.Cert), shown(invalid.Cert.NotAfter))
	}
	return fmt.Sprintf("its certificate, %s, is not trusted: %s", subject(theirs), err)
}

// hosts lists the first few names that a server's certificate is for.
func hosts(c *x509.Certificate) string {
	all := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	const most = 5
	switch {
	case len(all) == 0:
		return "no host at all"
	case len(all) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}
