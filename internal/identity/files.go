package identity

import (
	"cmp"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Variables are used if the flags are not given. All begin with VariablePrefix.
const (
	VariablePrefix = "ZK_TLS_"
	CAVariable     = VariablePrefix + "CA"
	CertVariable   = VariablePrefix + "CERT"
	KeyVariable    = VariablePrefix + "KEY"
)

// Files are the paths of a process's files for TLS; the zero value means no TLS.
type Files struct {
	CA, Cert, Key string

	named names
}

// names say by which flag or variable a person gave each file.
type names struct{ ca, cert, key string }

// Named sets the names of the files in errors: of a flag, or of a variable with its dollar sign.
// An empty name keeps the previous one, at first the flag's.
func (f Files) Named(ca, cert, key string) Files {
	f.named = names{cmp.Or(ca, f.named.ca), cmp.Or(cert, f.named.cert), cmp.Or(key, f.named.key)}
	return f
}

func (f Files) caName() string   { return cmp.Or(f.named.ca, "--tls-ca") }
func (f Files) certName() string { return cmp.Or(f.named.cert, "--tls-cert") }
func (f Files) keyName() string  { return cmp.Or(f.named.key, "--tls-key") }

// IsZero reports whether no file is given, so that there is no TLS.
func (f Files) IsZero() bool { return f.CA == "" && f.Cert == "" && f.Key == "" }

// Complete fails if a file is given without another file that it needs. It reads no file.
func (f Files) Complete() error {
	switch {
	case f.Cert != "" && f.Key == "":
		return fmt.Errorf("%s needs the certificate's key: give --tls-key or $%s", f.certName(), KeyVariable)
	case f.Key != "" && f.Cert == "":
		return fmt.Errorf("%s needs the key's certificate: give --tls-cert or $%s", f.keyName(), CertVariable)
	case f.Cert != "" && f.CA == "":
		return fmt.Errorf("%s needs the certificate of the CA that signs the servers': give --tls-ca or $%s", f.certName(), CAVariable)
	}
	return nil
}

// Check reads the files. Its error says in one line what is wrong with the first file that
// cannot be used now, and what to do.
func (f Files) Check() error {
	m, err := f.read()
	if err != nil {
		return err
	}
	now := time.Now()
	for _, p := range m.papers(f) {
		switch {
		case now.After(p.end):
			return p.file.errorf("%s %s expired at %s: renew it", p.kind, p.subject, shown(p.end))
		case now.Before(p.begin):
			return p.file.errorf("%s %s is not valid before %s, and it is %s now: is the clock right?", p.kind, p.subject, shown(p.begin), shown(now))
		}
	}
	return nil
}

func shown(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// material is the content of the files.
type material struct {
	authorities []*x509.Certificate
	own         *tls.Certificate // nil: none; else with its Leaf
}

// paper is a certificate that this process depends on.
type paper struct {
	file       file
	kind       string
	subject    string
	begin, end time.Time
}

// papers are the process's own certificate, if it has one, and the CA's that expires last.
func (m material) papers(f Files) (all []paper) {
	if m.own != nil {
		all = append(all, paperOf(file{f.certName(), f.Cert}, "the certificate", m.own.Leaf))
	}
	var last *x509.Certificate
	for _, ca := range m.authorities {
		if last == nil || ca.NotAfter.After(last.NotAfter) {
			last = ca
		}
	}
	if last != nil {
		all = append(all, paperOf(file{f.caName(), f.CA}, "the CA's certificate", last))
	}
	return all
}

func paperOf(of file, kind string, c *x509.Certificate) paper {
	return paper{file: of, kind: kind, subject: subject(c), begin: c.NotBefore, end: c.NotAfter}
}

// read reads the files. It does not check whether the certificates are valid now: the server
// decides that, by its own clock.
func (f Files) read() (m material, err error) {
	if err := f.Complete(); err != nil || f.IsZero() {
		return m, err
	}
	if m.authorities, err = (file{f.caName(), f.CA}).certificates(); err != nil || f.Cert == "" {
		return m, err
	}
	chain, err := (file{f.certName(), f.Cert}).certificates()
	if err != nil {
		return m, err
	}
	of := file{f.keyName(), f.Key}
	key, err := of.key()
	if err != nil {
		return m, err
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(chain[0].PublicKey) {
		return m, of.errorf("it is not the key of the certificate in %s %s", f.certName(), f.Cert)
	}
	m.own = &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		m.own.Certificate = append(m.own.Certificate, c.Raw)
	}
	return m, nil
}

// file is the path of a file, and the name of its flag or variable.
type file struct{ name, path string }

func (f file) errorf(format string, args ...any) error {
	return fmt.Errorf("%s %s: %w", f.name, f.path, fmt.Errorf(format, args...))
}

// mostBytes bounds the read of a file: more than any bundle of CAs has.
const mostBytes = 8 << 20

// read returns the content of the file, and its FileInfo. A pipe is refused: it can be read once.
func (f file) read() (data []byte, info fs.FileInfo, err error) {
	if info, err = os.Stat(f.path); err != nil {
		return nil, nil, f.cannotRead(err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, f.errorf("it is no regular file: it is read again at each connection")
	}
	open, err := os.Open(f.path)
	if err != nil {
		return nil, nil, f.cannotRead(err)
	}
	defer open.Close()
	if info, err = open.Stat(); err == nil {
		data, err = io.ReadAll(io.LimitReader(open, mostBytes))
	}
	if err != nil {
		return nil, nil, f.cannotRead(err)
	}
	return data, info, nil
}

func (f file) cannotRead(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.errorf("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return f.errorf("this process's user (uid %d) may not read it", os.Geteuid())
	}
	var in *fs.PathError
	if errors.As(err, &in) {
		err = in.Err // the PathError would repeat the path
	}
	return f.errorf("it cannot be read: %w", err)
}

// certificates returns the certificates in the file: at least one.
func (f file) certificates() (all []*x509.Certificate, err error) {
	rest, _, err := f.read()
	if err != nil {
		return nil, err
	}
	holds := ""
	for block := (*pem.Block)(nil); ; {
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			holds = fmt.Sprintf(", but a block %q", block.Type)
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, f.errorf("certificate %d in it is malformed: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, f.errorf("it holds no certificate in PEM (BEGIN CERTIFICATE)%s", holds)
	}
	return all, nil
}

// key returns the key in the file. Like ssh, it refuses a key that other users may read: a file
// with rights for everyone, or a file of this process's own user with rights for its group. A
// file of another user may have rights for a group: so root gives a key to a service. systemd
// (LoadCredential=) uses an ACL for that, whose mask shows in place of the group's rights.
func (f file) key() (crypto.Signer, error) {
	rest, info, err := f.read()
	if err != nil {
		return nil, err
	}
	exposed := info.Mode().Perm() & 0o077
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		exposed &= 0o007
	}
	if exposed != 0 {
		return nil, f.errorf("other users have rights to this key (mode %04o): chmod 600 %s", info.Mode().Perm(), f.path)
	}
	for block := (*pem.Block)(nil); ; {
		if block, rest = pem.Decode(rest); block == nil {
			return nil, f.errorf("it holds no private key in PEM (BEGIN PRIVATE KEY)")
		}
		var key any
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			err = errEncrypted
		default: // certificates, or the parameters of a curve
			continue
		}
		if block.Headers["DEK-Info"] != "" {
			err = errEncrypted
		}
		switch signer, ok := key.(crypto.Signer); {
		case err == errEncrypted:
			return nil, f.errorf("%w: decrypt it with openssl pkey -in %s", err, f.path)
		case err != nil:
			return nil, f.errorf("the key in it is malformed: %w", err)
		case !ok:
			return nil, f.errorf("the key in it cannot sign: %T", key)
		default:
			return signer, nil
		}
	}
}

var errEncrypted = errors.New("the key is encrypted, and nobody is there to type its password")
