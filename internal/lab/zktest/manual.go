package zktest

import (
	"errors"
	"net"
	"slices"
	"strings"
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
	policy  access.Policy // by which it creates
	session int64
	expired chan struct{} // closed by Conn's callback
	closed  bool
}

// Conn opens a session to host:port[,host:port…][/chroot]; it is closed when
// the test ends. Where a Server has TLS, it is the admin's.
func Conn(t testing.TB, connectString string) *ManualClient {
	t.Helper()
	return ConnAs(t, connectString, adminOf(connectString))
}

// ConnAs is Conn as somebody: the zero value connects without TLS.
func ConnAs(t testing.TB, connectString string, who identity.Files) *ManualClient {
	t.Helper()
	servers, root, _ := strings.Cut(connectString, "/")
	if root != "" {
		root = "/" + strings.TrimSuffix(root, "/")
	}
	h := &ManualClient{t: t, root: root, policy: policyOf(connectString), expired: make(chan struct{})}

	var (
		connected = make(chan struct{}) // h.Conn is set
		session   = make(chan int64, 1)
	)
	conn, _, err := zk.Connect(strings.Split(servers, ","), manualTimeout,
		zk.WithLogger(silent{}),
		zk.WithDialer(func(_, addr string, timeout time.Duration) (net.Conn, error) {
			c, err := Dial(addr, who, timeout)
			if err != nil {
				return nil, err
			}
			return impatient{c}, nil
		}),
		zk.WithEventCallback(func(e zk.Event) {
			if e.Type != zk.EventSession {
				return
			}
			<-connected
			switch e.State {
			case zk.StateHasSession:
				select {
				case session <- h.Conn.SessionID():
				default:
				}
			case zk.StateExpired:
				close(h.expired)
				h.Conn.Close() // from in here: go-zookeeper would open another session
			}
		}))
	if err != nil {
		t.Fatalf("connect to %s: %v", servers, err)
	}
	h.Conn = conn
	close(connected)
	t.Cleanup(h.Close)

	select {
	case h.session = <-session:
	case <-time.After(patience):
		t.Fatalf("connect to %s: no session after %v", servers, patience)
	}
	return h
}

// Session is the session's id, the EphemeralOwner of what it creates.
func (h *ManualClient) Session() int64 { return h.session }

// Expired is closed when the session has expired and the ManualClient knows it, which
// takes a connection to the server.
func (h *ManualClient) Expired() <-chan struct{} { return h.expired }

// Close ends the session, and with it its ephemeral znodes.
func (h *ManualClient) Close() {
	h.closed = true
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
	err := h.write(func() (err error) {
		created, err = h.Conn.Create(h.full(path), []byte(data), flags, h.policy.Closed(path, nil))
		return err
	})
	if err != nil {
		h.t.Fatalf("create %s: %v", path, err)
	}
	return strings.TrimPrefix(created, h.root)
}

// Set replaces the data of an existing znode.
func (h *ManualClient) Set(path, data string) {
	h.t.Helper()
	err := h.write(func() error {
		_, err := h.Conn.Set(h.full(path), []byte(data), -1)
		return err
	})
	if err != nil {
		h.t.Fatalf("set %s: %v", path, err)
	}
}

// Delete deletes an existing znode without children.
func (h *ManualClient) Delete(path string) {
	h.t.Helper()
	if err := h.delete(path); err != nil {
		h.t.Fatalf("delete %s: %v", path, err)
	}
}

// DeleteAll deletes a znode and all below it, whatever there is of it.
func (h *ManualClient) DeleteAll(path string) {
	h.t.Helper()
	for {
		for _, child := range h.Children(path) {
			h.DeleteAll(strings.TrimSuffix(path, "/") + "/" + child)
		}
		err := h.delete(path)
		switch {
		case err == nil, errors.Is(err, zk.ErrNoNode):
			return
		case !errors.Is(err, zk.ErrNotEmpty): // somebody still adds to it
			h.t.Fatalf("delete %s: %v", path, err)
		}
	}
}

func (h *ManualClient) delete(path string) error {
	return h.write(func() error { return h.Conn.Delete(h.full(path), -1) })
}

// Get returns a znode's data and whether it exists.
func (h *ManualClient) Get(path string) (string, bool) {
	h.t.Helper()
	data, _, ok := h.get(path)
	return data, ok
}

// Stat returns a znode's Stat and whether it exists.
func (h *ManualClient) Stat(path string) (*zk.Stat, bool) {
	h.t.Helper()
	_, stat, ok := h.get(path)
	return stat, ok
}

func (h *ManualClient) get(path string) (data string, stat *zk.Stat, ok bool) {
	h.t.Helper()
	ok = h.read("get "+path, func() (err error) {
		var b []byte
		b, stat, err = h.Conn.Get(h.full(path))
		data = string(b)
		return err
	})
	return data, stat, ok
}

// Children returns the names of a znode's children, sorted; nil when there is
// no such znode.
func (h *ManualClient) Children(path string) []string {
	h.t.Helper()
	children := []string{}
	ok := h.read("list "+path, func() (err error) {
		children, _, err = h.Conn.Children(h.full(path))
		return err
	})
	if !ok {
		return nil
	}
	slices.Sort(children)
	return children
}

// impatient bounds the library's handshake, which waits for several session timeouts
// where a server that is just starting took the connection and forgot it.
type impatient struct{ net.Conn }

func (c impatient) SetReadDeadline(t time.Time) error {
	if most := time.Now().Add(manualTimeout * 2 / 3); t.IsZero() || t.After(most) {
		t = most // no less than the library gives a server once there is a session
	}
	return c.Conn.SetReadDeadline(t)
}

// read calls do until it gets an answer, also over a reconnection, and tells
// whether the znode exists.
func (h *ManualClient) read(what string, do func() error) bool {
	h.t.Helper()
	err := h.retry(do, func(err error) bool {
		var ne net.Error // of a socket that was reset
		return err == zk.ErrNoServer || err == zk.ErrConnectionClosed || errors.As(err, &ne)
	})
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		h.t.Fatalf("%s: %v", what, err)
	}
	return err == nil
}

// write calls do until it was sent: ErrNoServer means that it was not. After
// ErrConnectionClosed it may have happened, and that is for the test to judge.
func (h *ManualClient) write(do func() error) error {
	return h.retry(do, func(err error) bool { return err == zk.ErrNoServer })
}

func (h *ManualClient) retry(do func() error, again func(error) bool) error {
	for end := time.Now().Add(patience); ; time.Sleep(pollEvery) {
		err := do()
		if !again(err) || h.over() || time.Now().After(end) {
			return err
		}
	}
}

func (h *ManualClient) over() bool {
	select {
	case <-h.expired:
		return true
	default:
		return h.closed
	}
}

func (h *ManualClient) full(path string) string {
	if path == "/" && h.root != "" {
		return h.root
	}
	return h.root + path
}

// silent drops go-zookeeper's log.
type silent struct{}

func (silent) Printf(string, ...any) {}
