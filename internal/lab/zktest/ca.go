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
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"taskkeeper/internal/identity"
)

// A CA issues certificates. The CA's own key is only in memory.
type CA struct {
	file string // holds the CA's certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	keys map[string]*ecdsa.PrivateKey // of what it has issued, by file
}

// Request is for a certificate.
type Request struct {
	CN string // all of the subject

	// Name is the name of the files: by default CN, without tk- before it. A second
	// certificate of a name renews the first one: it has the same key.
	Name string

	// Hosts are for the certificate of a server; without, it is a client's.
	Hosts []string

	// By default the certificate is valid from an hour ago, for a day.
	NotBefore, NotAfter time.Time

	peer bool // a server of an ensemble, which is also a client of the other servers
}

// NewCA makes a CA whose files are in a folder: ca.pem, and what it issues.
func NewCA(dir string) (*CA, error) { return newCA(filepath.Join(dir, "ca.pem")) }

func newCA(file string) (*CA, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	ca := &CA{key: key, cert: &x509.Certificate{
		Subject:  pkix.Name{CommonName: "CA of a test"},
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}}
	der, err := ca.sign(ca.cert, key)
	if err != nil {
		return nil, err
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return ca.at(file)
}

// at is the same CA with its files elsewhere.
func (ca *CA) at(file string) (*CA, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	other := &CA{file: file, key: ca.key, cert: ca.cert, keys: make(map[string]*ecdsa.PrivateKey)}
	return other, replace(file, inPEM("CERTIFICATE", ca.cert.Raw))
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func (ca *CA) sign(c *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, error) {
	return x509.CreateCertificate(rand.Reader, c, ca.cert, &key.PublicKey, ca.key)
}

// Issue makes a certificate, and returns its files. A server's are one file, which holds
// key and certificate.
func (ca *CA) Issue(r Request) (files identity.Files, err error) {
	files = ca.files(cmp.Or(r.Name, strings.TrimPrefix(r.CN, "tk-")))
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: r.CN}, KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		NotAfter: cmp.Or(r.NotAfter, time.Now().Add(24*time.Hour)),
	}
	began := time.Now().Add(-time.Hour)
	if c.NotAfter.Before(began) {
		began = c.NotAfter.Add(-time.Hour)
	}
	c.NotBefore = cmp.Or(r.NotBefore, began)
	server := len(r.Hosts) > 0
	if server {
		files.Key = files.Cert
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if !server || r.peer {
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	for _, h := range r.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	key := ca.keys[files.Key]
	if key == nil {
		if key, err = newKey(); err != nil {
			return files, err
		}
		ca.keys[files.Key] = key
	}
	der, err := ca.sign(c, key)
	if err != nil {
		return files, fmt.Errorf("issue a certificate of %s: %w", r.CN, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return files, err
	}
	keyPEM, certPEM := inPEM("PRIVATE KEY", keyDER), inPEM("CERTIFICATE", der)
	if server {
		return files, replace(files.Cert, append(keyPEM, certPEM...))
	}
	if err := replace(files.Key, keyPEM); err != nil {
		return files, err
	}
	return files, replace(files.Cert, certPEM)
}

// files are the files of a client's name; none without a CA.
func (ca *CA) files(name string) identity.Files {
	if ca == nil {
		return identity.Files{}
	}
	path := filepath.Join(filepath.Dir(ca.file), name)
	return identity.Files{CA: ca.file, Cert: path + ".pem", Key: path + ".key"}
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// replace writes a file at once: a reader sees the old file or the new one.
func replace(file string, data []byte) error {
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
