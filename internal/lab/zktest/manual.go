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

// A ManualClient is one plain ZooKeeper session, to do in a test what a person would
// type into ZooKeeper's shell. It fails its test on every error that its
// methods do not speak of, so they are for the test's own goroutine. A ManualClient
// whose session has ended does not get another one.
type ManualClient struct {
	Conn *zk.Conn // for whatever else there is to do; paths without the chroot

	t       testing.TB
	root    string        // chroot; "" for none
	policy  access.Policy // gives the ACLs of what it creates
	session int64
	over    atomic.Bool // the session has expired or was closed
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
	h := &ManualClient{t: t, root: root, policy: policyOf(connectString)}
	conn, err := connect(servers, Dialer(who), func() { h.over.Store(true) })
	if err != nil {
		t.Fatal(err)
	}
	h.Conn, h.session = conn, conn.SessionID()
	t.Cleanup(h.Close)
	return h
}

// connect opens a session. When the session expires, expired is called, and the connection is
// closed: go-zookeeper would open another session.
func connect(servers string, dial zk.Dialer, expired func()) (*zk.Conn, error) {
	var (
		conn      *zk.Conn
		err       error
		connected = make(chan struct{}) // closed when conn is set
		over      atomic.Bool
	)
	conn, _, err = zk.Connect(strings.Split(servers, ","), manualTimeout, zk.WithLogger(silent{}), zk.WithDialer(dial),
		zk.WithEventCallback(func(e zk.Event) {
			if e.State == zk.StateExpired {
				<-connected
				over.Store(true)
				expired()
				conn.Close()
			}
		}))
	close(connected)
	if err == nil {
		err = eventually(patience, func() (bool, string) { return conn.SessionID() != 0 || over.Load(), conn.State().String() })
	}
	if over.Load() {
		err = zk.ErrSessionExpired
	}
	if err != nil {
		return nil, fmt.Errorf("open a session at %s: %w", servers, err)
	}
	return conn, nil
}

// Dialer is Dial for go-zookeeper. Its connections bound the library's handshake, which waits
// for several session timeouts when a server that is just starting has accepted the connection
// and forgotten it.
func Dialer(who identity.Files) zk.Dialer {
	return func(_, addr string, limit time.Duration) (net.Conn, error) {
		conn, err := Dial(addr, who, limit)
		return impatient{conn}, err
	}
}

type impatient struct{ net.Conn }

func (c impatient) SetReadDeadline(t time.Time) error {
	if most := time.Now().Add(manualTimeout * 2 / 3); t.IsZero() || t.After(most) {
		t = most // no less than the library gives a server once there is a session
	}
	return c.Conn.SetReadDeadline(t)
}

// silent drops go-zookeeper's log.
type silent struct{}

func (silent) Printf(string, ...any) {}

// Session is the session's id, the EphemeralOwner of what it creates.
func (h *ManualClient) Session() int64 { return h.session }

// Close ends the session, and with it its ephemeral znodes.
func (h *ManualClient) Close() {
	h.over.Store(true)
	h.Conn.Close()
}

// Create creates a persistent znode.
func (h *ManualClient) Create(path, data string) {
	h.t.Helper()
	h.create(path, data, 0)
}

// Put creates a persistent znode, or replaces the data of one that is there.
func (h *ManualClient) Put(path, data string) {
	h.t.Helper()
	if _, ok := h.Stat(path); ok {
		h.Set(path, data)
	} else {
		h.Create(path, data)
	}
}

// CreateEphemeral creates a znode that ends with the session.
func (h *ManualClient) CreateEphemeral(path, data string) {
	h.t.Helper()
	h.create(path, data, zk.FlagEphemeral)
}

// CreateSeq creates an ephemeral-sequential znode and returns its path, without
// the chroot.
func (h *ManualClient) CreateSeq(path, data string) string {
	h.t.Helper()
	return h.create(path, data, zk.FlagEphemeral|zk.FlagSequence)
}

func (h *ManualClient) create(path, data string, flags int32) (created string) {
	h.t.Helper()
	h.write("create "+path, func() (err error) {
		created, err = h.Conn.Create(h.full(path), []byte(data), flags, h.policy.Closed(path, nil))
		return err
	})
	return strings.TrimPrefix(created, h.root)
}

