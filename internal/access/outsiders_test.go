package access_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/zkwire"
)

// limit is how long a server may take to answer. Only a failure takes so long.
const limit = 20 * time.Second

// ask sends a server something and returns what it says until it closes the connection.
func (m *matrix) ask(who identity.Files, what string) (string, error) {
	conn, err := zktest.Dial(m.server.Addr(), who, limit)
	if err != nil {
		return "", errTLS{err}
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	if _, err := io.WriteString(conn, what); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	if err == nil && len(answer) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return string(answer), err
}

// errTLS is an error of the TLS handshake.
type errTLS struct{ error }

// connect is a request for a session: its length, and zeros.
var connect = "\x00\x00\x00\x2c" + strings.Repeat("\x00", 0x2c)

// outsiders writes who cannot connect.
func (m *matrix) outsiders() {
	m.text.WriteString(`

4. Who is not let in, and when that shows. For them there is no call at all.

`)
	foreign, err := zktest.NewCA(m.t.TempDir())
	m.must("make a CA", err)
	issue := func(ca *zktest.CA, r zktest.Request) identity.Files {
		files, err := ca.Issue(r)
		m.must("issue a certificate", err)
		return files
	}
	for _, out := range []struct {
		name string
		who  identity.Files
	}{
		{"no TLS", identity.Files{}},
		{"no certificate", identity.Files{CA: m.files[admin].CA}},
		{"admin's name, of a foreign CA", issue(foreign, zktest.Request{CN: "tk-admin"})},
		{"admin's name, signed by alice", m.forged()},
		{"admin's, expired", issue(m.server.CA(), zktest.Request{CN: "tk-admin", Name: "expired", NotAfter: time.Now().Add(-time.Minute)})},
		{"a server's of the same CA", issue(m.server.CA(), zktest.Request{CN: "tk-admin", Name: "elsewhere", Hosts: []string{"localhost"}})},
	} {
		fmt.Fprintf(&m.text, "%-34s %s\n", out.name, m.shut(out.who))
	}
	conf, err := m.ask(m.files[admin], "conf")
	m.must("conf", err)
	port := "there is one"
	if strings.Contains(conf, "clientPort=-1\n") {
		port = "there is none"
	}
	fmt.Fprintf(&m.text, "%-34s %s\n", "a port without TLS", port)

	issue(m.server.CA(), zktest.Request{CN: "tk-server", Hosts: []string{"elsewhere.test"}})
	m.server.Terminate()
	m.must("restart", m.server.Restart())
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	answer, err := zkwire.Ask(ctx, m.server.Addr(), m.files[admin], "srvr")
	verdict := "let in: " + answer
	if err != nil && strings.Contains(err.Error(), "elsewhere.test") {
		verdict = "TLS handshake: our client refuses"
	}
	fmt.Fprintf(&m.text, "%-34s %s\n", "a server that is for another host", verdict)
}

// shut says at which step a certificate is refused, for a session and for a four-letter word.
func (m *matrix) shut(who identity.Files) string {
	var phases []string
	for _, hello := range []string{connect, "srvr\n"} {
		answer, err := m.ask(who, hello)
		switch {
		case err == nil:
			phases = append(phases, "let in: "+answer)
		case errors.As(err, &errTLS{}):
			phases = append(phases, "TLS handshake")
		default:
			phases = append(phases, "first read")
		}
	}
	return strings.Join(slices.Compact(phases), ", ")
}

// forged returns a certificate with the admin's name, signed by alice, who is no CA.
func (m *matrix) forged() identity.Files {
	alice, err := tls.LoadX509KeyPair(m.files[another].Cert, m.files[another].Key)
	m.must("load", err)
	files := m.files[another]
	files.Cert = filepath.Join(m.t.TempDir(), "forged.pem")
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tk-admin"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, alice.Leaf, alice.Leaf.PublicKey, alice.PrivateKey)
	m.must("sign", err)
	var chain []byte
	for _, cert := range [][]byte{der, alice.Leaf.Raw} {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...)
	}
	m.must("write", os.WriteFile(files.Cert, chain, 0o600))
	return files
}
