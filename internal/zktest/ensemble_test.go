package zktest

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"testing"

	"taskkeeper/internal/identity"
)

func TestEnsemble(t *testing.T) {
	e, err := StartEnsemble(3, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	testEnsemble(t, e)
}

func TestEnsembleWithTLS(t *testing.T) {
	e, err := StartEnsemble(3, Options{TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	testEnsemble(t, e)

	s := e.Servers[0]
	election := net.JoinHostPort(host, strconv.Itoa(s.port+1000+between))
	quorum := s.ca.files("quorum")
	quorum.Key = quorum.Cert
	conn, err := Dial(election, quorum, askLimit)
	if err != nil {
		t.Fatalf("the certificate of a server, at the port for elections: %v", err)
	}
	conn.Close()
	for name, who := range map[string]identity.Files{"no certificate": {CA: s.ca.file}, "the admin": s.Identity("admin")} {
		if conn, err := Dial(election, who, askLimit); err == nil {
			t.Errorf("%s is taken for one of the servers", name)
			conn.Close()
		}
	}
}

func testEnsemble(t *testing.T, e *Ensemble) {
	modes := func() (leaders, followers int) {
		for _, s := range e.Servers {
			switch mode, _ := s.Mode(); mode {
			case "leader":
				leaders++
			case "follower":
				followers++
			}
		}
		return leaders, followers
	}
	if l, f := modes(); l != 1 || f != 2 {
		t.Fatalf("%d leaders, %d followers", l, f)
	}
	h := Conn(t, e.Connect())
	h.Create("/kept", "1")
	with := 0
	for _, s := range e.Servers {
		ids, err := s.Sessions()
		if err != nil {
			t.Error(err)
		}
		if slices.Contains(ids, fmt.Sprintf("%#x", uint64(h.Session()))) {
			with++
		}
	}
	if with != 1 {
		t.Errorf("%d servers have the session", with)
	}

	old := e.Leader()
	old.Kill()
	Eventually(t, "another server leads", func() (bool, string) {
		l, f := modes()
		return l == 1 && f == 1 && e.Leader() != old, ""
	})
	if got, ok := h.Get("/kept"); !ok || got != "1" {
		t.Errorf("/kept: %q, %t", got, ok)
	}
	if err := old.Restart(); err != nil {
		t.Fatal(err)
	}
	if mode, err := old.Mode(); mode != "follower" {
		t.Errorf("the old leader is %q, %v", mode, err)
	}
}