// Set replaces the data of an existing znode.
func (h *ManualClient) Set(path, data string) {
	h.t.Helper()
	h.write("set "+path, func() error {
		_, err := h.Conn.Set(h.full(path), []byte(data), -1)
		return err
	})
}

// Delete deletes an existing znode without children.
func (h *ManualClient) Delete(path string) {
	h.t.Helper()
	h.write("delete "+path, func() error { return h.Conn.Delete(h.full(path), -1) })
}

// DeleteAll deletes a znode and all below it, whatever there is of it.
func (h *ManualClient) DeleteAll(path string) {
	h.t.Helper()
	for again := true; again; {
		for _, child := range h.Children(path) {
			h.DeleteAll(strings.TrimSuffix(path, "/") + "/" + child)
		}
		h.write("delete "+path, func() error {
			err := h.Conn.Delete(h.full(path), -1)
			again = err == zk.ErrNotEmpty // somebody still adds to it
			if again || err == zk.ErrNoNode {
				return nil
			}
			return err
		})
	}
}

// Get returns a znode's data and whether it exists.
func (h *ManualClient) Get(path string) (data string, exists bool) {
	h.t.Helper()
	exists = h.read("get "+path, func() error {
		b, _, err := h.Conn.Get(h.full(path))
		data = string(b)
		return err
	})
	return data, exists
}

// Stat returns a znode's Stat and whether it exists.
func (h *ManualClient) Stat(path string) (stat *zk.Stat, exists bool) {
	h.t.Helper()
	exists = h.read("get "+path, func() (err error) {
		_, stat, err = h.Conn.Get(h.full(path))
		return err
	})
	return stat, exists
}

// Children returns the names of a znode's children, sorted; nil when there is
// no such znode.
func (h *ManualClient) Children(path string) (children []string) {
	h.t.Helper()
	h.read("list "+path, func() (err error) {
		children, _, err = h.Conn.Children(h.full(path))
		return err
	})
	slices.Sort(children)
	return children
}

// SetQuota bounds how many znodes there may be, a path with all below it, and how many
// bytes they hold; -1 stands for any number. The last bounds hold. A server enforces that with
// -Dzookeeper.enforceQuota=true. It looks at what has been written, so that what is
// on its way may exceed it.
func (h *ManualClient) SetQuota(path string, znodes, bytes int) {
	h.t.Helper()
	create := func(path, data string) {
		h.write("create "+path, func() error {
			_, err := h.Conn.Create(path, []byte(data), 0, zk.WorldACL(zk.PermAll))
			if err == zk.ErrNodeExists {
				return nil
			}
			return err
		})
	}
	dir := "/zookeeper/quota"
	for name := range strings.SplitSeq(h.full(path)[1:], "/") {
		dir += "/" + name
		create(dir, "")
	}
	create(dir+"/zookeeper_stats", "count=0,bytes=0")
	create(dir+"/zookeeper_limits", "")
	h.write("set the quota of "+path, func() error {
		limits := fmt.Sprintf("count=-1,bytes=-1;byteHardLimit=%d;countHardLimit=%d", bytes, znodes)
		_, err := h.Conn.Set(dir+"/zookeeper_limits", []byte(limits), -1)
		return err
	})
}

// write calls do until it was sent: ErrNoServer means that it was not. After
// ErrConnectionClosed it may have happened, so the test fails.
func (h *ManualClient) write(what string, do func() error) {
	h.t.Helper()
	h.retry(what, do, false)
}

// read calls do until it gets an answer, also over a reconnection, and tells
// whether the znode exists.
func (h *ManualClient) read(what string, do func() error) (exists bool) {
	h.t.Helper()
	return h.retry(what, do, true)
}

func (h *ManualClient) retry(what string, do func() error, reads bool) (exists bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(pollEvery) {
		err := do()
		if err == nil || reads && err == zk.ErrNoNode {
			return err == nil
		}
		var reset net.Error
		again := err == zk.ErrNoServer || reads && (err == zk.ErrConnectionClosed || errors.As(err, &reset))
		if !again || h.over.Load() || time.Now().After(end) {
			h.t.Fatalf("%s: %v", what, err)
		}
	}
}

func (h *ManualClient) full(path string) string {
	if path == "/" && h.root != "" {
		return h.root
	}
	return h.root + path
}
