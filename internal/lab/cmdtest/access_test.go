package cmdtest

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

const policyText = `# who is who
admin   x509:CN=tk-admin
master  x509:CN=tk-master
worker  x509:CN=tk-worker
client  x509:CN=tk-client x509:CN=alice
viewer  x509:CN=tk-viewer
`

// installation is one whose znodes a policy closes, on a server with TLS.
type installation struct {
	t      *testing.T
	dir    string
	server *zktest.Server
	chroot string
	root   string               // the connect string, which ends in the chroot
	manual *zktest.ManualClient // an admin's, in the chroot

	timeout string // of the sessions
}

// newInstallation makes a chroot on a server that all share who close it by the same policy and
// leave it closed: a policy also sets the ACL of the server's own znodes.
func newInstallation(t *testing.T) *installation {
	t.Helper()
	return newInstallationOn(t, zktest.SharedWith(t, zktest.Options{TLS: true}))
}

// newInstallationOn makes a chroot on a server that is the test's own.
func newInstallationOn(t *testing.T, server *zktest.Server) *installation {
	t.Helper()
	chroot := fmt.Sprintf("/app-%08x", rand.Uint32())
	zktest.Conn(t, server.Addr()).Create(chroot, "")
	root := server.Addr() + chroot
	return &installation{t, harness.Build(t), server, chroot, root, zktest.Conn(t, root), "4s"}
}

// file writes a file, and returns its path.
func (inst *installation) file(text string) string {
	inst.t.Helper()
	return writeFile(inst.t, filepath.Join(inst.t.TempDir(), "policy"), text)
}

// as starts a program with the certificate of a role.
func (inst *installation) as(who, program string, args ...string) *harness.Child {
	inst.t.Helper()
	return inst.with(inst.server.Identity(who), "", program, args...)
}

func (inst *installation) with(who identity.Files, in, program string, args ...string) *harness.Child {
	inst.t.Helper()
	return harness.Run(inst.t, harness.Command{
		Path: filepath.Join(inst.dir, program), In: in, Args: append(args, "--zk", inst.root, "--session-timeout", inst.timeout),
		Env: variables(who),
	})
}

// says runs a client to its end and fails unless its two outputs together hold all texts.
func (inst *installation) says(who string, status int, args []string, texts ...string) (out string) {
	inst.t.Helper()
	c := inst.as(who, "client", args...)
	c.Exit(status)
	out = c.Stdout.String() + "\n" + c.Stderr.String() + "\n"
	for _, text := range texts {
		if !strings.Contains(out, text) {
			inst.t.Errorf("%s as %s:\n%swant %s", c, who, out, text)
		}
	}
	return out
}

func (inst *installation) close(more ...string) {
	inst.t.Helper()
	inst.says("admin", 0, append([]string{"access", "close", inst.file(policyText)}, more...), "closed: ")
}

// submit submits a task as the client, and returns its id.
func (inst *installation) submit(args ...string) (id string) {
	inst.t.Helper()
	c := inst.as("client", "client", append([]string{"submit"}, args...)...)
	c.Exit(0)
	return c.Stdout.String()
}

func words(s string) []string { return strings.Fields(s) }

