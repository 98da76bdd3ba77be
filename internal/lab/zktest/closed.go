package zktest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/identity"
	"taskkeeper/internal/task"
)

// Switch is the variable that, set to 1, has a package's tests run with servers that speak
// TLS, and in chroots that are closed by a policy. The programs' tests do (package cmdtest).
const Switch = "TASKKEEPER_TLS"

// policyText gives each of the Roles to its certificate.
const policyText = "admin  x509:CN=tk-admin\n" +
	"master x509:CN=tk-master\n" +
	"worker x509:CN=tk-worker\n" +
	"client x509:CN=tk-client\n" +
	"viewer x509:CN=tk-viewer\n"

// policy is that of the text.
var policy = func() access.Policy {
	p, err := access.Parse([]byte(policyText))
	if err != nil {
		panic(err)
	}
	return p
}()

// Closed tells whether a package's tests run under TLS and a policy; see Switch.
func Closed() bool { return shared.ca != nil }

// OpenOnly skips a test that cannot hold under TLS and a policy, and says why.
func OpenOnly(t testing.TB, why string) {
	t.Helper()
	if Closed() {
		t.Skip("not under TLS and a policy: " + why)
	}
}

// Identity is a role's of all servers of a closed package's tests; the zero value otherwise.
func Identity(role string) identity.Files {
	if shared.ca == nil {
		return identity.Files{}
	}
	return shared.ca.files(role)
}

// closeAll makes what a closed package's tests have in common. A program is a client where
// package harness does not give it another identity.
func closeAll() (err error) {
	ca, err := NewCA(shared.dir)
	if err != nil {
		return err
	}
	if err := ca.issueRoles(); err != nil {
		return err
	}
	shared.ca = ca
	who := ca.files("client")
	return errors.Join(os.Setenv(identity.CAVariable, who.CA), os.Setenv(identity.CertVariable, who.Cert), os.Setenv(identity.KeyVariable, who.Key))
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
	conn, _, err := zk.Connect([]string{s.Addr()}, manualTimeout, zk.WithLogger(silent{}), zk.WithDialer(Dialer(s.Identity("admin"))))
	if err != nil {
		return err
	}
	defer conn.Close()
	var ops []any
	create := func(path, data string) {
		ops = append(ops, &zk.CreateRequest{Path: root + path, Data: []byte(data), Acl: policy.Closed(path, nil)})
	}
	if root != "" {
		create("", "")
	}
	create(access.Znode, policyText)
	for _, dir := range task.Dirs() {
		create(dir, "")
	}
	err = persist(func() error {
		_, err := conn.Multi(ops...)
		return err
	})
	own := []string{"/zookeeper", "/zookeeper/quota"}
	if root == "" {
		own = append(own, "/")
	}
	for _, path := range own {
		if err == nil {
			err = persist(func() error {
				_, err := conn.SetACL(path, policy.Closed(strings.TrimSuffix(path, "/"), nil), -1)
				return err
			})
		}
	}
	if err != nil {
		return fmt.Errorf("close %s%s: %w", s.Addr(), root, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = append(s.closed, root)
	return nil
}

// Policy is by which chroots are closed here.
func Policy() access.Policy { return policy }

// Closed lists the chroots that Close has closed.
func (s *Server) Closed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.closed)
}

// judge has a server's audit log judged, before it is stopped. What there is to say goes to log.
func (s *Server) judge(log func(args ...any)) error {
	if !Closed() || shared.judge == nil {
		return nil
	}
	text, err := shared.judge(s)
	if text != "" {
		log(text)
	}
	return err
}

// persist calls do until the library has found the server, which it does not wait for.
func persist(do func() error) (err error) {
	for end := time.Now().Add(patience); ; time.Sleep(pollEvery) {
		if err = do(); err != zk.ErrNoServer || time.Now().After(end) {
			return err
		}
	}
}

// policyOf is that of a connect string; the open one if Close has not closed it.
func policyOf(connectString string) access.Policy {
	_, root, _ := strings.Cut(connectString, "/")
	if root != "" {
		root = "/" + root
	}
	if s := tlsServer(connectString); s != nil && slices.Contains(s.Closed(), root) {
		return policy
	}
	return access.Policy{}
}
