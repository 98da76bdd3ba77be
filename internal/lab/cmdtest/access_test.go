package cmdtest

import (
	"fmt"
	"os"
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

// site is an installation on a server with TLS.
type site struct {
	t      *testing.T
	dir    string
	server *zktest.Server
	root   string
	hand   *zktest.ManualClient // an admin's, in the chroot

	timeout string // of the sessions
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := harness.Build(t)
	server := zktest.NewServer(t, zktest.Options{TLS: true})
	zktest.Conn(t, server.Addr()).Create("/app", "")
	root := server.Addr() + "/app"
	return &site{t, dir, server, root, zktest.Conn(t, root), "4s"}
}

// file writes a file, and returns its path.
func (st *site) file(text string) string {
	st.t.Helper()
	path := filepath.Join(st.t.TempDir(), "policy")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		st.t.Fatal(err)
	}
	return path
}

// as starts a program with a role's certificate.
func (st *site) as(who, program string, args ...string) *harness.Child {
	st.t.Helper()
	return st.with(st.server.Identity(who), "", program, args...)
}

func (st *site) with(who identity.Files, in, program string, args ...string) *harness.Child {
	st.t.Helper()
	return harness.Run(st.t, harness.Command{
		Path: filepath.Join(st.dir, program), In: in, Args: append(args, "--zk", st.root, "--session-timeout", st.timeout),
		Env: []string{"ZK_TLS_CA=" + who.CA, "ZK_TLS_CERT=" + who.Cert, "ZK_TLS_KEY=" + who.Key},
	})
}

// says runs a client to its end and fails unless its two outputs together hold all texts.
func (st *site) says(who string, status int, args []string, texts ...string) (out string) {
	st.t.Helper()
	c := st.as(who, "client", args...)
	c.Exit(status)
	out = c.Stdout.String() + "\n" + c.Stderr.String() + "\n"
	for _, text := range texts {
		if !strings.Contains(out, text) {
			st.t.Errorf("%s as %s:\n%swant %s", c, who, out, text)
		}
	}
	return out
}

func (st *site) close(more ...string) {
	st.t.Helper()
	st.says("admin", 0, append([]string{"access", "close", st.file(policyText)}, more...), "closed: ")
}

func words(s string) []string { return strings.Fields(s) }

func TestAccessIsClosedShownAndOpened(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	st := newSite(t)
	st.says("admin", 0, words("access show"), "policy  none: anyone who reaches the servers may do anything\n",
		"you     CN=tk-admin may do anything, as everyone may\n")
	for text, says := range map[string]string{
		"admin x509:CN=tk-admin\nboss x509:CN=b\n": `: line 2: "boss" is no role: want admin, master, worker, client or viewer`,
		"admin x509:CN=a,O=b\n":                    `: line 1: "x509:CN=a,O=b" has a comma`,
		"":                                         ": no line names an admin",
		policyText + "viewer x509:CN=x\n":          ": line 7: viewer stands in a line above as well",
	} {
		file := st.file(text)
		st.says("admin", 1, []string{"access", "close", file}, "client: "+file+says)
	}
	st.says("admin", 2, words("access close"), "POLICY is missing")
	st.says("admin", 2, words("access show workers/me"), `ZNODE must be a path below the chroot, such as /workers/me, not "workers/me"`)
	st.says("admin", 2, words("access show /tasks /data"), `unexpected argument "/data"`)
	st.says("admin", 0, words("access show /tasks/t"), "world:anyone:cdrwa\n")
	st.says("admin", 2, words("access close x --quota 5"), "must be COUNT,BYTES, such as 100000,2G, not \"5\"")
	st.says("client", 1, []string{"access", "close", st.file(policyText)},
		"you would lock yourself out: CN=tk-client is a client by /access, and only an admin can change the policy; to hand it over, name both as admins, and have the other one close it with itself alone")
	if _, there := st.hand.Get("/access"); there {
		t.Fatal("/access is there")
	}

	c := st.with(st.server.Identity("admin"), policyText, "client", "access", "close", "-", "--quota", "10k,5M")
	c.Exit(0)
	if got := c.Stdout.String(); got != "closed: 18 znodes, 4 of them changed" { // those that it does not create: the chroot, what is above it, and the servers' two
		t.Errorf("%q", got)
	}
	if text, _ := st.hand.Get("/access"); text != policyText {
		t.Errorf("/access holds %q", text)
	}
	st.says("viewer", 0, words("access show"),
		"policy  admin   x509:CN=tk-admin\n", "        client  x509:CN=tk-client x509:CN=alice\n", "tree    18 znodes obey\n",
		"you     CN=tk-viewer is a viewer by /access\n", "quota   /tasks: 0 of 10,000 tasks\n")
	for who, is := range map[string]string{"client": "a client", "worker": "a worker", "master": "a master", "viewer": "a viewer"} {
		for _, args := range [][]string{{"access", "close", st.file(policyText)}, {"access", "open"}} {
			out := st.says(who, 1, args)
			if want := "client: only an admin may change the policy: CN=tk-" + who + " is " + is + " by /access"; strings.TrimSpace(out) != want {
				t.Errorf("%s as %s says\n%swant %s", args, who, out, want)
			}
		}
	}
	st.says("viewer", 0, words("access show /tasks/t"),
		"x509:CN=tk-admin:cdrwa,x509:CN=tk-master:rw,x509:CN=tk-worker:rw,x509:CN=tk-viewer:r,auth::drw\n")
	st.says("client", 0, words("access show"), "znodes obey, of those that you may look at\n        you may not look at ",
		" znodes, such as /master, and the znodes below /master, /tasks, /data, /workers, /drain\n")
	st.with(st.server.Identity("client"), "", "client", "submit", "0").Exit(0)
	st.says("viewer", 0, words("access show"), "obey, of those that you may look at\n        you may not look at 1 znode, such as /data/")
	st.says("admin", 0, words("access show"), "tree    20 znodes obey\n")
	if nobody, err := st.server.CA().Issue(zktest.Request{CN: "nobody"}); err != nil {
		t.Fatal(err)
	} else {
		c := st.with(nobody, "", "client", "access", "show")
		c.Exit(0)
		if out := c.Stdout.String(); strings.Contains(out, "somebody else") || !strings.Contains(out, "znode obeys, of those that you may look at\n") {
			t.Errorf("%s:\n%s", c, out)
		}
		c = st.with(nobody, "", "client", "access", "open")
		c.Exit(1)
		if got, want := c.Stderr.String(), "client: only an admin may change the policy: CN=nobody has no role by /access"; got != want {
			t.Errorf("%s says %q, want %q", c, got, want)
		}
	}
	st.hand.Create("/tasks/open", "pending")
	st.says("admin", 1, words("access show"), "1 znode does not obey, such as /tasks/open\n", "client: 1 znode is not as the policy says")
	st.says("admin", 0, []string{"access", "close", st.file(policyText)}, "closed: 21 znodes, 1 of them changed\n")
	st.says("admin", 0, words("access open"), "open: ")
	st.says("admin", 0, words("access show"), "policy  none")
	if left := zktest.Conn(t, st.server.Addr()).Children("/zookeeper/quota"); len(left) > 0 {
		t.Errorf("quotas are left: %v", left)
	}
}

