package zktest

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"testing"

	"taskkeeper/internal/identity"
)

// TestEnsemble has servers with TLS; those of TestNetwork have none.
func TestEnsemble(t *testing.T) {
	e, err := StartEnsemble(3, Options{TLS: true, Flags: []string{quickly}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	modes := func(want string) func() (bool, string) {
		return func() (bool, string) {
			var modes []string
			for _, s := range e.Servers {
				if mode, err := s.Mode(); err == nil {
					modes = append(modes, mode)
				}
			}
			slices.Sort(modes)
			return fmt.Sprint(modes) == want, fmt.Sprint(modes)
		}
	}
	// A follower that a busy machine lets wait leaves its leader, and follows it again.
	Eventually(t, "one server leads, the others follow", modes("[follower follower leader]"))
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
	onlyServersTakePartInElections(t, e.Servers[0])

	var old *Server
	Eventually(t, "a server leads", func() (bool, string) { old = e.Leader(); return old != nil, "" })
	old.Kill()
	Eventually(t, "another server leads", modes("[follower leader]"))
	if got, ok := h.Get("/kept"); !ok || got != "1" {
		t.Errorf("/kept: %q, %t", got, ok)
	}
	if err := e.Restart(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the old leader is one of them again", modes("[follower follower leader]"))
}

func onlyServersTakePartInElections(t *testing.T, s *Server) {
	t.Helper()
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
