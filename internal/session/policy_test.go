package session

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/lab/zktest"
)

// mine is a policy by which who is on this machine is an admin. Others name other clients.
const (
	mine   = "admin ip:127.0.0.1\nmaster ip:10.0.0.1\nworker ip:10.0.0.2\nclient ip:10.0.0.3\n"
	others = mine + "viewer ip:10.0.0.4\n"
	broken = mine + "boss ip:10.0.0.5\n"
)

// aclOf is a znode's ACL, by a session of its own.
func aclOf(t *testing.T, root, path string) []zk.ACL {
	t.Helper()
	address, err := ParseAddress(root)
	must(t, err)
	h := zktest.Conn(t, root)
	defer h.Close()
	acl, _, err := h.Conn.GetACL(address.Chroot + path)
	must(t, err)
	return acl
}

// obeys fails unless a znode is as a policy says.
func obeys(t *testing.T, root, path, policy string) {
	t.Helper()
	p, err := access.Parse([]byte(policy))
	if policy == "" {
		p, err = access.Policy{}, nil
	}
	must(t, err)
	if acl := aclOf(t, root, path); !p.Obeys(path, acl) {
		t.Errorf("%s has the ACL %v under the policy %q", path, acl, policy)
	}
}

func TestWhatIsCreatedHasTheACLOfThePolicy(t *testing.T) {
	root := zktest.Connect(t)
	zktest.Conn(t, root).Create("/access", mine)
	s := newSession(t, root)
	must(t, s.EnsureDirs("/master", "/workers", "/tasks", "/data"))
	results := write(t, s, Create("/tasks/a", nil), Create("/data/a", nil), CreateEphemeral("/workers/w", nil), CreateEphemeralSequential("/master/m-", nil))
	_, err := s.NewGroup().Multi(CreateEphemeral("/tasks/b", nil))
	must(t, err)
	for _, path := range []string{"/master", "/workers", "/tasks", "/data", "/tasks/a", "/tasks/b", "/data/a", "/workers/w", results[3].Path} {
		obeys(t, root, path, mine)
	}
	open := zk.WorldACL(zk.PermAll)
	write(t, s, Create("/tasks/c", nil).With(open))
	obeys(t, root, "/tasks/c", "")
	if s.Size(Create("/tasks/a", nil)) < Create("/tasks/a", nil).Size()+3*len("ip10.0.0.1") {
		t.Error("the size of a packet leaves ACLs out")
	}
}

func TestAPolicyThatComesOrGoesLaterHoldsForWhatIsCreatedFromThenOn(t *testing.T) {
	root := zktest.Connect(t)
	t.Run("with_a_watch_that_stays", func(t *testing.T) { comesAndGoes(t, root, func(*zktest.Proxy) {}) })
	t.Run("with_watches_that_fire_once", func(t *testing.T) {
		comesAndGoes(t, zktest.Connect(t), func(p *zktest.Proxy) { p.Unknown(zktest.OpAddWatch) })
	})
}

// comesAndGoes changes the policy under a session.
func comesAndGoes(t *testing.T, root string, servers func(*zktest.Proxy)) {
	h := zktest.Conn(t, root)
	proxy, through := zktest.Via(t, root)
	servers(proxy)
	s := newSession(t, through)
	create := func(path, policy string) {
		t.Helper()
		must(t, s.Sync()) // behind what was written by hand
		if got := s.Withholds("/tasks", zk.PermRead); got != (policy != "") {
			t.Errorf("%s: withheld: %v", path, got)
		}
		write(t, s, Create(path, nil))
		obeys(t, root, path, policy)
	}
	create("/tasks", "")
	create("/tasks/a", "")
	h.Create("/access", mine)
	create("/tasks/b", mine)
	h.Set("/access", others)
	create("/tasks/c", others)
	create("/tasks/d", others)
	h.Delete("/access")
	create("/tasks/e", "")
	h.Create("/access", others)
	create("/tasks/f", others)
}

func TestAPolicyThatComesWhileTheConnectionIsAwayHoldsAfterwards(t *testing.T) {
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	proxy, through := zktest.Via(t, root)
	s := newSession(t, through)
	write(t, s, Create("/tasks", nil))
	for i, policy := range []string{mine, others} {
		proxy.Refuse(true)
		cut(s)
		zktest.Eventually(t, "suspended", suspended(s))
		var created sync.WaitGroup
		path := []string{"/tasks/a", "/tasks/b"}[i]
		created.Go(func() { // waits for the connection
			if _, err := s.Multi(Create(path, nil)); err != nil {
				t.Error(err)
			}
		})
		if i == 0 {
			h.Create("/access", policy)
		} else {
			h.Set("/access", policy)
		}
		proxy.Refuse(false)
		created.Wait()
		obeys(t, root, path, policy)
	}
}

