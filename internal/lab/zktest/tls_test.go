package zktest

import (
	"crypto/tls"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/task"
)

// strangers are certificates that a server must refuse, by what is wrong with them.
func strangers(t *testing.T, s *Server) map[string]identity.Files {
	t.Helper()
	foreign, err := NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	issue := func(ca *CA, r Request) identity.Files {
		files, err := ca.Issue(r)
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	return map[string]identity.Files{
		"foreign":        issue(foreign, Request{CN: "tk-admin"}),
		"expired":        issue(s.CA(), Request{CN: "tk-admin", Name: "expired", NotAfter: time.Now().Add(-time.Minute)}),
		"no certificate": {CA: s.CA().file},
		"of a server":    issue(s.CA(), Request{CN: "tk-admin", Name: "of-a-server", Hosts: []string{host}}),
	}
}

// createsAs checks whom the server takes a client for.
func createsAs(t *testing.T, h *ManualClient, role string) {
	t.Helper()
	path := "/" + strings.ReplaceAll(t.Name(), "/", "-") + "-" + role
	if _, err := h.Conn.Create(path, nil, 0, zk.AuthACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	acl, _, err := h.Conn.GetACL(path)
	if want := (zk.ACL{Perms: zk.PermAll, Scheme: "x509", ID: "CN=tk-" + role}); err != nil || !slices.Contains(acl, want) {
		t.Errorf("what the %s creates for itself is for %v, %v", role, acl, err)
	}
}

func TestServerWithTLS(t *testing.T) {
	s := SharedWith(t, Options{TLS: true})

	t.Run("knows_the_roles", func(t *testing.T) {
		for _, role := range Roles {
			createsAs(t, ConnAs(t, s.Addr(), s.Identity(role)), role)
		}
	})
	t.Run("takes_a_manual_client_for_the_admin_and_answers_all_words", func(t *testing.T) {
		h := Conn(t, s.Addr())
		createsAs(t, h, "admin")
		if answer, err := s.Ask("cons"); err != nil || !strings.Contains(answer, "sid=0x") {
			t.Errorf("cons: %q, %v", answer, err)
		}
		Expire(t, s.Addr(), h.Session())
	})
	t.Run("refuses_everyone_without_a_certificate_of_its_CA", func(t *testing.T) {
		for name, who := range strangers(t, s) {
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
		for _, want := range []AuditEntry{
			{Session: h.Session(), User: "CN=tk-worker", Operation: "create", Znode: "/audited", Result: "success"},
			{Session: h.Session(), User: "CN=tk-worker", Operation: "setData", Znode: "/audited", Result: "failure"},
		} {
			if !slices.Contains(audit, want) {
				t.Errorf("no %+v in %+v", want, audit)
			}
		}
	})
}

func TestClosedInstallation(t *testing.T) {
	s := SharedWith(t, Options{TLS: true})
	if err := s.Close("/app"); err != nil {
		t.Fatal(err)
	}
	connect := s.Addr() + "/app"

	t.Run("has_the_policy_and_what_is_permanent", func(t *testing.T) {
		h := Conn(t, connect)
		for _, path := range append(task.Dirs(), "", "/access") {
			acl, _, err := h.Conn.GetACL("/app" + path)
			if err != nil || !policy.Obeys(path, acl) {
				t.Errorf("%s: %v, %v", path, acl, err)
			}
		}
	})
	t.Run("gets_from_a_manual_client_what_the_policy_permits", func(t *testing.T) {
		h := Conn(t, connect)
		h.Create("/tasks/t", "pending")
		h.Put("/tasks", "x")
		client, viewer := ConnAs(t, connect, s.Identity("client")), ConnAs(t, connect, s.Identity("viewer"))
		client.Set("/tasks/t", "cancelled") // as its creator: an admin's are all clients'
		if _, err := viewer.Conn.Set("/app/tasks/t", nil, -1); err != zk.ErrNoAuth {
			t.Errorf("a viewer sets it: %v", err)
		}
		if got, _ := h.Get("/tasks"); got != "x" {
			t.Errorf("/tasks holds %q", got)
		}
	})
	t.Run("is_one_of_several_chroots", func(t *testing.T) {
		if got := policyOf(s.Addr() + "/other"); !got.IsZero() {
			t.Errorf("/other has the policy\n%s", got)
		}
		if err := s.Close("/other"); err != nil {
			t.Fatal(err)
		}
		Conn(t, s.Addr()+"/other").Create("/tasks/t", "")
		if got := s.Closed(); !slices.Equal(got, []string{"/app", "/other"}) {
			t.Errorf("closed: %q", got)
		}
	})
}

func TestProxyBeforeAServerWithTLS(t *testing.T) {
	s := SharedWith(t, Options{TLS: true})
	proxy, through := Via(t, s.Addr())
	h := ConnAs(t, through, s.Identity("worker"))

	t.Run("shows_the_server_the_role_of_its_client", func(t *testing.T) {
		createsAs(t, h, "worker")
		if answer, err := ask(through, s.Identity("viewer"), "ruok"); err != nil || answer != "imok" {
			t.Errorf("ruok: %q, %v", answer, err)
		}
	})
	t.Run("knows_the_requests", func(t *testing.T) {
		proxy.Seen()
		met := proxy.CutAfter(OpCreate, 1, Naming("/twice"))
		if _, err := h.Conn.Create("/twice", nil, 0, zk.WorldACL(zk.PermAll)); err == nil {
			t.Error("it has an answer")
		}
		happened(t, "cut", met)
		if _, ok := h.Stat("/twice"); !ok { // by a new connection
			t.Error("it was not carried out")
		}
		if seen := proxy.Seen(); !slices.Contains(seen, OpCreate) {
			t.Errorf("seen %v", seen)
		}
	})
	t.Run("refuses_everyone_whom_the_server_refuses", func(t *testing.T) {
		for name, who := range strangers(t, s) {
			if answer, err := ask(through, who, "ruok"); err == nil {
				t.Errorf("%s: %q", name, answer)
			}
		}
	})
	t.Run("is_silent_from_the_first_byte_on", func(t *testing.T) {
		proxy.Blackhole(true)
		defer proxy.Blackhole(false)
		if conn, err := Dial(through, s.Identity("worker"), askLimit/10); err == nil {
			conn.Close()
			t.Error("connected")
		}
	})
}

func TestCARenewsACertificateWithTheSameKey(t *testing.T) {
	ca, err := NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, hosts := range [][]string{nil, {"node1", "10.0.0.1"}} {
		r := Request{CN: "CN", Name: "renewed" + strings.Join(hosts, ""), Hosts: hosts}
		var pairs []tls.Certificate
		var keys []string
		for range 2 {
			files, err := ca.Issue(r)
			if err != nil {
				t.Fatal(err)
			}
			pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(files.Key)
			if err != nil {
				t.Fatal(err)
			}
			key, _, _ := strings.Cut(string(text), "-----END PRIVATE KEY-----")
			pairs, keys = append(pairs, pair), append(keys, key)
			if info, err := os.Stat(files.Key); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("others may read the key: %v, %v", info.Mode(), err)
			}
			r.NotAfter = time.Now().Add(time.Hour)
		}
		if keys[0] != keys[1] || pairs[0].Leaf.NotAfter.Equal(pairs[1].Leaf.NotAfter) {
			t.Errorf("the same key: %t; ends %v, then %v", keys[0] == keys[1], pairs[0].Leaf.NotAfter, pairs[1].Leaf.NotAfter)
		}
	}
}