func TestProgramsUnderAPolicy(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	st := newSite(t)
	waits := st.as("client", "client", "run", "--wait-for-workers", "1", "0")
	waits.Line(waits.Stderr, "wait")
	st.close()
	m, w := st.as("master", "master"), st.as("worker", "worker")
	m.Line(m.Stderr, " leader ")
	w.Line(w.Stderr, "registered")
	run := st.as("client", "client", "run", "0", "2.5") // longer than it takes the client to look for the cause
	run.Exit(0)
	if got := run.Stdout.String() + run.Stderr.String(); got != "0\n0" {
		t.Errorf("run: %q", got)
	}
	const isClient, needs = "no permission: CN=tk-client is a client by /access; this needs ", "admin, master or viewer"
	st.says("client", 1, words("drain x"), "client: list /workers: "+isClient+needs)
	for _, args := range []string{"run --wait-for-workers 1 0", "submit --wait-for-workers 1 0", "--wait-for-workers 1 --count 1"} {
		st.says("client", 1, words(args), "client: list /", ": "+isClient+needs)
	}
	waits.Exit(1) // it waited already when the installation was closed: its watches fire no more
	if out := waits.Stderr.String(); !strings.Contains(out, ": "+isClient+needs) {
		t.Errorf("%s:\n%s", waits, out)
	}
	st.says("client", 1, words("doctor"), "client: list /master: "+isClient+needs)
	if out := st.says("client", 1, words("status"), "leader    may not be read", "may not be read: /master, /workers, /drain, /tasks"); strings.Contains(out, "there is no leader") ||
		strings.Count(out, "\n") > 12 {
		t.Errorf("status:\n%s", out)
	}
	if out := st.says("viewer", 0, words("status")); !strings.Contains(out, "1: 0 busy, 1 free") || strings.Contains(out, "warning") {
		t.Errorf("status:\n%s", out)
	}
	for _, who := range []string{"viewer", "admin"} {
		st.says(who, 0, words("doctor"), "nothing wrong: 1 candidate, 1 worker, 0 tasks")
	}

	submit := st.as("client", "client", "submit", "60")
	submit.Exit(0)
	id := strings.TrimSpace(submit.Stdout.String())
	if out := st.says("client", 0, []string{"explain", id}, "state      pending\n", `payload    2 bytes: "60"`, "the reason is not known: /master may not be read: "); strings.Contains(out, "malformed") {
		t.Errorf("explain:\n%s", out)
	}
	alice, err := st.server.CA().Issue(zktest.Request{CN: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	c := st.with(alice, "", "client", "explain", id)
	c.Exit(0)
	if out := c.Stdout.String(); !strings.Contains(out, "state      unreadable\n") || !strings.Contains(out, "CN=alice is a client by /access") || strings.Contains(out, "malformed") {
		t.Errorf("explain of another's:\n%s", out)
	}
	st.says("viewer", 0, []string{"explain", id}, "payload    may not be read: ")
	st.says("client", 0, []string{"cancel", id})
	st.says("admin", 0, words("drain vm --missing-ok"), "vm: draining")
	st.says("admin", 0, words("undrain vm"), "takes tasks again")
}

func TestDoctorGivesZnodesTheACLsOfThePolicy(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	st := newSite(t)
	st.close()
	st.says("admin", 0, words("doctor"), "nothing wrong")
	if _, err := st.hand.Conn.SetACL("/app/tasks", zk.WorldACL(zk.PermAll), -1); err != nil {
		t.Fatal(err)
	}
	st.says("viewer", 1, words("doctor"), "/app/tasks  its ACL is not the policy's\n",
		"    setAcl /app/tasks x509:CN=tk-admin:cdrwa,x509:CN=tk-master:dr,x509:CN=tk-client:cd,x509:CN=alice:cd,x509:CN=tk-viewer:r\n")
	st.says("admin", 0, words("doctor --mend --yes"), "mended: give /app/tasks the ACL that follows from the policy")
	st.says("admin", 0, words("access show"), "tree    11 znodes obey\n")
}

func TestProgramsWaitWhileThePolicyCannotBeRead(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	st := newSite(t)
	st.close()
	submit := st.as("client", "client", "submit", "--queue", "none", "60")
	submit.Exit(0)
	id := strings.TrimSpace(submit.Stdout.String())
	st.hand.Set("/access", policyText+"boss x509:CN=boss\n")
	const says = `/access: line 7: "boss" is no role: want admin, master, worker, client or viewer (an admin must mend it: client access close POLICY)`
	m, w := st.as("master", "master"), st.as("worker", "worker")
	run := st.as("client", "client", "run", "0")
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
		out := st.says(verb.who, verb.status, verb.args, says)
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
	if names := slices.Concat(st.hand.Children("/master"), st.hand.Children("/workers"), st.hand.Children("/tasks")); len(names) > 1 { // the task of above
		t.Errorf("created: %v", names)
	}
	st.says("admin", 0, []string{"access", "close", st.file(policyText)}, "closed: ")
	run.Exit(0)
	if got := run.Stdout.String(); got != "0" {
		t.Errorf("run: %q", got)
	}
	for _, c := range []*harness.Child{m, w, run} {
		c.Line(c.Stderr, "the policy can be read again")
	}
	st.says("admin", 0, words("access show"))
}

// TestMigration closes and opens an installation while tasks are under way, and kills that in
// the middle.
func TestMigration(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	st := newSite(t)
	m := st.as("master", "master")
	m.Line(m.Stderr, " leader ")
	w := st.as("worker", "worker", "--slots", "4")
	w.Line(w.Stderr, "registered")
	const attached, detached, waiting = 1500, 400, 1500
	payloads := func(n int) string { return strings.Repeat("0.01\n", n) }
	client := st.server.Identity("client")
	// Of a queue without a worker: they make closing and opening last.
	st.with(client, payloads(waiting), "client", "submit", "--queue", "later").Exit(0)
	run := st.with(client, payloads(attached), "client", "run")
	run.Line(run.Stdout, "0")
	submit := st.with(client, payloads(detached), "client", "submit")
	submit.Exit(0)

	killed := 0
	change := func(done string, args ...string) {
		t.Helper()
		acl := func() string { // of /tasks, one of the first to be changed
			is, _, err := st.hand.Conn.GetACL("/app/tasks")
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(is)
		}
		before := acl()
		c := st.as("admin", "client", args...)
		zktest.Eventually(t, "/tasks is changed", func() (bool, string) { now := acl(); return now != before, now })
		c.Send(syscall.SIGKILL)
		if <-c.Done(); c.Stdout.String() == "" {
			killed++
		}
		st.says("admin", 0, args, done)
	}
	policy := st.file(policyText)
	change("closed: ", "access", "close", policy)
	st.says("admin", 0, words("access show"), "znodes obey\n")
	change("open: ", "access", "open")
	st.says("admin", 0, words("access show"), "policy  none", "znodes obey\n")
	st.says("admin", 0, []string{"access", "close", policy}, "closed: ")
	if killed == 0 {
		t.Error("nothing was killed in the middle")
	}

	run.Exit(0)
	if n := len(words(run.Stdout.String())); n != attached {
		t.Errorf("%d results of %d attached tasks", n, attached)
	}
	wait := st.with(client, submit.Stdout.String(), "client", "wait")
	wait.Exit(0)
	if n := len(words(wait.Stdout.String())); n != detached {
		t.Errorf("%d results of %d detached tasks", n, detached)
	}
	for _, c := range []*harness.Child{m, w, run} {
		if out := c.Stderr.String(); strings.Contains(out, "WRN") || strings.Contains(out, "ERR") {
			t.Errorf("%s warns:\n%s", c, out)
		}
	}
	st.says("admin", 0, words("access show"), "znodes obey\n")
	if n := len(st.hand.Children("/tasks")); n != waiting {
		t.Errorf("%d tasks are left, want %d", n, waiting)
	}
}
