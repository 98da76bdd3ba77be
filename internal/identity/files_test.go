package identity

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCheckNamesTheFileAndTheRemedy(t *testing.T) {
	ca := newAuthority(t, "ca")
	good := ca.issue(request{name: "tk-worker"})
	other := ca.issue(request{name: "tk-other"})
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, 0o600, text)
		return path
	}
	text := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	empty := file("empty.pem", "")
	broken := file("broken.pem", block("CERTIFICATE", []byte("nonsense")))
	missing := filepath.Join(dir, "missing.pem")
	exposed := file("exposed.key", text(good.Key))
	if err := os.Chmod(exposed, 0o640); err != nil {
		t.Fatal(err)
	}
	encrypted := file("encrypted.key", block("ENCRYPTED PRIVATE KEY", []byte("x")))
	legacy := file("legacy.key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x")})))
	badKey := file("bad.key", block("PRIVATE KEY", []byte("nonsense")))
	hour := time.Now().Add(-time.Hour)
	ended := ca.issue(request{name: "tk-ended", begin: hour.Add(-time.Hour), end: hour})
	early := ca.issue(request{name: "tk-early", begin: time.Now().Add(time.Hour)})
	with := func(change func(*Files)) Files {
		f := good
		change(&f)
		return f
	}
	for _, tt := range []struct {
		name  string
		files Files
		want  string // "" for no error
	}{
		{"nothing", Files{}, ""},
		{"all", good, ""},
		{"the CA alone", Files{CA: ca.file}, ""},
		{"no key", Files{CA: ca.file, Cert: good.Cert}, "--tls-cert needs the certificate's key: give --tls-key or $ZK_TLS_KEY"},
		{"no certificate", Files{CA: ca.file, Key: good.Key}.Named("", "", "$ZK_TLS_KEY"), "$ZK_TLS_KEY needs the key's certificate: give --tls-cert or $ZK_TLS_CERT"},
		{"no CA", Files{Cert: good.Cert, Key: good.Key}, "--tls-cert needs the certificate of the CA that signs the servers': give --tls-ca or $ZK_TLS_CA"},
		{"a CA that is missing", Files{CA: missing}.Named("$ZK_TLS_CA", "", ""), "$ZK_TLS_CA " + missing + ": there is no such file"},
		{"a certificate that is missing", with(func(f *Files) { f.Cert = missing }), "--tls-cert " + missing + ": there is no such file"},
		{"a key that is missing", with(func(f *Files) { f.Key = missing }), "--tls-key " + missing + ": there is no such file"},
		{"a folder", Files{CA: dir}, "--tls-ca " + dir + ": it is no regular file"},
		{"a CA's file without a certificate", Files{CA: empty}, "--tls-ca " + empty + ": it holds no certificate in PEM (BEGIN CERTIFICATE)"},
		{"a certificate that is none", Files{CA: broken}, "--tls-ca " + broken + ": certificate 1 in it is malformed: "},
		{"a certificate's file with the key", with(func(f *Files) { f.Cert = good.Key }), "--tls-cert " + good.Key + `: it holds no certificate in PEM (BEGIN CERTIFICATE), but a block "PRIVATE KEY"`},
		{"a key's file without a key", with(func(f *Files) { f.Key = empty }), "--tls-key " + empty + ": it holds no private key in PEM (BEGIN PRIVATE KEY)"},
		{"a key that is none", with(func(f *Files) { f.Key = badKey }), "--tls-key " + badKey + ": the key in it is malformed: "},
		{"a key with a password", with(func(f *Files) { f.Key = encrypted }), "--tls-key " + encrypted + ": the key is encrypted, and nobody is there to type its password: decrypt it with openssl pkey"},
		{"a key with a password, of old", with(func(f *Files) { f.Key = legacy }), "--tls-key " + legacy + ": the key is encrypted"},
		{"another one's key", with(func(f *Files) { f.Key = other.Key }), "--tls-key " + other.Key + ": it is not the key of the certificate in --tls-cert " + good.Cert},
		{"a key that a group may read", with(func(f *Files) { f.Key = exposed }), "--tls-key " + exposed + ": other users have rights to this key (mode 0640): chmod 600 " + exposed},
		{"a certificate that has expired", ended, "--tls-cert " + ended.Cert + ": the certificate CN=tk-ended expired at " + shown(hour) + ": renew it"},
		{"a certificate of tomorrow", early, "--tls-cert " + early.Cert + ": the certificate CN=tk-early is not valid before "},
		{"a CA that has expired", Files{CA: ended.Cert}, "--tls-ca " + ended.Cert + ": the CA's certificate CN=tk-ended expired at "},
		{"a CA of which one certificate has expired", Files{CA: file("both.pem", text(ended.Cert)+text(ca.file))}, ""},
	} {
		err := tt.files.Check()
		switch {
		case tt.want == "" && err != nil, tt.want != "" && err == nil:
			t.Errorf("%s: %v", tt.name, err)
		case err != nil && (!strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %q, want %q", tt.name, err, tt.want)
		}
	}
}

// A package may give the key to root and to the service's group. Others must not read the key.
func TestAKeyOfAnotherUserMayBeReadByItsGroupOnly(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away") // the tests run as root
	}
	f := newAuthority(t, "ca").issue(request{name: "tk-worker"})
	const nobody = 65534
	for _, tt := range []struct {
		owner int
		mode  os.FileMode
		good  bool
	}{
		{nobody, 0o440, true}, {nobody, 0o600, true}, {nobody, 0o444, false}, {nobody, 0o604, false},
		{0, 0o400, true}, {0, 0o440, false}, {0, 0o620, false}, {0, 0o601, false},
	} {
		if err := os.Chown(f.Key, tt.owner, -1); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(f.Key, tt.mode); err != nil {
			t.Fatal(err)
		}
		if err := f.Check(); (err == nil) != tt.good {
			t.Errorf("of user %d, mode %o: %v", tt.owner, tt.mode, err)
		}
	}
}

// openssl writes SEC1 keys too, with parameters before them.
func TestAKeyInSEC1FormIsAccepted(t *testing.T) {
	f := newAuthority(t, "ca").issue(request{name: "tk-worker"})
	m, err := f.read()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(m.own.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.Key, 0o600, block("EC PARAMETERS", []byte{6, 0})+block("EC PRIVATE KEY", der))
	if err := f.Check(); err != nil {
		t.Error(err)
	}
}