func TestAccessIsClosedShownAndOpened(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	inst := newInstallationOn(t, zktest.NewServer(t, zktest.Options{TLS: true}))
	inst.says("admin", 0, words("access show"), "policy  none: anyone who reaches the servers may do anything\n",
		"you     CN=tk-admin may do anything, as everyone may\n")
	inst.says("admin", 2, words("access close"), "POLICY is missing")
	inst.says("admin", 2, words("access show workers/me"), `ZNODE must be a path below the chroot, such as /workers/me, not "workers/me"`)
	inst.says("admin", 2, words("access show /tasks /data"), `unexpected argument "/data"`)
	inst.says("admin", 0, words("access show /tasks/t"), "world:anyone:cdrwa\n")
	inst.says("admin", 2, words("access close x --quota 5"), "must be COUNT,BYTES, such as 100000,2G, not \"5\"")
	inst.says("client", 1, []string{"access", "close", inst.file(policyText)},
		"you would lock yourself out: CN=tk-client is a client by /access, and only an admin can change the policy; to hand it over, name both as admins, and have the other one close it with itself alone")
	if _, there := inst.manual.Get("/access"); there {
		t.Fatal("/access is there")
	}

	c := inst.with(inst.server.Identity("admin"), policyText, "client", "access", "close", "-", "--quota", "10k,5M")
	c.Exit(0)
	if got := c.Stdout.String(); got != "closed: 18 znodes, 4 of them changed" { // those that it does not create: the chroot, what is above it, and the servers' two
		t.Errorf("%q", got)
	}
	if text, _ := inst.manual.Get("/access"); text != policyText {
		t.Errorf("/access holds %q", text)
	}
	inst.says("viewer", 0, words("access show"),
		"policy  admin   x509:CN=tk-admin\n", "        client  x509:CN=tk-client x509:CN=alice\n", "tree    18 znodes obey\n",
		"you     CN=tk-viewer is a viewer by /access\n", "quota   /tasks: 0 of 10,000 tasks\n")
	for who, is := range map[string]string{"client": "a client", "worker": "a worker", "master": "a master", "viewer": "a viewer"} {
		for _, args := range [][]string{{"access", "close", inst.file(policyText)}, {"access", "open"}} {
			out := inst.says(who, 1, args)
			if want := "client: only an admin may change the policy: CN=tk-" + who + " is " + is + " by /access"; strings.TrimSpace(out) != want {
				t.Errorf("%s as %s says\n%swant %s", args, who, out, want)
			}
		}
	}
	inst.says("viewer", 0, words("access show /tasks/t"),
		"x509:CN=tk-admin:cdrwa,x509:CN=tk-master:rw,x509:CN=tk-worker:rw,x509:CN=tk-viewer:r,auth::drw\n")
	inst.says("client", 0, words("access show"), "znodes obey, of those that you may look at\n        you may not look at ",
		" znodes, such as /master, and the znodes below /master, /tasks, /data, /workers, /drain\n")
	inst.submit("0")
	inst.says("viewer", 0, words("access show"), "obey, of those that you may look at\n        you may not look at 1 znode, such as /data/")
	inst.says("admin", 0, words("access show"), "tree    20 znodes obey\n")
	if nobody, err := inst.server.CA().Issue(zktest.Request{CN: "nobody"}); err != nil {
		t.Fatal(err)
	} else {
		c := inst.with(nobody, "", "client", "access", "show")
		c.Exit(0)
		if out := c.Stdout.String(); strings.Contains(out, "somebody else") || !strings.Contains(out, "znode obeys, of those that you may look at\n") {
			t.Errorf("%s:\n%s", c, out)
		}
		c = inst.with(nobody, "", "client", "access", "open")
		c.Exit(1)
		if got, want := c.Stderr.String(), "client: only an admin may change the policy: CN=nobody has no role by /access"; got != want {
			t.Errorf("%s says %q, want %q", c, got, want)
		}
	}
	inst.manual.Create("/tasks/open", "pending")
	inst.says("admin", 1, words("access show"), "1 znode does not obey, such as /tasks/open\n", "client: 1 znode is not as the policy says")
	inst.says("admin", 0, []string{"access", "close", inst.file(policyText)}, "closed: 21 znodes, 1 of them changed\n")
	inst.says("admin", 0, words("access open"), "open: ")
	inst.says("admin", 0, words("access show"), "policy  none")
	if left := zktest.Conn(t, inst.server.Addr()).Children("/zookeeper/quota"); len(left) > 0 {
		t.Errorf("quotas are left: %v", left)
	}
}

