package zktest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/identity"
)

// raw is a client that speaks the protocol on one connection and never
// connects again.
type raw struct {
	t    *testing.T
	conn net.Conn
	xid  uint32
}

func dialRaw(t *testing.T, addr string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &raw{t: t, conn: conn}
}

func connectRaw(t *testing.T, addr string) *raw {
	t.Helper()
	c := dialRaw(t, addr)
	if err := c.handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *raw) handshake() error {
	hello := make([]byte, 4+8) // version, last zxid
	hello = binary.BigEndian.AppendUint32(hello, 10_000)
	hello = append(hello, make([]byte, 8)...) // a new session
	hello = binary.BigEndian.AppendUint32(hello, 16)
	_, err := call(c.conn, append(hello, make([]byte, 16)...))
	return err
}

func str(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}

// do sends a request and returns the server's error code.
func (c *raw) do(op Op, body ...[]byte) (code int32, err error) {
	c.xid++
	request := binary.BigEndian.AppendUint32(nil, c.xid)
	request = binary.BigEndian.AppendUint32(request, uint32(op))
	reply, err := call(c.conn, append(request, slices.Concat(body...)...))
	if err != nil {
		return 0, err
	}
	if got := binary.BigEndian.Uint32(reply); got != c.xid {
		c.t.Errorf("reply to %d, want %d", got, c.xid)
	}
	return int32(binary.BigEndian.Uint32(reply[12:])), nil
}

func (c *raw) exists(path string) (code int32, err error) {
	return c.do(OpExists, str(path), []byte{0})
}

func (c *raw) create(path string) (code int32, err error) {
	acl := slices.Concat([]byte{0, 0, 0, 1, 0, 0, 0, 31}, str("world"), str("anyone"))
	return c.do(OpCreate, str(path), str(""), acl, []byte{0, 0, 0, 0})
}

func opHeader(op Op) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(op)), 0, 255, 255, 255, 255)
}

func happened(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
}

func notYet(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
		t.Fatalf("%s too early", what)
	default:
	}
}

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }

