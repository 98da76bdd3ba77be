package zktest

import (
	"crypto/tls"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/task"
)

// logs checks that the audit log of a server has an entry.
func logs(t *testing.T, s *Server, want AuditEntry) {
	t.Helper()
	if audit, err := s.Audit(); err != nil || !slices.Contains(audit, want) {
		t.Errorf("no %+v in %+v, %v", want, audit, err)
	}
}

// TestIntruderMatrix of package access tests which certificates a server refuses.
func TestServerWithTLS(t *testing.T) {
	s := SharedWith(t, Options{TLS: true})
	for _, role := range Roles {
		h := ConnAs(t, s.Addr(), s.Identity(role))
		h.Create("/"+role, "")
		logs(t, s, AuditEntry{Session: h.Session(), User: "CN=tk-" + role, Operation: "create", Znode: "/" + role, Result: "success"})
	}
	h := Conn(t, s.Addr())
	if _, err := h.Conn.SetACL("/client", zk.AuthACL(zk.PermRead), -1); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Conn.Set("/client", nil, -1); err != zk.ErrNoAuth {
		t.Fatalf("set: %v", err)
	}
	logs(t, s, AuditEntry{Session: h.Session(), User: "CN=tk-admin", Operation: "setData", Znode: "/client", Result: "failure"})
	if answer, err := s.Ask("cons"); err != nil || !strings.Contains(answer, "sid=0x") {
		t.Errorf("cons: %q, %v", answer, err)
	}
	Expire(t, s.Addr(), h.Session())
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
	t.Run("lets_each_role_do_what_the_policy_permits", func(t *testing.T) {
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
	t.Run("leaves_other_chroots_open", func(t *testing.T) {
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
		h.Create("/through", "")
		logs(t, s, AuditEntry{Session: h.Session(), User: "CN=tk-worker", Operation: "create", Znode: "/through", Result: "success"})
		if answer, err := ask(through, s.Identity("viewer"), "ruok"); err != nil || answer != "imok" {
			t.Errorf("ruok: %q, %v", answer, err)
		}
	})
	t.Run("refuses_a_certificate_of_a_foreign_CA", func(t *testing.T) {
		foreign, err := NewCA(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		stranger, err := foreign.Issue(Request{CN: "tk-admin"})
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := ask(through, stranger, "ruok"); err == nil {
			t.Errorf("it answers %q", answer)
		}
	})
	t.Run("passes_not_even_a_handshake_in_a_black_hole", func(t *testing.T) {
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
