package zktest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/identity"
)

func TestServerWithTLS(t *testing.T) {
	s := NewServer(t, Options{TLS: true})

	t.Run("serves_the_roles", func(t *testing.T) {
		for _, role := range Roles {
			h := ConnAs(t, s.Addr(), s.Identity(role))
			h.Create("/"+role, role)
			acl, _, err := h.Conn.GetACL("/" + role)
			if err != nil || len(acl) != 1 {
				t.Fatalf("%v, %v", acl, err)
			}
			if _, err := h.Conn.Create("/"+role+"/own", nil, 0, zk.AuthACL(zk.PermAll)); err != nil {
				t.Fatal(err)
			}
			acl, _, err = h.Conn.GetACL("/" + role + "/own")
			if want := (zk.ACL{Perms: zk.PermAll, Scheme: "x509", ID: "CN=tk-" + role}); err != nil || !slices.Contains(acl, want) {
				t.Errorf("what the %s creates for itself is for %v, %v", role, acl, err)
			}
		}
	})
	t.Run("takes_a_hand_for_the_admin_s_and_answers_all_words", func(t *testing.T) {
		h := Conn(t, s.Addr()+"/admin")
		h.Create("/x", "")
		if answer, err := s.Ask("cons"); err != nil || !strings.Contains(answer, "sid=0x") {
			t.Errorf("cons: %q, %v", answer, err)
		}
		Expire(t, s.Addr(), h.Session())
	})
	t.Run("refuses_who_has_no_certificate_of_its_CA", func(t *testing.T) {
		foreign, err := NewCA(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		stranger, err := foreign.Issue(Request{CN: "tk-admin"})
		if err != nil {
			t.Fatal(err)
		}
		expired, err := s.CA().Issue(Request{CN: "tk-admin", Name: "expired", NotAfter: time.Now().Add(-time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		server := s.CA().files("server") // a certificate of its CA, but of a server
		server.Key = server.Cert
		for name, who := range map[string]identity.Files{
			"foreign": stranger, "expired": expired, "no certificate": {CA: stranger.CA}, "of a server": server,
		} {
			if conn, err := Dial(s.Addr(), who, askLimit); err == nil {
				t.Errorf("%s: connected", name)
				conn.Close()
			}
		}
		if _, err := ask(s.Addr(), identity.Files{}, "srvr"); err == nil {
			t.Error("without TLS: it answered")
		}
		if conf, err := s.Ask("conf"); err != nil || !strings.Contains(conf, "clientPort=-1\n") {
			t.Errorf("it has a plain port: %q, %v", conf, err)
		}
	})
	t.Run("keeps_an_audit_log", func(t *testing.T) {
		h := ConnAs(t, s.Addr(), s.Identity("worker"))
		h.Create("/audited", "")
		if _, err := h.Conn.SetACL("/audited", zk.AuthACL(zk.PermRead), -1); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Conn.Set("/audited", nil, -1); err != zk.ErrNoAuth {
			t.Fatalf("set: %v", err)
		}
		audit, err := s.Audit()
		if err != nil {
			t.Fatal(err)
		}
		want := AuditEntry{Session: h.Session(), User: "CN=tk-worker", Operation: "create", Znode: "/audited", Result: "success"}
		if !slices.Contains(audit, want) {
			t.Errorf("no %+v in %+v", want, audit)
		}
		refused := AuditEntry{Session: h.Session(), User: "CN=tk-worker", Operation: "setData", Znode: "/audited", Result: "failure"}
		if !slices.Contains(audit, refused) {
			t.Errorf("no %+v in %+v", refused, audit)
		}
	})
	t.Run("takes_a_renewed_certificate_of_its_own_at_a_restart", func(t *testing.T) {
		before := served(t, s)
		if _, err := s.CA().Issue(Request{CN: "tk-server", Hosts: []string{"elsewhere.test"}}); err != nil {
			t.Fatal(err)
		}
		if got := served(t, s); got.SerialNumber.Cmp(before.SerialNumber) != 0 {
			t.Error("it did without a restart")
		}
		s.Terminate()
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		if got := served(t, s); !slices.Equal(got.DNSNames, []string{"elsewhere.test"}) || !bytes.Equal(got.RawSubjectPublicKeyInfo, before.RawSubjectPublicKeyInfo) {
			t.Errorf("it is for %v", got.DNSNames)
		}
	})
}

// served is the certificate that a server shows.
func served(t *testing.T, s *Server) *x509.Certificate {
	t.Helper()
	conn, err := Dial(s.Addr(), s.Identity("viewer"), askLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
}

func TestCA(t *testing.T) {
	ca, err := NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("renews_with_the_same_key", func(t *testing.T) {
		for _, hosts := range [][]string{nil, {"node1", "10.0.0.1"}} {
			r := Request{CN: "CN", Name: "renewed" + strings.Join(hosts, ""), Hosts: hosts}
			first, err := ca.Issue(r)
			if err != nil {
				t.Fatal(err)
			}
			key, cert := leaf(t, first)
			r.NotAfter = time.Now().Add(time.Hour)
			second, err := ca.Issue(r)
			if err != nil || second != first {
				t.Fatalf("%v, %v", second, err)
			}
			keyAgain, certAgain := leaf(t, second)
			if !bytes.Equal(key, keyAgain) || cert.NotAfter.Equal(certAgain.NotAfter) {
				t.Errorf("the same key: %t; ends %v, then %v", bytes.Equal(key, keyAgain), cert.NotAfter, certAgain.NotAfter)
			}
		}
	})
	t.Run("keeps_keys_from_others", func(t *testing.T) {
		files, err := ca.Issue(Request{CN: "tk-worker"})
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(files.Key)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
}

// leaf reads a key and its certificate, which must belong together.
func leaf(t *testing.T, f identity.Files) (key []byte, cert *x509.Certificate) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.Key)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	return block.Bytes, pair.Leaf
}