func TestThePolicyIsReadOnceASession(t *testing.T) {
	for name, tc := range map[string]struct {
		policy string
		reads  []zktest.Op
	}{
		"open":   {"", []zktest.Op{zktest.OpExists, zktest.OpAddWatch, zktest.OpGetData}}, // the chroot, /access
		"closed": {mine, []zktest.Op{zktest.OpExists, zktest.OpAddWatch, zktest.OpGetData}},
	} {
		t.Run(name, func(t *testing.T) {
			root := zktest.Connect(t)
			h := zktest.Conn(t, root)
			h.Create("/tasks", "")
			if tc.policy != "" {
				h.Create("/access", tc.policy)
			}
			proxy, through := zktest.Via(t, root)
			s := newSession(t, through)
			for _, path := range []string{"/tasks/a", "/tasks/b"} {
				write(t, s, Create(path, nil))
			}
			seen := slices.DeleteFunc(proxy.Seen(), func(op zktest.Op) bool { return op == zktest.OpPing })
			if want := append(tc.reads, zktest.OpMulti, zktest.OpMulti); !slices.Equal(seen, want) {
				t.Errorf("%v, want %v", seen, want)
			}
		})
	}
}

func TestNothingIsCreatedWhileThePolicyCannotBeRead(t *testing.T) {
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	h.Create("/access", broken)
	h.Create("/tasks", "")
	h.Create("/tasks/a", "")
	var log zktest.Log
	s := newSession(t, root, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	const says = `/access: line 5: "boss" is no role: want admin, master, worker, client or viewer (an admin must mend it: client access close POLICY)`
	for range 2 {
		_, err := s.Multi(Check("/tasks", 0), Create("/tasks/b", nil))
		var refused *OpError
		if !Refused(err) || !errors.As(err, &refused) || refused.Index != 1 || err.Error() != "create /tasks/b: "+says {
			t.Errorf("create: %v", err)
		}
		if err := s.EnsureDirs("/workers"); !Refused(err) || !strings.HasSuffix(err.Error(), "/workers: "+says) {
			t.Errorf("ensure: %v", err)
		}
	}
	if _, err := s.Policy(); err == nil || err.Error() != says {
		t.Errorf("policy: %v", err)
	}
	write(t, s, Set("/tasks/a", []byte("done"), 0)) // what is there goes on
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "line 5") {
		t.Errorf("it is said %d times:\n%s", n, log.String())
	}
	h.Set("/access", mine)
	zktest.Eventually(t, "created when it is mended", func() (bool, string) {
		_, err := s.Multi(Create("/tasks/b", nil))
		return err == nil, errText(err)
	})
	obeys(t, root, "/tasks/b", mine)
}

