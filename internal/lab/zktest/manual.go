package zktest

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/identity"
)

// manualTimeout is the session timeout of a ManualClient: long, so that none of them
// expires because a test paused the server for a while.
const manualTimeout = 20 * time.Second

// A ManualClient is one plain ZooKeeper session. A test does with it what a person would
// type into ZooKeeper's shell. The test fails on every error that a method does not mention,
// so the methods are for the test's own goroutine. A ManualClient whose session has ended
// does not get another one.
type ManualClient struct {
	Conn *zk.Conn // for whatever else there is to do; paths without the chroot

	t       testing.TB
	root    string        // chroot; "" for none
	policy  access.Policy // gives the ACLs of what it creates
	session int64
	over    *atomic.Bool // the session has expired or was closed
}

// Conn opens a session to host:port[,host:port…][/chroot]; it is closed when
// the test ends. Where a Server has TLS, it is the admin's.
func Conn(t testing.TB, connectString string) *ManualClient {
	t.Helper()
	return ConnAs(t, connectString, serverAt(connectString).Identity("admin"))
}

// ConnAs is Conn with a certificate: the zero value connects without TLS.
func ConnAs(t testing.TB, connectString string, who identity.Files) *ManualClient {
	t.Helper()
	servers, root, _ := strings.Cut(connectString, "/")
	if root != "" {
		root = "/" + strings.TrimSuffix(root, "/")
	}
	conn, over, err := connect(servers, Dialer(who))
	if err != nil {
		t.Fatal(err)
	}
	m := &ManualClient{Conn: conn, t: t, root: root, policy: policyOf(connectString), session: conn.SessionID(), over: over}
	t.Cleanup(m.Close)
	return m
}

// connect opens a session. When the session expires, over is set, and the connection is
// closed: go-zookeeper would open another session.
func connect(servers string, dial zk.Dialer) (conn *zk.Conn, over *atomic.Bool, err error) {
	over = new(atomic.Bool)
	connected := make(chan *zk.Conn, 1)
	conn, _, err = zk.Connect(strings.Split(servers, ","), manualTimeout, zk.WithLogger(silent{}), zk.WithDialer(dial),
		zk.WithEventCallback(func(e zk.Event) {
			if e.State == zk.StateExpired && over.CompareAndSwap(false, true) {
				(<-connected).Close()
			}
		}))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", servers, err)
	}
	connected <- conn
	err = eventually(patience, func() (bool, string) { return conn.SessionID() != 0 || over.Load(), conn.State().String() })
	if err != nil {
		conn.Close()
	} else if over.Load() {
		err = zk.ErrSessionExpired
	}
	if err != nil {
		err = fmt.Errorf("open a session at %s: %w", servers, err)
	}
	return conn, over, err
}

// Dialer is Dial for go-zookeeper. Its connections bound the library's handshake, which waits
// for several session timeouts when a server that is just starting has accepted the connection
// and forgotten it.
func Dialer(who identity.Files) zk.Dialer {
	return func(_, addr string, limit time.Duration) (net.Conn, error) {
		conn, err := Dial(addr, who, limit)
		return bounded{conn}, err
	}
}

type bounded struct{ net.Conn }

func (c bounded) SetReadDeadline(t time.Time) error {
	if most := time.Now().Add(manualTimeout * 2 / 3); t.IsZero() || t.After(most) {
		t = most // no less than the library gives a server once there is a session
	}
	return c.Conn.SetReadDeadline(t)
}

// silent drops go-zookeeper's log.
type silent struct{}

func (silent) Printf(string, ...any) {}

// Session is the session's id, the EphemeralOwner of what it creates.
func (m *ManualClient) Session() int64 { return m.session }

// Close ends the session, and with it its ephemeral znodes.
func (m *ManualClient) Close() {
	m.over.Store(true)
	m.Conn.Close()
}

// Create creates a persistent znode.
func (m *ManualClient) Create(path, data string) {
	m.t.Helper()
	m.create(path, data, 0)
}

// Put creates a persistent znode, or replaces the data of one that is there.
func (m *ManualClient) Put(path, data string) {
	m.t.Helper()
	if _, ok := m.Stat(path); ok {
		m.Set(path, data)
	} else {
		m.Create(path, data)
	}
}

// CreateEphemeral creates a znode that ends with the session.
func (m *ManualClient) CreateEphemeral(path, data string) {
	m.t.Helper()
	m.create(path, data, zk.FlagEphemeral)
}

// CreateSeq creates an ephemeral-sequential znode and returns its path, without
// the chroot.
func (m *ManualClient) CreateSeq(path, data string) string {
	m.t.Helper()
	return m.create(path, data, zk.FlagEphemeral|zk.FlagSequence)
}

