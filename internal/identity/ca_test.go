package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority is a CA.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	a.cert = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}, a.key)
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	write(t, a.file, 0o644, block("CERTIFICATE", a.cert.Raw))
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes a certificate; the first, of the CA itself, signs itself.
func (a *authority) sign(c *x509.Certificate, of *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = serial
	parent := a.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, of.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return signed
}

// request describes a certificate; all but the name have defaults.
type request struct {
	name       string
	begin, end time.Time // default: from half an hour ago, for 1,000 hours
	subject    []byte    // encoded; instead of the name
}

// issue writes the files of a process.
func (a *authority) issue(r request) Files {
	a.t.Helper()
	dir := a.t.TempDir()
	f := Files{CA: a.file, Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	a.renew(f, r)
	return f
}

// renew replaces the files, each by a rename.
func (a *authority) renew(f Files, r request) {
	a.t.Helper()
	if r.begin.IsZero() {
		r.begin = time.Now().Add(-30 * time.Minute)
	}
	if r.end.IsZero() {
		r.end = time.Now().Add(1000 * time.Hour)
	}
	key := newKey(a.t)
	cert := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: r.name}, RawSubject: r.subject, NotBefore: r.begin, NotAfter: r.end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	write(a.t, f.Key, 0o600, block("PRIVATE KEY", der))
	write(a.t, f.Cert, 0o644, block("CERTIFICATE", cert.Raw))
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func write(t *testing.T, path string, mode os.FileMode, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// server is the configuration of a server with these files. It accepts clients whose
// certificate its CA has signed.
func server(t *testing.T, f Files) *tls.Config {
	t.Helper()
	m, err := f.read()
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	for _, ca := range m.authorities {
		trusted.AddCert(ca)
	}
	return &tls.Config{Certificates: []tls.Certificate{*m.own}, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert}
}