func TestProxy(t *testing.T) {
	t.Parallel()
	t.Run("passes_requests_and_tells_which", func(t *testing.T) {
		root := Connect(t)
		p, through := Via(t, root)
		if p.Addr() == Shared(t).Addr() || strings.TrimPrefix(through, p.Addr()) != root[strings.Index(root, "/"):] {
			t.Fatalf("%s through the proxy is %s", root, through)
		}
		h := Conn(t, through)
		h.Create("/a", strings.Repeat("x", 300_000))
		h.Children("/")
		if data, _ := h.Get("/a"); len(data) != 300_000 {
			t.Errorf("got %d bytes", len(data))
		}
		h.Delete("/a")
		if got := fmt.Sprint(p.Seen()); got != "[create getChildren getData delete]" {
			t.Errorf("seen %s", got)
		}
		h.Close()
		if got := fmt.Sprint(p.Seen()); got != "[close]" {
			t.Errorf("seen %s", got)
		}
	})
	t.Run("passes_four-letter_words", func(t *testing.T) {
		p, _ := Via(t, Shared(t).Addr())
		port := p.listener.Addr().(*net.TCPAddr).Port
		if answer, err := (&Server{port: port}).Srvr(); err != nil || !strings.Contains(answer, "Mode: standalone") {
			t.Errorf("srvr: %q, %v", answer, err)
		}
	})
	t.Run("cuts_before_the_nth_request_that_matches", func(t *testing.T) {
		root := Connect(t)
		_, chroot, _ := strings.Cut(root, "/")
		p, _ := Via(t, root)
		c := connectRaw(t, p.Addr())
		met := p.CutBefore(OpCreate, 2, Naming("/b"))
		for _, path := range []string{"/a1", "/b1", "/a2"} {
			if code, err := c.create("/" + chroot + path); code != 0 || err != nil {
				t.Fatalf("create %s: %d, %v", path, code, err)
			}
		}
		notYet(t, "cut", met)
		if code, err := c.create("/" + chroot + "/b2"); !isReset(err) {
			t.Errorf("create: %d, %v; want a reset", code, err)
		}
		happened(t, "cut", met)
		h := Conn(t, root)
		if got := fmt.Sprint(h.Children("/")); got != "[a1 a2 b1]" {
			t.Errorf("created %s", got)
		}
		if got := fmt.Sprint(p.Seen()); got != "[create create create]" {
			t.Errorf("seen %s", got)
		}
		if _, err := connectRaw(t, p.Addr()).create("/" + chroot + "/b3"); err != nil {
			t.Errorf("after the cut: %v", err)
		}
	})
	t.Run("cuts_after_the_server_has_carried_it_out", func(t *testing.T) {
		root := Connect(t)
		_, chroot, _ := strings.Cut(root, "/")
		p, _ := Via(t, root)
		c := connectRaw(t, p.Addr())
		met := p.CutAfter(OpCreate, 1)
		if code, err := c.exists("/"); code != 0 || err != nil {
			t.Fatalf("exists: %d, %v", code, err)
		}
		if code, err := c.create("/" + chroot + "/a"); !isReset(err) {
			t.Errorf("create: %d, %v; want a reset", code, err)
		}
		happened(t, "cut", met)
		if _, ok := Conn(t, root).Get("/a"); !ok {
			t.Error("it was not carried out")
		}
	})
	t.Run("loses_a_reply_and_nothing_else", func(t *testing.T) {
		root := Connect(t)
		_, chroot, _ := strings.Cut(root, "/")
		p, _ := Via(t, root)
		c := connectRaw(t, p.Addr())
		lost := p.Lose(OpExists, 1)
		request := slices.Concat(binary.BigEndian.AppendUint32(nil, 77), []byte{0, 0, 0, byte(OpExists)}, str("/"), []byte{0})
		if _, err := c.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(request))), request...)); err != nil {
			t.Fatal(err)
		}
		if code, err := c.exists("/" + chroot); code != 0 || err != nil { // the reply is not that to 77
			t.Errorf("exists: %d, %v", code, err)
		}
		happened(t, "lost", lost)
	})
	t.Run("refuses_from_a_reply_on", func(t *testing.T) {
		root := Connect(t)
		_, chroot, _ := strings.Cut(root, "/")
		p, _ := Via(t, root)
		c, other := connectRaw(t, p.Addr()), connectRaw(t, p.Addr())
		met := p.RefuseAfter(OpCreate, 1)
		if code, err := c.create("/" + chroot + "/a"); !isReset(err) {
			t.Errorf("create: %d, %v; want a reset", code, err)
		}
		happened(t, "cut", met)
		if _, err := other.exists("/"); !isReset(err) {
			t.Errorf("another connection: %v; want a reset", err)
		}
		if conn, err := net.Dial("tcp", p.Addr()); err == nil {
			defer conn.Close()
			if _, err := read(conn); !isReset(err) {
				t.Errorf("a new connection: %v; want a reset", err)
			}
		}
		p.Refuse(false)
		connectRaw(t, p.Addr())
		if _, ok := Conn(t, root).Get("/a"); !ok {
			t.Error("it was not carried out")
		}
	})
	t.Run("holds_a_request_until_it_is_released", func(t *testing.T) {
		root := Connect(t)
		_, chroot, _ := strings.Cut(root, "/")
		p, _ := Via(t, root)
		c, h := connectRaw(t, p.Addr()), Conn(t, root)
		held, release := p.Hold(OpCreate, 1)
		done := make(chan error, 1)
		go func() { _, err := c.create("/" + chroot + "/a"); done <- err }()
		happened(t, "hold", held)
		if _, ok := h.Get("/a"); ok {
			t.Error("it was passed on")
		}
		release()
		release()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, ok := h.Get("/a"); !ok {
			t.Error("it was not carried out")
		}
	})
	t.Run("catches_a_multi_that_arrives_on_another_session", func(t *testing.T) {
		root := Connect(t)
		_, chroot, _ := strings.Cut(root, "/")
		p, _ := Via(t, root)
		c, h := connectRaw(t, p.Addr()), Conn(t, root)
		h.Create("/a", "old")
		caught, release := p.Catch(OpMulti, 1, Naming("/a"))
		defer release()
		fence, a := "/"+chroot+"/fence", "/"+chroot+"/a"
		done := make(chan error, 1)
		go func() {
			_, err := c.do(OpMulti,
				opHeader(OpCheck), str(fence), []byte{255, 255, 255, 255},
				opHeader(OpSetData), str(a), str("new"), []byte{0, 0, 0, 0},
				opHeader(-1)[:4], []byte{1, 255, 255, 255, 255})
			done <- err
		}()
		var multi []byte
		select {
		case multi = <-caught:
		case <-time.After(patience):
			t.Fatal("nothing is caught")
		}
		ops, err := MultiOps(multi)
		if got := fmt.Sprintf("%+v", ops); err != nil || got != fmt.Sprintf("[{Op:check Path:%s Data:[] Version:-1} {Op:setData Path:%s Data:[110 101 119] Version:0}]", fence, a) {
			t.Errorf("caught %s, %v", got, err)
		}

		const noNode, badVersion = -101, -103
		for _, step := range []struct {
			refused int32
			at      int
			data    string
			next    func()
		}{
			{noNode, 0, "old", func() { h.Create("/fence", "") }},
			{0, -1, "new", func() {}},
			{badVersion, 1, "new", func() {}},
		} {
			answer, err := Deliver(root, identity.Files{}, multi)
			if err != nil || answer.Refused != step.refused || answer.RefusedAt != step.at {
				t.Errorf("delivered: %+v, %v; want %d at %d", answer, err, step.refused, step.at)
			}
			if answer.Session == h.Session() || answer.Session == 0 {
				t.Errorf("session 0x%x", answer.Session)
			}
			if data, _ := h.Get("/a"); data != step.data {
				t.Errorf("holds %q afterwards, want %q", data, step.data)
			}
			if stat, _ := h.Stat("/a"); answer.Refused == 0 && stat.Mzxid != answer.Zxid {
				t.Errorf("zxid 0x%x, want 0x%x", answer.Zxid, stat.Mzxid)
			}
			step.next()
		}
		if got := fmt.Sprint(p.Seen()); got != "[]" {
			t.Errorf("passed on %s", got)
		}
		release()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("cuts_what_it_holds_when_told_to_refuse", func(t *testing.T) {
		root := Connect(t)
		_, chroot, _ := strings.Cut(root, "/")
		p, _ := Via(t, root)
		c := connectRaw(t, p.Addr())
		held, release := p.Hold(OpCreate, 1)
		done := make(chan error, 1)
		go func() { _, err := c.create("/" + chroot + "/a"); done <- err }()
		happened(t, "hold", held)
		p.Refuse(true)
		release()
		if err := <-done; !isReset(err) {
			t.Errorf("create: %v; want a reset", err)
		}
		if conn, err := net.Dial("tcp", p.Addr()); err == nil {
			defer conn.Close()
			if _, err := read(conn); !isReset(err) {
				t.Errorf("a new connection: %v; want a reset", err)
			}
		}
		p.Refuse(false)
		connectRaw(t, p.Addr())
		if _, ok := Conn(t, root).Get("/a"); ok {
			t.Error("it was passed on")
		}
	})
	t.Run("is_silent_as_a_black_hole", func(t *testing.T) {
		p, _ := Via(t, Shared(t).Addr())
		c, given := connectRaw(t, p.Addr()), connectRaw(t, p.Addr())
		p.Seen()
		p.Blackhole(true)
		p.Blackhole(true)
		fresh := dialRaw(t, p.Addr())
		for _, conn := range []net.Conn{c.conn, given.conn, fresh.conn} {
			conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
		}
		if _, err := c.exists("/"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("exists: %v", err)
		}
		if _, err := given.exists("/"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("exists: %v", err)
		}
		if err := fresh.handshake(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("handshake: %v", err)
		}
		given.conn.Close()
		p.awaitLinks(t, 2)
		if got := p.Seen(); len(got) != 0 {
			t.Errorf("passed %v", got)
		}

		p.Blackhole(false)
		p.Blackhole(false)
		c.conn.SetDeadline(time.Now().Add(patience))
		if _, err := read(c.conn); err != nil { // the answer to the request that was kept
			t.Errorf("afterwards: %v", err)
		}
		if _, err := c.exists("/"); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if got := fmt.Sprint(p.Seen()); got != "[exists exists]" {
			t.Errorf("passed %v", got)
		}
	})
	t.Run("hides_the_end_of_the_server_in_a_black_hole", func(t *testing.T) {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p, _ := Via(t, l.Addr().String())
		c := dialRaw(t, p.Addr())
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		p.awaitLinks(t, 1)
		p.Blackhole(true)
		server.Close()
		c.conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := read(c.conn); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("in the black hole: %v", err)
		}
		p.Blackhole(false)
		c.conn.SetDeadline(time.Now().Add(patience))
		if _, err := read(c.conn); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("afterwards: %v", err)
		}
	})
	t.Run("delays_both_ways", func(t *testing.T) {
		p, _ := Via(t, Shared(t).Addr())
		c := connectRaw(t, p.Addr())
		p.Delay(30 * time.Millisecond)
		start := time.Now()
		if _, err := c.exists("/"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 60*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
	t.Run("resets_when_the_server_is_down", func(t *testing.T) {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		p, _ := Via(t, l.Addr().String())
		conn, err := net.Dial("tcp", p.Addr())
		if err == nil {
			defer conn.Close()
			_, err = read(conn)
		}
		if !isReset(err) {
			t.Errorf("got %v, want a reset", err)
		}
	})
	t.Run("tells_of_a_cut_that_came_by_itself", func(t *testing.T) {
		p, _ := Via(t, Shared(t).Addr())
		c := connectRaw(t, p.Addr())
		met := p.CutAfter(OpClose, 1)
		c.do(OpClose) // the reply, or the end of the connection
		happened(t, "cut", met)
	})
}

func (p *Proxy) awaitLinks(t *testing.T, want int) {
	t.Helper()
	Eventually(t, "links of the proxy", func() (bool, string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.links) == want, fmt.Sprintf("%d of %d", len(p.links), want)
	})
}