func TestProgramsUnderAPolicy(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	inst := newInstallation(t)
	waits := inst.as("client", "client", "run", "--wait-for-workers", "1", "0")
	waits.Line(waits.Stderr, "wait")
	inst.close()
	m, w := inst.as("master", "master"), inst.as("worker", "worker")
	m.Line(m.Stderr, " leader ")
	w.Line(w.Stderr, "registered")
	run := inst.as("client", "client", "run", "0", "2.5") // longer than it takes the client to look for the cause
	run.Exit(0)
	if got := run.Stdout.String() + run.Stderr.String(); got != "0\n0" {
		t.Errorf("run: %q", got)
	}
	const isClient, needs = "no permission: CN=tk-client is a client by /access; this needs ", "admin, master or viewer"
	inst.says("client", 1, words("drain x"), "client: list /workers: "+isClient+needs)
	for _, args := range []string{"run --wait-for-workers 1 0", "submit --wait-for-workers 1 0", "--wait-for-workers 1 --count 1"} {
		inst.says("client", 1, words(args), "client: list /", ": "+isClient+needs)
	}
	waits.Exit(1) // it waited already when the installation was closed: its watches fire no more
	if out := waits.Stderr.String(); !strings.Contains(out, ": "+isClient+needs) {
		t.Errorf("%s:\n%s", waits, out)
	}
	inst.says("client", 1, words("doctor"), "client: list /master: "+isClient+needs)
	if out := inst.says("client", 1, words("status"), "leader    may not be read", "may not be read: /master, /workers, /drain, /tasks"); strings.Contains(out, "there is no leader") ||
		strings.Count(out, "\n") > 12 {
		t.Errorf("status:\n%s", out)
	}
	if out := inst.says("viewer", 0, words("status")); !strings.Contains(out, "1: 0 busy, 1 free") || strings.Contains(out, "warning") {
		t.Errorf("status:\n%s", out)
	}
	for _, who := range []string{"viewer", "admin"} {
		inst.says(who, 0, words("doctor"), "nothing wrong: 1 candidate, 1 worker, 0 tasks")
	}

	id := inst.submit("60")
	if out := inst.says("client", 0, []string{"explain", id}, "state      pending\n", `payload    2 bytes: "60"`, "the reason is not known: /master may not be read: "); strings.Contains(out, "malformed") {
		t.Errorf("explain:\n%s", out)
	}
	alice, err := inst.server.CA().Issue(zktest.Request{CN: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	c := inst.with(alice, "", "client", "explain", id)
	c.Exit(0)
	if out := c.Stdout.String(); !strings.Contains(out, "state      unreadable\n") || !strings.Contains(out, "CN=alice is a client by /access") || strings.Contains(out, "malformed") {
		t.Errorf("explain of another's:\n%s", out)
	}
	inst.says("viewer", 0, []string{"explain", id}, "payload    may not be read: ")
	inst.says("client", 0, []string{"cancel", id})
	inst.says("admin", 0, words("drain vm --missing-ok"), "vm: draining")
	inst.says("admin", 0, words("undrain vm"), "takes tasks again")
}

func TestDoctorGivesZnodesTheACLsOfThePolicy(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	inst := newInstallation(t)
	inst.close()
	inst.says("admin", 0, words("doctor"), "nothing wrong")
	if _, err := inst.manual.Conn.SetACL(inst.chroot+"/tasks", zk.WorldACL(zk.PermAll), -1); err != nil {
		t.Fatal(err)
	}
	inst.says("viewer", 1, words("doctor"), inst.chroot+"/tasks  its ACL is not the policy's\n",
		"    setAcl "+inst.chroot+"/tasks x509:CN=tk-admin:cdrwa,x509:CN=tk-master:dr,x509:CN=tk-client:cd,x509:CN=alice:cd,x509:CN=tk-viewer:r\n")
	inst.says("admin", 0, words("doctor --mend --yes"), "mended: give "+inst.chroot+"/tasks the ACL that follows from the policy")
	inst.says("admin", 0, words("access show"), "znodes obey\n")
}

func TestProgramsWaitWhileThePolicyCannotBeRead(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	inst := newInstallation(t)
	inst.close()
	id := inst.submit("--queue", "none", "60")
	inst.manual.Set("/access", policyText+"boss x509:CN=boss\n")
	const says = `/access: line 7: "boss" is no role: want admin, master, worker, client or viewer (an admin must mend it: client access close POLICY)`
	m, w := inst.as("master", "master"), inst.as("worker", "worker")
	run := inst.as("client", "client", "run", "0")
	for _, c := range []*harness.Child{m, w, run} {
		c.Line(c.Stderr, "the policy cannot be read: this program creates no znode until it can be read")
	}
	for _, verb := range []struct {
		who    string
		status int
		args   []string
	}{
		{"admin", 1, words("access show")},
		{"admin", 1, words("access show /tasks/x")},
		{"admin", 1, words("doctor")},
		{"viewer", 0, words("status")},
		{"client", 1, words("status")},
		{"viewer", 0, []string{"explain", id}},
		{"client", 0, []string{"explain", id}},
		{"admin", 1, words("drain x --missing-ok")},
		{"viewer", 1, words("undrain x")},
	} {
		out := inst.says(verb.who, verb.status, verb.args, says)
		if strings.Count(out, "boss") != 1 || strings.Contains(out, "start ") {
			t.Errorf("%s as %s does not say once why, or says to start a program:\n%s", verb.args, verb.who, out)
		}
	}
	for _, c := range []*harness.Child{m, w, run} {
		out := strings.ReplaceAll(c.Stderr.String(), `\"`, `"`)
		if strings.Count(out, says) != 1 {
			t.Errorf("%s does not say once why:\n%s", c, out)
		}
	}
	if names := slices.Concat(inst.manual.Children("/master"), inst.manual.Children("/workers"), inst.manual.Children("/tasks")); len(names) > 1 { // the task of above
		t.Errorf("created: %v", names)
	}
	inst.says("admin", 0, []string{"access", "close", inst.file(policyText)}, "closed: ")
	run.Exit(0)
	if got := run.Stdout.String(); got != "0" {
		t.Errorf("run: %q", got)
	}
	for _, c := range []*harness.Child{m, w, run} {
		c.Line(c.Stderr, "the policy can be read again")
	}
	inst.says("admin", 0, words("access show"))
}

// The client that closes or opens is killed in the middle each time, and called again.
func TestAccessIsClosedAndOpenedWhileTasksAreExecuted(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	inst := newInstallationOn(t, zktest.NewServer(t, zktest.Options{TLS: true}))
	m := inst.as("master", "master")
	m.Line(m.Stderr, " leader ")
	w := inst.as("worker", "worker", "--slots", "4")
	w.Line(w.Stderr, "registered")
	const attached, detached, waiting = 300, 100, 1500
	payloads := func(n int) string { return strings.Repeat("0.05\n", n) }
	client := inst.server.Identity("client")
	// Of a queue without a worker: they make closing and opening last.
	inst.with(client, payloads(waiting), "client", "submit", "--queue", "later").Exit(0)
	run := inst.with(client, payloads(attached), "client", "run")
	run.Line(run.Stdout, "0")
	submit := inst.with(client, payloads(detached), "client", "submit")
	submit.Exit(0)

	killed := 0
	change := func(done string, args ...string) {
		t.Helper()
		acl := func() string { // of /tasks, one of the first to be changed
			is, _, err := inst.manual.Conn.GetACL(inst.chroot + "/tasks")
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(is)
		}
		before := acl()
		c := inst.as("admin", "client", args...)
		zktest.Eventually(t, "/tasks is changed", func() (bool, string) { now := acl(); return now != before, now })
		c.Send(syscall.SIGKILL)
		if <-c.Done(); c.Stdout.String() == "" {
			killed++
		}
		inst.says("admin", 0, args, done)
	}
	policy := inst.file(policyText)
	change("closed: ", "access", "close", policy)
	inst.says("admin", 0, words("access show"), "znodes obey\n")
	change("open: ", "access", "open")
	inst.says("admin", 0, words("access show"), "policy  none", "znodes obey\n")
	inst.says("admin", 0, []string{"access", "close", policy}, "closed: ")
	if killed == 0 {
		t.Error("nothing was killed in the middle")
	}

	run.Exit(0)
	if n := len(words(run.Stdout.String())); n != attached {
		t.Errorf("%d results of %d attached tasks", n, attached)
	}
	wait := inst.with(client, submit.Stdout.String(), "client", "wait")
	wait.Exit(0)
	if n := len(words(wait.Stdout.String())); n != detached {
		t.Errorf("%d results of %d detached tasks", n, detached)
	}
	for _, c := range []*harness.Child{m, w, run} {
		if out := c.Stderr.String(); strings.Contains(out, "WRN") || strings.Contains(out, "ERR") {
			t.Errorf("%s warns:\n%s", c, out)
		}
	}
	inst.says("admin", 0, words("access show"), "znodes obey\n")
	if n := len(inst.manual.Children("/tasks")); n != waiting {
		t.Errorf("%d tasks are left, want %d", n, waiting)
	}
}
