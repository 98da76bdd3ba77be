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

// rig is an installation on a server with TLS.
type rig struct {
	t      *testing.T
	server *zktest.Server
	root   string
}

// newRig is for one test at a time: all have the same server, since a policy is also about the
// servers' own znodes.
func newRig(t *testing.T) *rig {
	t.Helper()
	server := zktest.SharedWith(t, zktest.Options{TLS: true, Flags: []string{
		"-Dzookeeper.enforceQuota=true", "-Dzookeeper.X509AuthenticationProvider.superUser=CN=super",
	}})
	r := &rig{t, server, server.Addr() + "/site/app"}
	t.Cleanup(r.reset)
	return r
}

// reset leaves the server as it was at its start, for the next test.
func (r *rig) reset() {
	r.t.Helper()
	super, err := r.server.CA().Issue(zktest.Request{CN: "super"})
	must(r.t, err)
	h := zktest.ConnAs(r.t, r.server.Addr(), super)
	for _, path := range []string{"/", serversOwn, quotas} {
		for _, name := range h.Children(path) {
			if name != "zookeeper" && path != serversOwn {
				h.DeleteAll(strings.TrimSuffix(path, "/") + "/" + name)
			}
		}
		_, err := h.Conn.SetACL(path, zk.WorldACL(zk.PermAll), -1)
		must(r.t, err)
	}
}

func (r *rig) open(connect, role string) *session.Session {
	r.t.Helper()
	return harness.Open(r.t, connect, func(c *session.Config) { c.TLS = r.server.Identity(role) })
}

// tree is the installation as somebody sees it.
func (r *rig) tree(role string) Tree {
	r.t.Helper()
	return Tree{Session: r.open(r.root, role), Servers: r.open(r.server.Addr(), role), Chroot: "/site/app"}
}

// fill creates what programs leave there, n of each, and returns how many znodes there are.
func (r *rig) fill(s *session.Session, n int) (znodes int) {
	r.t.Helper()
	if err := s.EnsureDirs(task.Dirs()...); err != nil {
		r.t.Fatal(err)
	}
	var ops []session.Op
	for _, dir := range task.Dirs() {
		for i := range n {
			ops = append(ops, session.Create(fmt.Sprintf("%s/%d", dir, i), nil))
		}
	}
	if _, err := s.Multi(ops...); err != nil {
		r.t.Fatal(err)
	}
	return 1 + len(task.Dirs()) + len(ops)
}

// obeys fails unless the whole installation, and the servers' own znodes, are as a policy says.
func (r *rig) obeys(policy string) {
	r.t.Helper()
	var p access.Policy
	if policy != "" {
		p = parse(r.t, policy)
	}
	h := zktest.Conn(r.t, r.server.Addr())
	defer h.Close()
	for full, path := range r.znodes(h) {
		acl, _, err := h.Conn.GetACL(full)
		if err != nil || !p.Obeys(path, acl) {
			r.t.Errorf("%s has the ACL %v, %v", full, acl, err)
		}
	}
}

func (r *rig) znodes(h *zktest.ManualClient) map[string]string {
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
