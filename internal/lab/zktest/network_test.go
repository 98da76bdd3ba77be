package zktest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// inside tells the test that it runs in a private network.
const inside = "TASKKEEPER_TEST_NETWORK=inside"

func TestNetwork(t *testing.T) {
	if os.Getenv("TASKKEEPER_TEST_NETWORK") != "" {
		testNetwork(t)
		return
	}
	command, err := PrivateNetwork()
	if err != nil {
		t.Skip(err)
	}
	args := append(command[1:], os.Args[0], "-test.run=^TestNetwork$", "-test.v")
	cmd := exec.CommandContext(t.Context(), command[0], args...)
	cmd.Env = append(os.Environ(), inside)
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
	names := make(map[*Server]string)
	for i := range 3 {
		h, err := n.Host(fmt.Sprintf("server-%d", i+1))
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	e, err := StartEnsemble(3, Options{Hosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	for i, s := range e.Servers {
		names[s] = fmt.Sprintf("server-%d", i+1)
	}
	reaches := func(from, to *Server) bool {
		args := append(from.at.Within[1:], "timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/"+to.at.Addr+"/"+fmt.Sprint(to.port))
		return exec.CommandContext(t.Context(), from.at.Within[0], args...).Run() == nil
	}

	old := e.Leader()
	if err := n.Cut(names[old]); err != nil {
		t.Fatal(err)
	}
	var leader *Server
	Eventually(t, "another server leads, and the one that is cut off does not", func() (bool, string) {
		mode, _ := old.Mode()
		leader = e.Leader()
		return leader != nil && leader != old, mode
	})
	if reaches(leader, old) || reaches(old, leader) {
		t.Error("one reaches the other across the cut")
	}
	if _, err := old.Srvr(); err != nil {
		t.Errorf("this process does not reach the one that is cut off: %v", err)
	}
	if err := n.Join(names[old]); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the old leader follows", func() (bool, string) {
		mode, err := old.Mode()
		return mode == "follower", fmt.Sprint(mode, err)
	})
	if !reaches(leader, old) || !reaches(old, leader) {
		t.Error("one does not reach the other, after the cut")
	}

	if err := n.Hide(names[leader], names[old]); err != nil {
		t.Fatal(err)
	}
	if reaches(leader, old) {
		t.Error("one reaches another that is hidden from it")
	}
	if err := n.Show(names[leader], names[old]); err != nil {
		t.Fatal(err)
	}
	if !reaches(leader, old) {
		t.Error("one does not reach another that is shown again")
	}
}
