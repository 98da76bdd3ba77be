package zktest

import (
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/task"
)

func TestClosedInstallation(t *testing.T) {
	s := NewServer(t, Options{TLS: true})
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
		if !slices.Equal(s.Closed(), []string{"/app"}) {
			t.Errorf("closed: %q", s.Closed())
		}
	})
	t.Run("gets_from_a_hand_what_the_policy_permits", func(t *testing.T) {
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
	})
}

func TestProxyBeforeAServerWithTLS(t *testing.T) {
	s := NewServer(t, Options{TLS: true})
	proxy, through := Via(t, s.Addr())
	h := ConnAs(t, through, s.Identity("worker"))

	t.Run("passes_on_who_it_is", func(t *testing.T) {
		if _, err := h.Conn.Create("/own", nil, 0, zk.AuthACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
		acl, _, err := h.Conn.GetACL("/own")
		if want := (zk.ACL{Perms: zk.PermAll, Scheme: "x509", ID: "CN=tk-worker"}); err != nil || !slices.Contains(acl, want) {
			t.Errorf("%v, %v", acl, err)
		}
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
		<-met
		if _, ok := h.Stat("/twice"); !ok { // by a new connection
			t.Error("it was not carried out")
		}
		if seen := proxy.Seen(); !slices.Contains(seen, OpCreate) {
			t.Errorf("seen %v", seen)
		}
	})
	t.Run("lets_in_whom_the_server_would", func(t *testing.T) {
		foreign, err := NewCA(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		stranger, err := foreign.Issue(Request{CN: "tk-admin"})
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := ask(through, stranger, "ruok"); err == nil {
			t.Errorf("a stranger: %q", answer)
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
