package zktest

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
)

func TestNetwork(t *testing.T) {
	const inside = "TASKKEEPER_TEST_NETWORK"
	if os.Getenv(inside) != "" {
		testNetwork(t)
		return
	}
	command, err := PrivateNetwork()
	if err != nil {
		t.Skip(err)
	}
	args := append(command[1:], os.Args[0], "-test.run=^TestNetwork$", "-test.v")
	cmd := exec.CommandContext(t.Context(), command[0], args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func testNetwork(t *testing.T) {
	n, err := NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	var hosts []Host
	for i := range 3 {
		h, err := n.Host(fmt.Sprintf("server-%d", i+1))
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	e, err := StartEnsemble(3, Options{Hosts: hosts, Flags: []string{quickly}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	name := func(s *Server) string { return fmt.Sprintf("server-%d", slices.Index(e.Servers, s)+1) }
	reaches := func(from, to *Server) bool {
		command := append(slices.Clone(from.at.Within), "timeout", "1", "bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/%s/%d", to.at.Addr, to.port))
		return run("", command...) == nil
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	old := e.Leader()
	must(n.Cut(name(old)))
	var leader *Server
	Eventually(t, "another server leads, and the one that is cut off does not", func() (bool, string) {
		mode, _ := old.Mode()
		leader = e.Leader()
		return leader != nil && leader != old, mode
	})
	if reaches(leader, old) || reaches(old, leader) {
		t.Error("one reaches the other across the cut")
	}
	if _, err := old.Ask("srvr"); err != nil {
		t.Errorf("this process does not reach the one that is cut off: %v", err)
	}
	must(n.Join(name(old)))
	Eventually(t, "the old leader follows", func() (bool, string) {
		mode, err := old.Mode()
		return mode == "follower", fmt.Sprint(mode, err)
	})
	if !reaches(leader, old) || !reaches(old, leader) {
		t.Error("one does not reach the other, after the cut")
	}

	must(n.Hide(name(leader), name(old)))
	if reaches(leader, old) {
		t.Error("one reaches another that is hidden from it")
	}
	must(n.Show(name(leader), name(old)))
	if !reaches(leader, old) {
		t.Error("one does not reach another that is shown again")
	}
}
