package zktest

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"taskkeeper/internal/identity"
)

// A CA issues certificates. Its own key is nowhere but in memory.
type CA struct {
	file string // its certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Request is for a certificate.
type Request struct {
	CN string // the subject is nothing but that

	// Name is of the files: by default CN, without tk- before it. Where there is a key of
	// that name, the certificate is renewed, with the same key.
	Name string

	// Hosts makes it a server's, which is for them; otherwise it is a client's.
	Hosts []string

	// By default it was valid an hour ago, and is so for a day.
	NotBefore, NotAfter time.Time

	peer bool // a server of an ensemble: server and client of the others
}

// NewCA makes a CA whose files are in a folder: ca.pem, and what it issues.
func NewCA(dir string) (*CA, error) { return newCA(filepath.Join(dir, "ca.pem")) }

func newCA(file string) (*CA, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &CA{file: file, key: key, cert: &x509.Certificate{
		Subject:  pkix.Name{CommonName: "CA of a test"},
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}}
	der, err := ca.sign(ca.cert, key, time.Time{}, time.Time{})
	if err != nil {
		return nil, err
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return ca, replace(file, inPEM("CERTIFICATE", der))
}

// in is the CA with its files in another folder; a new one if it is nil.
func (ca *CA) in(dir string) (*CA, error) {
	if ca == nil {
		return NewCA(dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	other := &CA{file: filepath.Join(dir, "ca.pem"), key: ca.key, cert: ca.cert}
	return other, replace(other.file, inPEM("CERTIFICATE", ca.cert.Raw))
}

// sign signs a certificate of a key; all that it lacks is added.
func (ca *CA) sign(c *x509.Certificate, key *ecdsa.PrivateKey, notBefore, notAfter time.Time) ([]byte, error) {
	c.NotBefore, c.NotAfter = notBefore, notAfter
	if notAfter.IsZero() {
		c.NotAfter = time.Now().Add(24 * time.Hour)
	}
	if notBefore.IsZero() {
		c.NotBefore = time.Now().Add(-time.Hour)
		if c.NotAfter.Before(c.NotBefore) {
			c.NotBefore = c.NotAfter.Add(-time.Hour)
		}
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	c.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, c, ca.cert, &key.PublicKey, ca.key)
}

// Issue makes a certificate, and returns its files. Those of a server are one, which holds
// key and certificate.
func (ca *CA) Issue(r Request) (identity.Files, error) {
	files := ca.files(cmp.Or(r.Name, strings.TrimPrefix(r.CN, "tk-")))
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: r.CN}, KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	server := len(r.Hosts) > 0
	if server {
		files.Key = files.Cert
		c.ExtKeyUsage[0] = x509.ExtKeyUsageServerAuth
	}
	if r.peer {
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	for _, h := range r.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	key, keyPEM, err := keyOf(files.Key)
	if err != nil {
		return files, fmt.Errorf("issue a certificate of %s: %w", r.CN, err)
	}
	der, err := ca.sign(c, key, r.NotBefore, r.NotAfter)
	if err != nil {
		return files, fmt.Errorf("issue a certificate of %s: %w", r.CN, err)
	}
	certPEM := inPEM("CERTIFICATE", der)
	if server {
		return files, replace(files.Cert, append(keyPEM, certPEM...))
	}
	if err := replace(files.Key, keyPEM); err != nil {
		return files, err
	}
	return files, replace(files.Cert, certPEM)
}

// files are those of a client's name.
func (ca *CA) files(name string) identity.Files {
	path := filepath.Join(filepath.Dir(ca.file), name)
	return identity.Files{CA: ca.file, Cert: path + ".pem", Key: path + ".key"}
}

// keyOf is the private key in a file; a new one if there is none.
func keyOf(file string) (key *ecdsa.PrivateKey, keyPEM []byte, err error) {
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return key, inPEM("PRIVATE KEY", der), err
	}
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, fmt.Errorf("%s holds no key", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err == nil && !ok {
		err = fmt.Errorf("%s holds a %T", file, parsed)
	}
	return key, pem.EncodeToMemory(block), err
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// replace writes a file at once: whoever reads it meanwhile sees the old one or the new one.
func replace(file string, data []byte) error {
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