func (m *ManualClient) create(path, data string, flags int32) (created string) {
	m.t.Helper()
	m.write("create "+path, func() (err error) {
		created, err = m.Conn.Create(m.full(path), []byte(data), flags, m.policy.Closed(path, nil))
		return err
	})
	return strings.TrimPrefix(created, m.root)
}

// Set replaces the data of an existing znode.
func (m *ManualClient) Set(path, data string) {
	m.t.Helper()
	m.write("set "+path, func() error {
		_, err := m.Conn.Set(m.full(path), []byte(data), -1)
		return err
	})
}

// SetACL replaces the ACL of an existing znode.
func (m *ManualClient) SetACL(path string, acl []zk.ACL) {
	m.t.Helper()
	m.write("set the ACL of "+path, func() error {
		_, err := m.Conn.SetACL(m.full(path), acl, -1)
		return err
	})
}

// Delete deletes an existing znode without children.
func (m *ManualClient) Delete(path string) {
	m.t.Helper()
	m.write("delete "+path, func() error { return m.Conn.Delete(m.full(path), -1) })
}

// DeleteAll deletes a znode and all below it, whatever there is of it.
func (m *ManualClient) DeleteAll(path string) {
	m.t.Helper()
	for again := true; again; {
		for _, child := range m.Children(path) {
			m.DeleteAll(strings.TrimSuffix(path, "/") + "/" + child)
		}
		m.write("delete "+path, func() error {
			err := m.Conn.Delete(m.full(path), -1)
			again = err == zk.ErrNotEmpty // somebody still adds to it
			if again || err == zk.ErrNoNode {
				return nil
			}
			return err
		})
	}
}

// Get returns a znode's data and whether it exists.
func (m *ManualClient) Get(path string) (data string, exists bool) {
	m.t.Helper()
	exists = m.read("get "+path, func() error {
		b, _, err := m.Conn.Get(m.full(path))
		data = string(b)
		return err
	})
	return data, exists
}

// Stat returns a znode's Stat and whether it exists.
func (m *ManualClient) Stat(path string) (stat *zk.Stat, exists bool) {
	m.t.Helper()
	exists = m.read("get "+path, func() (err error) {
		_, stat, err = m.Conn.Get(m.full(path))
		return err
	})
	return stat, exists
}

// Children returns the names of a znode's children, sorted; nil when there is
// no such znode.
func (m *ManualClient) Children(path string) (children []string) {
	m.t.Helper()
	m.read("list "+path, func() (err error) {
		children, _, err = m.Conn.Children(m.full(path))
		return err
	})
	slices.Sort(children)
	return children
}

// SetQuota limits how many znodes there may be, a path with all below it, and how many
// bytes they hold; -1 stands for any number. The last limits hold. A server enforces them with
// -Dzookeeper.enforceQuota=true. The server counts what has been written, so writes that are
// on their way may exceed a limit.
func (m *ManualClient) SetQuota(path string, znodes, bytes int) {
	m.t.Helper()
	create := func(path, data string) {
		m.write("create "+path, func() error {
			_, err := m.Conn.Create(path, []byte(data), 0, zk.WorldACL(zk.PermAll))
			if err == zk.ErrNodeExists {
				return nil
			}
			return err
		})
	}
	dir := "/zookeeper/quota"
	for name := range strings.SplitSeq(m.full(path)[1:], "/") {
		dir += "/" + name
		create(dir, "")
	}
	create(dir+"/zookeeper_stats", "count=0,bytes=0")
	create(dir+"/zookeeper_limits", "")
	m.write("set the quota of "+path, func() error {
		limits := fmt.Sprintf("count=-1,bytes=-1;byteHardLimit=%d;countHardLimit=%d", bytes, znodes)
		_, err := m.Conn.Set(dir+"/zookeeper_limits", []byte(limits), -1)
		return err
	})
}

// write calls do until it was sent: ErrNoServer means that it was not. After
// ErrConnectionClosed it may have happened, so the test fails.
func (m *ManualClient) write(what string, do func() error) {
	m.t.Helper()
	m.retry(what, do, false)
}

// read calls do until it gets an answer, also over a reconnection, and tells
// whether the znode exists.
func (m *ManualClient) read(what string, do func() error) (exists bool) {
	m.t.Helper()
	return m.retry(what, do, true)
}

func (m *ManualClient) retry(what string, do func() error, reads bool) (exists bool) {
	m.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(pollEvery) {
		err := do()
		if err == nil || reads && err == zk.ErrNoNode {
			return err == nil
		}
		var reset net.Error
		again := err == zk.ErrNoServer || reads && (err == zk.ErrConnectionClosed || errors.As(err, &reset))
		if !again || m.over.Load() || time.Now().After(end) {
			m.t.Fatalf("%s: %v", what, err)
		}
	}
}

func (m *ManualClient) full(path string) string {
	if path == "/" && m.root != "" {
		return m.root
	}
	return m.root + path
}
