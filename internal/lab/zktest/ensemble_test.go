package zktest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// TestEnsemble runs again in a private network. An ensemble without a network, or without TLS, is
// in tests of other packages: session, cmdtest.
func TestEnsemble(t *testing.T) {
	const inside = "TASKKEEPER_TEST_NETWORK"
	if os.Getenv(inside) != "" {
		testEnsemble(t)
		return
	}
	command, err := PrivateNetwork()
	if err != nil {
		t.Skip(err)
	}
	args := append(command[1:], os.Args[0], "-test.run=^TestEnsemble$", "-test.v")
	cmd := exec.CommandContext(t.Context(), command[0], args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func testEnsemble(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	n, err := NewNetwork()
	must(err)
	e, err := StartEnsemble(3, Options{Network: n, TLS: true, Flags: forTests})
	must(err)
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
	const complete = "[follower follower leader]"
	Eventually(t, "one server leads, the others follow", modes(complete))
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

	name := func(s *Server) string { return fmt.Sprintf("server-%d", slices.Index(e.Servers, s)+1) }
	reaches := func(from, to *Server, want bool) {
		t.Helper()
		dial := fmt.Sprintf("exec 3<>/dev/tcp/%s/%d", to.at.Addr, to.port)
		err := run("", append(slices.Clone(from.at.Within), "timeout", "1", "bash", "-c", dial)...)
		if (err == nil) != want {
			t.Errorf("%s reaches %s: %v", name(from), name(to), err)
		}
	}
	// Only the servers take part in elections.
	a, b, certs := e.Servers[0], e.Servers[1], filepath.Join(e.dir, "tls")
	election := net.JoinHostPort(a.at.Addr, strconv.Itoa(a.port+1000+between))
	for who, args := range map[string][]string{
		"a server":  {"-cert", certs + "/quorum.pem", "-key", certs + "/quorum.pem"},
		"the admin": {"-cert", certs + "/admin.pem", "-key", certs + "/admin.key"},
		"a client":  nil,
	} {
		command := slices.Concat(b.at.Within, []string{"openssl", "s_client", "-connect", election}, args)
		if err := run("", command...); (err == nil) != (who == "a server") {
			t.Errorf("%s at the port for elections: %v", who, err)
		}
	}

	var old, leader *Server
	leads := func(s **Server) func() (bool, string) {
		return func() (bool, string) {
			if *s = e.Leader(); *s == nil {
				return false, "none"
			}
			mode, err := (*s).Mode()
			return mode == "leader", fmt.Sprint(mode, err)
		}
	}
	Eventually(t, "a server leads", leads(&old))
	must(n.Cut(name(old)))
	Eventually(t, "another server leads, and the one that is cut off does not", func() (bool, string) {
		mode, _ := old.Mode()
		leader = e.Leader()
		return leader != nil && leader != old, mode
	})
	reaches(leader, old, false)
	reaches(old, leader, false)
	_, err = old.Ask("srvr") // this process reaches both sides
	must(err)
	must(n.Join(name(old)))
	Eventually(t, "the old leader follows", modes(complete))
	reaches(leader, old, true)
	reaches(old, leader, true)

	must(n.Hide(name(leader), name(old)))
	reaches(leader, old, false)
	must(n.Show(name(leader), name(old)))
	reaches(leader, old, true)

	Eventually(t, "a server leads", leads(&leader))
	leader.Kill()
	Eventually(t, "another server leads", modes("[follower leader]"))
	if got, ok := h.Get("/kept"); !ok || got != "1" {
		t.Errorf("/kept: %q, %t", got, ok)
	}
	must(e.Restart())
	Eventually(t, "the killed leader is one of them again", modes(complete))
}
