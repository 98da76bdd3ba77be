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
	// A follower that a busy machine lets wait leaves its leader, and follows it again.
	complete := func() (bool, string) {
		l, f := modes()
		return l == 1 && f == 2, fmt.Sprintf("%d leaders, %d followers", l, f)
	}
	Eventually(t, "one server leads, the others follow", complete)
	h := Conn(t, e.Connect())
	h.Create("/kept", "1")
	Eventually(t, "one server has the session", func() (bool, string) {
		with := 0
		for _, s := range e.Servers {
			if ids, err := s.Sessions(); err == nil && slices.Contains(ids, fmt.Sprintf("%#x", uint64(h.Session()))) {
				with++
			}
		}
		return with == 1, fmt.Sprintf("%d have it", with)
	})

	var old *Server
	Eventually(t, "a server leads", func() (bool, string) { old = e.Leader(); return old != nil, "" })
	old.Kill()
	Eventually(t, "another server leads", func() (bool, string) {
		l, f := modes()
		return l == 1 && f == 1 && e.Leader() != old, fmt.Sprintf("%d leaders, %d followers", l, f)
	})
	if got, ok := h.Get("/kept"); !ok || got != "1" {
		t.Errorf("/kept: %q, %t", got, ok)
	}
	if err := old.Restart(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the old leader is one of them again", complete)
}
