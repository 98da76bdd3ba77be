package closing

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// An installation is a chroot on a server with TLS.
type installation struct {
	t      *testing.T
	server *zktest.Server
	root   string
}

// newInstallation is for one test at a time: all tests share one server, and a policy also
// changes the servers' own znodes.
func newInstallation(t *testing.T) *installation {
	t.Helper()
	server := zktest.SharedWith(t, zktest.Options{TLS: true, Flags: []string{
		"-Dzookeeper.enforceQuota=true", "-Dzookeeper.X509AuthenticationProvider.superUser=CN=super",
	}})
	in := &installation{t, server, server.Addr() + "/site/app"}
	t.Cleanup(in.reset)
	return in
}

// reset restores the server for the next test.
func (in *installation) reset() {
	in.t.Helper()
	super, err := in.server.CA().Issue(zktest.Request{CN: "super"})
	must(in.t, err)
	h := zktest.ConnAs(in.t, in.server.Addr(), super)
	for _, path := range []string{"/", serversOwn, quotas} {
		for _, name := range h.Children(path) {
			if name != "zookeeper" && path != serversOwn {
				h.DeleteAll(strings.TrimSuffix(path, "/") + "/" + name)
			}
		}
		_, err := h.Conn.SetACL(path, zk.WorldACL(zk.PermAll), -1)
		must(in.t, err)
	}
}

func (in *installation) open(connect, role string) *session.Session {
	in.t.Helper()
	return harness.Open(in.t, connect, func(c *session.Config) { c.TLS = in.server.Identity(role) })
}

// tree is the installation with the sessions of a role.
func (in *installation) tree(role string) Tree {
	in.t.Helper()
	return Tree{Session: in.open(in.root, role), Servers: in.open(in.server.Addr(), role), Chroot: "/site/app"}
}

// fill creates n znodes in each directory, and returns how many znodes there are.
func (in *installation) fill(s *session.Session, n int) (znodes int) {
	in.t.Helper()
	if err := s.EnsureDirs(task.Dirs()...); err != nil {
		in.t.Fatal(err)
	}
	var ops []session.Op
	for _, dir := range task.Dirs() {
		for i := range n {
			ops = append(ops, session.Create(fmt.Sprintf("%s/%d", dir, i), nil))
		}
	}
	if _, err := s.Multi(ops...); err != nil {
		in.t.Fatal(err)
	}
	return 1 + len(task.Dirs()) + len(ops)
}

// obeys fails the test unless all znodes, the servers' own too, have the ACLs of a policy.
func (in *installation) obeys(policy string) {
	in.t.Helper()
	var p access.Policy
	if policy != "" {
		p = parse(in.t, policy)
	}
	h := zktest.Conn(in.t, in.server.Addr())
	defer h.Close()
	for full, path := range in.znodes(h) {
		acl, _, err := h.Conn.GetACL(full)
		if err != nil || !p.Obeys(path, acl) {
			in.t.Errorf("%s has the ACL %v, %v", full, acl, err)
		}
	}
}

func (in *installation) znodes(h *zktest.ManualClient) map[string]string {
	all := map[string]string{"/": "/", "/site": "/", "/site/app": "/", serversOwn: serversOwn, quotas: quotas}
	for _, dir := range h.Children("/site/app") {
		all["/site/app/"+dir] = "/" + dir
		for _, name := range h.Children("/site/app/" + dir) {
			all["/site/app/"+dir+"/"+name] = "/" + dir + "/" + name
		}
	}
	return all
}

func parse(t *testing.T, text string) access.Policy {
	t.Helper()
	p, err := access.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