func TestNothingIsCreatedWhileThePolicyMayNotBeRead(t *testing.T) {
	root := zktest.Connect(t)
	address, err := ParseAddress(root)
	must(t, err)
	h := zktest.Conn(t, root)
	if _, err := h.Conn.Create(address.Chroot+"/access", []byte(mine), 0, []zk.ACL{{Perms: zk.PermAll, Scheme: "ip", ID: "10.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	s := newSession(t, root)
	if _, err := s.Multi(Create("/tasks", nil)); !Refused(err) || !strings.Contains(err.Error(), "get /access: no permission") {
		t.Errorf("create: %v", err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestARefusalSaysWhoWouldNotBeRefused(t *testing.T) {
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	for _, dir := range []string{"/drain", "/tasks", "/tasks/a"} {
		h.Create(dir, "")
	}
	const elsewhere = "admin x509:CN=tk-admin\nmaster x509:CN=tk-master\n"
	p, err := access.Parse([]byte(strings.ReplaceAll(elsewhere, "x509:CN=", "digest:a:")))
	must(t, err)
	for _, path := range []string{"/drain", "/tasks", "/tasks/a"} {
		h.SetACL(path, p.Closed(path, nil))
	}
	h.Create("/access", elsewhere)
	s := newSession(t, root)
	const who = ": no permission: a session without a certificate (--tls-cert) has no role by /access; this needs "
	for _, tc := range []struct {
		call func() error
		says string
	}{
		{func() error { _, _, err := s.Children("/drain"); return err }, "list /drain" + who + "admin, master or viewer"},
		{func() error { _, _, err := s.Get("/tasks/a"); return err }, "get /tasks/a" + who + "admin, master, worker, viewer or its creator"},
		{func() error { _, _, err := s.GetW("/tasks/a"); return err }, "get /tasks/a" + who + "admin, master, worker, viewer or its creator"},
		{func() error { _, _, err := s.ACL("/drain"); return err }, "get the ACL of /drain" + who + "admin, master or viewer"},
		{func() error { return s.SetACL("/drain", zk.WorldACL(zk.PermAll), -1) }, "set the ACL of /drain" + who + "admin"},
		{func() error { _, err := s.Multi(Check("/tasks/a", 0)); return err }, "check /tasks/a" + who + "admin, master, worker, viewer or its creator"},
		{func() error { _, err := s.Multi(Set("/tasks/a", nil, 0)); return err }, "set /tasks/a" + who + "admin, master, worker or its creator"},
		{func() error { _, err := s.Multi(Delete("/tasks/a", 0)); return err }, "delete /tasks/a" + who + "admin, master or client"},
		{func() error { return s.GetAll("/tasks/a")[0].Err }, "get /tasks/a" + who + "admin, master, worker, viewer or its creator"},
	} {
		if err := tc.call(); !Refused(err) || err.Error() != tc.says {
			t.Errorf("%v, want\n%s", err, tc.says)
		}
	}
}

func TestTheOpenDefaultIsToldWhereOthersReachTheServers(t *testing.T) {
	for _, tc := range []struct {
		servers []string
		again   bool
		policy  string
		want    string
	}{
		{[]string{"localhost:2181", "127.0.0.1:2182", "[::1]:2183"}, false, "", ""},
		{[]string{"localhost:2181", "10.0.0.1:2181"}, false, "", "open: anyone who reaches the servers may do anything"},
		{[]string{"zk1:2181"}, false, "", "open: anyone who reaches the servers may do anything"},
		{[]string{"zk1:2181"}, true, "", ""},
		{[]string{"zk1:2181"}, false, mine, ""},
		{[]string{"zk1:2181"}, false, "admin x509:CN=a\nclient x509:CN=b\n", "role=worker"},
		{[]string{"zk1:2181"}, false, "admin x509:CN=a\nworker world:anyone\n", ""},
	} {
		var log zktest.Log
		s := &Session{cfg: Config{Address: Address{Servers: tc.servers}, Role: access.Worker, again: tc.again}, log: slog.New(slog.NewTextHandler(&log, nil))}
		var is rules
		if tc.policy != "" {
			p, err := access.Parse([]byte(tc.policy))
			must(t, err)
			is.Policy = p
		}
		s.logPolicy(nil, is)
		s.logPolicy(&is, is)
		if got := log.String(); strings.Count(got, "\n") > 1 || !strings.Contains(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%v: %q, want %q", tc.servers, got, tc.want)
		}
	}
}

// asRole is newSession with a certificate of one of the roles, on a server with TLS.
func asRole(t *testing.T, server *zktest.Server, root, role string) *Session {
	t.Helper()
	return newSession(t, root, func(c *Config) { c.TLS = server.Identity(role) })
}

func TestWhoCreatesATaskIsTheOnlyClientThatReadsIt(t *testing.T) {
	server := zktest.NewServer(t, zktest.Options{TLS: true})
	root := server.Addr() + "/app"
	admin := asRole(t, server, root, "admin")
	const policy = "admin x509:CN=tk-admin\nmaster x509:CN=tk-master\nworker x509:CN=tk-worker\nclient x509:CN=tk-client x509:CN=tk-viewer\n"
	write(t, admin, Create("/access", []byte(policy)))
	must(t, admin.Sync())
	must(t, admin.EnsureDirs("/tasks", "/data", "/drain"))
	p, err := admin.Policy()
	must(t, err)
	must(t, admin.SetACL("/", p.For("/"), -1))
	client, other := asRole(t, server, root, "client"), asRole(t, server, root, "viewer")
	write(t, client, CreateEphemeral("/tasks/t", nil), CreateEphemeral("/data/t", nil))
	for _, path := range []string{"/tasks/t", "/data/t"} {
		obeys(t, root, path, policy)
		if _, _, err := client.Get(path); err != nil {
			t.Errorf("its creator: %v", err)
		}
		if _, _, err := other.Get(path); !Refused(err) {
			t.Errorf("another client: %v", err)
		}
	}
	if _, err := client.Multi(Create("/drain/vm", nil)); !Refused(err) || err.Error() != "create /drain/vm: no permission: CN=tk-client is a client by /access; this needs admin" {
		t.Errorf("a drain: %v", err)
	}
	if _, _, err := client.Children("/tasks"); !Refused(err) || !strings.HasSuffix(err.Error(), "CN=tk-client is a client by /access; this needs admin, master or viewer") {
		t.Errorf("a listing: %v", err)
	}
	if _, _, err := other.Get("/tasks/t"); !strings.HasSuffix(err.Error(), "this needs admin, master, worker, viewer or its creator") {
		t.Error(err)
	}
	if err := asRole(t, server, root, "worker").EnsureDirs("/drain", "/workers"); !Refused(err) ||
		!strings.HasSuffix(err.Error(), "create znode /app/workers: no permission: CN=tk-worker is a worker by /access; this needs admin or master") {
		t.Errorf("a permanent znode: %v", err)
	}
}
