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
	inst  *installation
	role  string
	shell *harness.Child
	keys  *os.File
}

// person opens the shell with a role's certificate.
func (inst *installation) person(role string) *person {
	inst.t.Helper()
	fifo := filepath.Join(inst.t.TempDir(), "keys")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		inst.t.Fatal(err)
	}
	keys, err := os.OpenFile(fifo, os.O_RDWR, 0) // it does not wait for the reader
	if err != nil {
		inst.t.Fatal(err)
	}
	inst.t.Cleanup(func() { keys.Close() })
	shell := harness.Run(inst.t, harness.Command{Path: "/bin/sh", Args: []string{
		"-c", `exec ../../../scripts/zookeeper shell --no-install --dir "$0" --as "$1" <"$2" 2>&1`, filepath.Dir(inst.server.DataDir()), role, fifo,
	}})
	return &person{inst, role, shell, keys}
}

// types enters a command, with znodes below the chroot, and waits for a line that contains want.
func (p *person) types(want, format string, args ...any) string {
	p.inst.t.Helper()
	line := strings.ReplaceAll(fmt.Sprintf(format, args...), " /", " "+p.inst.chroot+"/")
	if _, err := fmt.Fprintln(p.keys, line); err != nil {
		p.inst.t.Fatal(err)
	}
	return p.shell.Line(p.shell.Stdout, want)
}

// creates creates a znode with the ACL that the client shows for it.
func (p *person) creates(path, data string, flags ...string) {
	p.inst.t.Helper()
	acl, _, _ := strings.Cut(p.inst.says(p.role, 0, []string{"access", "show", path}), "\n")
	p.types("Created "+p.inst.chroot+path, "%s %s %s %s", strings.Join(append([]string{"create"}, flags...), " "), path, data, acl)
}

// leaves ends the session, with the status of the last command.
func (p *person) leaves(status int) {
	p.inst.t.Helper()
	p.types("", "quit")
	p.shell.Exit(status)
}

// nothingWrong fails unless client doctor finds nothing and all znodes have the policy's ACLs.
func (inst *installation) nothingWrong() {
	inst.t.Helper()
	inst.says("viewer", 0, words("doctor"), "nothing wrong: ")
	inst.says("admin", 0, words("access show"), "znodes obey\n")
}

// only waits until a znode has one child, and returns its name.
func (inst *installation) only(dir string) (name string) {
	inst.t.Helper()
	zktest.Eventually(inst.t, "one child of "+dir, func() (bool, string) {
		names := inst.manual.Children(dir)
		name = strings.Join(names, " ")
		return len(names) == 1, name
	})
	return name
}

func TestTheShellOfARoleSaysOnATerminalThatAZnodeNeedsAnACL(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	server := zktest.SharedWith(t, zktest.Options{TLS: true})
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

// Each role is played in ZooKeeper's shell, and the others by the programs.
func TestEachRoleIsPlayedByHandUnderAPolicy(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	inst := newInstallation(t)
	inst.close()

	w := inst.as("worker", "worker")
	w.Line(w.Stderr, "registered")
	run := inst.as("client", "client", "run", "0.01")
	master := inst.person("master")
	master.creates("/master/me-", `""`, "-s", "-e")
	m := inst.as("master", "master")
	m.Line(m.Stderr, " backup ")
	inst.says("viewer", 0, words("status"), `leader    "", for `, ": /master/me-0000000000\n")
	id, slot := inst.only("/tasks"), inst.only("/workers")
	master.types("["+id+"]", "ls /tasks")
	master.types("["+slot+"]", "ls /workers")
	inst.nothingWrong()
	master.types("", "set /workers/%s %s", slot, id)
	run.Exit(0)
	if got := run.Stdout.String(); got != "0" {
		t.Errorf("run: %q", got)
	}
	master.types("Insufficient permission : "+inst.chroot+"/data/m", "create /data/m 1")
	master.types("", "delete /master/%s", "me-0000000000")
	m.Line(m.Stderr, " leader ")
	master.leaves(0)

	client := inst.person("client")
	client.creates("/data/t1", "0.01")
	client.creates("/tasks/t1", "pending")
	zktest.Eventually(t, "the task is done", func() (bool, string) {
		state, _ := inst.manual.Get("/tasks/t1")
		return strings.HasPrefix(state, "done"), state
	})
	client.types("done", "get /tasks/t1")
	inst.nothingWrong()
	client.types("Insufficient permission : "+inst.chroot+"/tasks", "ls /tasks")
	client.types("", "delete /tasks/t1")
	client.types("", "delete /data/t1")
	client.leaves(0)
	for _, dir := range []string{"/tasks", "/data"} {
		if left := inst.manual.Children(dir); len(left) > 0 {
			t.Errorf("%s has %v", dir, left)
		}
	}
	w.Send(syscall.SIGTERM)
	w.Exit(0)

	worker := inst.person("worker")
	worker.creates("/workers/me", `""`, "-e")
	run = inst.as("client", "client", "run", "59.25")
	id = inst.only("/tasks")
	zktest.Eventually(t, "the task is assigned", func() (bool, string) {
		list, _ := inst.manual.Get("/workers/me")
		return list == id, list
	})
	worker.types(id, "get /workers/me")
	worker.types("59.25", "get /data/%s", id)
	inst.nothingWrong()
	worker.types("", `set /tasks/%s "done 43"`, id)
	run.Exit(0)
	if got := run.Stdout.String(); got != "43" {
		t.Errorf("run: %q", got)
	}
	worker.types("", `set /workers/me ""`)
	zktest.Eventually(t, "the worker is free", func() (bool, string) {
		list, _ := inst.manual.Get("/workers/me")
		return list == "", list
	})
	worker.types("Insufficient permission : "+inst.chroot+"/tasks/w", "create /tasks/w pending")

	// What a person forgets comes to light, and is mended.
	worker.types("Created "+inst.chroot+"/workers/open", `create -e /workers/open ""`)
	inst.says("viewer", 1, words("doctor"), inst.chroot+"/workers/open  its ACL is not the policy's\n    setAcl "+inst.chroot+"/workers/open x509:CN=tk-admin:cdrwa,")
	inst.says("admin", 1, words("access show"), "1 znode does not obey, such as /workers/open\n")
	inst.says("admin", 0, words("doctor --mend --yes"), "mended: give "+inst.chroot+"/workers/open the ACL that follows from the policy")
	inst.nothingWrong()

	viewer := inst.person("viewer")
	viewer.types("[me, open]", "ls /workers")
	for _, call := range []string{"create /workers/v x", "create /tasks/v x", "create /master/v x", "create /data/v x", "set /workers/me x", "delete /workers/open", "set /access x"} {
		viewer.types("Insufficient permission : "+inst.chroot+words(call)[1], "%s", call)
	}
	viewer.leaves(1)
	worker.leaves(0)
	if left := inst.manual.Children("/workers"); len(left) > 0 {
		t.Errorf("/workers has %v", left)
	}
	inst.nothingWrong()
}
