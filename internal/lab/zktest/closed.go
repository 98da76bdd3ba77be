package zktest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/identity"
	"taskkeeper/internal/task"
)

// policyText gives each of the Roles to its certificate.
const policyText = `admin  x509:CN=tk-admin
master x509:CN=tk-master
worker x509:CN=tk-worker
client x509:CN=tk-client
viewer x509:CN=tk-viewer
`

var policy, _ = access.Parse([]byte(policyText))

// Policy is the policy by which chroots are closed here.
func Policy() access.Policy { return policy }

// Closed reports whether a package's tests run with servers that speak TLS, and in chroots that
// are closed by a policy: the tests of the programs do (package cmdtest) if $TASKKEEPER_TLS is 1.
func Closed() bool { return shared.check != nil && os.Getenv("TASKKEEPER_TLS") == "1" }

// OpenOnly skips a test that cannot hold under TLS and a policy, and says why.
func OpenOnly(t testing.TB, why string) {
	t.Helper()
	if Closed() {
		t.Skip("not under TLS and a policy: " + why)
	}
}

// Identity is a role's for all servers of a closed package's tests; the zero value otherwise.
func Identity(role string) identity.Files { return shared.ca.files(role) }

// closeAll makes the CA that a closed package's tests have in common. A program is a client
// where package harness does not give it another identity.
func closeAll() error {
	dir, err := os.MkdirTemp("", "taskkeeper-tests-")
	if err != nil {
		return err
	}
	atEnd(func() error { return os.RemoveAll(dir) })
	if shared.ca, err = NewCA(dir); err != nil {
		return err
	}
	who := Identity("client")
	return errors.Join(shared.ca.issueRoles(),
		os.Setenv(identity.CAVariable, who.CA), os.Setenv(identity.CertVariable, who.Cert), os.Setenv(identity.KeyVariable, who.Key))
}

// Chroot returns a connect string, host:port/chroot, for a new root on a server, or for "".
// It is empty; in a closed package's tests it is closed, with the policy and what is permanent.
func Chroot(t testing.TB, s *Server, root string) string {
	t.Helper()
	switch {
	case Closed():
		if err := s.Close(root); err != nil {
			t.Fatal(err)
		}
	case root != "":
		h := Conn(t, s.Addr())
		defer h.Close()
		h.Create(root, "")
	}
	return s.Addr() + root
}

// Close makes a closed installation in a chroot that is new, or "": by a policy that gives
// each of the Roles to its certificate. The server must speak TLS.
func (s *Server) Close(root string) error {
	if err := s.createClosed(root); err != nil {
		return fmt.Errorf("close %s%s: %w", s.Addr(), root, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = append(s.closed, root)
	return nil
}

func (s *Server) createClosed(root string) error {
	conn, _, err := connect(s.Addr(), Dialer(s.Identity("admin")))
	if err != nil {
		return err
	}
	defer conn.Close()
	var ops []any
	create := func(path, data string) {
		ops = append(ops, &zk.CreateRequest{Path: root + path, Data: []byte(data), Acl: policy.Closed(path, nil)})
	}
	own := []string{"/zookeeper", "/zookeeper/quota"} // the server has created them
	if root != "" {
		create("", "")
	} else {
		own = append(own, "/")
	}
	create(access.Znode, policyText)
	for _, dir := range task.Dirs() {
		create(dir, "")
	}
	if _, err := conn.Multi(ops...); err != nil {
		return err
	}
	for _, path := range own {
		if _, err := conn.SetACL(path, policy.Closed(strings.TrimSuffix(path, "/"), nil), -1); err != nil {
			return err
		}
	}
	return nil
}

// Closed lists the chroots that Close has closed.
func (s *Server) Closed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.closed)
}

// policyOf is the policy of a connect string; the open one if Close has not closed it.
func policyOf(connectString string) access.Policy {
	_, root, _ := strings.Cut(connectString, "/")
	if root != "" {
		root = "/" + root
	}
	if s := serverAt(connectString); s != nil && slices.Contains(s.Closed(), root) {
		return policy
	}
	return access.Policy{}
}
