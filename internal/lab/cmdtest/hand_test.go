package cmdtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// person plays a role in ZooKeeper's shell, in one session.
type person struct {
	st    *site
	role  string
	shell *harness.Child
	keys  *os.File
}

// person opens the shell with a role's certificate.
func (st *site) person(role string) *person {
	st.t.Helper()
	fifo := filepath.Join(st.t.TempDir(), "keys")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		st.t.Fatal(err)
	}
	keys, err := os.OpenFile(fifo, os.O_RDWR, 0) // it does not wait for the reader
	if err != nil {
		st.t.Fatal(err)
	}
	st.t.Cleanup(func() { keys.Close() })
	shell := harness.Run(st.t, harness.Command{Path: "/bin/sh", Args: []string{
		"-c", `exec ../../../scripts/zookeeper shell --no-install --dir "$0" --as "$1" <"$2" 2>&1`, filepath.Dir(st.server.DataDir()), role, fifo,
	}})
	return &person{st, role, shell, keys}
}

// types enters a command, with znodes below the chroot, and waits for a line that has this.
func (p *person) types(want, format string, args ...any) string {
	p.st.t.Helper()
	line := strings.ReplaceAll(fmt.Sprintf(format, args...), " /", " /app/")
	if _, err := fmt.Fprintln(p.keys, line); err != nil {
		p.st.t.Fatal(err)
	}
	return p.shell.Line(p.shell.Stdout, want)
}

// creates creates a znode with the ACL that the client shows for it.
func (p *person) creates(path, data string, flags ...string) {
	p.st.t.Helper()
	acl, _, _ := strings.Cut(p.st.says(p.role, 0, []string{"access", "show", path}), "\n")
	p.types("Created /app"+path, "%s %s %s %s", strings.Join(append([]string{"create"}, flags...), " "), path, data, acl)
}

// leaves ends the session, with the status of the last command.
func (p *person) leaves(status int) {
	p.st.t.Helper()
	p.types("", "quit")
	p.shell.Exit(status)
}

// sound fails unless doctor and the policy have nothing against what is there.
func (st *site) sound() {
	st.t.Helper()
	st.says("viewer", 0, words("doctor"), "nothing wrong: ")
	st.says("admin", 0, words("access show"), "znodes obey\n")
}

// only is the one child of a znode.
func (st *site) only(dir string) (name string) {
	st.t.Helper()
	zktest.Eventually(st.t, "one child of "+dir, func() (bool, string) {
		names := st.hand.Children(dir)
		name = strings.Join(names, " ")
		return len(names) == 1, name
	})
	return name
}

func TestTheShellOfARoleSaysOnATerminalThatAZnodeNeedsAnACL(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{TLS: true})
	side, shown := terminal(t)
	c := exec.CommandContext(t.Context(), "../../../scripts/zookeeper", "shell", "--no-install", "--dir", filepath.Dir(server.DataDir()), "--as", "worker")
	c.Stdin, c.Stdout, c.Stderr = side, side, side
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	const hint = "a znode that you create without an ACL behind its data is open to everyone: bin/client access show ZNODE prints the ACL of the policy"
	zktest.Eventually(t, hint, shown.shows(hint))
	_ = c.Process.Kill()
	_ = c.Wait() // it was killed
}

// TestEachRoleIsPlayedByHandUnderAPolicy plays them in ZooKeeper's shell, against the programs.
func TestEachRoleIsPlayedByHandUnderAPolicy(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	st := newSite(t)
	st.close()

	w := st.as("worker", "worker")
	w.Line(w.Stderr, "registered")
	run := st.as("client", "client", "run", "0.01")
	master := st.person("master")
	master.creates("/master/me-", `""`, "-s", "-e")
	m := st.as("master", "master")
	m.Line(m.Stderr, " backup ")
	st.says("viewer", 0, words("status"), `leader    "", for `, ": /master/me-0000000000\n")
	id, slot := st.only("/tasks"), st.only("/workers")
	master.types("["+id+"]", "ls /tasks")
	master.types("["+slot+"]", "ls /workers")
	st.sound()
	master.types("", "set /workers/%s %s", slot, id)
	run.Exit(0)
	if got := run.Stdout.String(); got != "0" {
		t.Errorf("run: %q", got)
	}
	master.types("Insufficient permission : /app/data/m", "create /data/m 1")
	master.types("", "delete /master/%s", "me-0000000000")
	m.Line(m.Stderr, " leader ")
	master.leaves(0)

	client := st.person("client")
	client.creates("/data/t1", "0.01")
	client.creates("/tasks/t1", "pending")
	zktest.Eventually(t, "the task is done", func() (bool, string) {
		state, _ := st.hand.Get("/tasks/t1")
		return strings.HasPrefix(state, "done"), state
	})
	client.types("done", "get /tasks/t1")
	st.sound()
	client.types("Insufficient permission : /app/tasks", "ls /tasks")
	client.types("", "delete /tasks/t1")
	client.types("", "delete /data/t1")
	client.leaves(0)
	for _, dir := range []string{"/tasks", "/data"} {
		if left := st.hand.Children(dir); len(left) > 0 {
			t.Errorf("%s has %v", dir, left)
		}
	}
	w.Send(syscall.SIGTERM)
	w.Exit(0)

	worker := st.person("worker")
	worker.creates("/workers/me", `""`, "-e")
	run = st.as("client", "client", "run", "59.25")
	id = st.only("/tasks")
	zktest.Eventually(t, "the task is assigned", func() (bool, string) {
		list, _ := st.hand.Get("/workers/me")
		return list == id, list
	})
	worker.types(id, "get /workers/me")
	worker.types("59.25", "get /data/%s", id)
	st.sound()
	worker.types("", `set /tasks/%s "done 43"`, id)
	run.Exit(0)
	if got := run.Stdout.String(); got != "43" {
		t.Errorf("run: %q", got)
	}
	worker.types("", `set /workers/me ""`)
	zktest.Eventually(t, "the worker is free", func() (bool, string) {
		list, _ := st.hand.Get("/workers/me")
		return list == "", list
	})
	worker.types("Insufficient permission : /app/tasks/w", "create /tasks/w pending")

	// What a person forgets comes to light, and is mended.
	worker.types("Created /app/workers/open", `create -e /workers/open ""`)
	st.says("viewer", 1, words("doctor"), "/app/workers/open  its ACL is not the policy's\n    setAcl /app/workers/open x509:CN=tk-admin:cdrwa,")
	st.says("admin", 1, words("access show"), "1 znode does not obey, such as /workers/open\n")
	st.says("admin", 0, words("doctor --mend --yes"), "mended: give /app/workers/open the ACL that follows from the policy")
	st.sound()

	viewer := st.person("viewer")
	viewer.types("[me, open]", "ls /workers")
	for _, call := range []string{"create /workers/v x", "create /tasks/v x", "create /master/v x", "create /data/v x", "set /workers/me x", "delete /workers/open", "set /access x"} {
		viewer.types("Insufficient permission : /app"+words(call)[1], "%s", call)
	}
	viewer.leaves(1)
	worker.leaves(0)
	if left := st.hand.Children("/workers"); len(left) > 0 {
		t.Errorf("/workers has %v", left)
	}
	st.sound()
}
