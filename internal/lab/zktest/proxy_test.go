package zktest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/identity"
)

// raw is a client that speaks the protocol on one connection and never
// connects again.
type raw struct {
	*wire
	root string // chroot
	xid  int32
}

// dialRaw connects to a proxy, and makes no handshake.
func dialRaw(t *testing.T, p *Proxy) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &raw{wire: newWire(conn)}
}

// rawVia makes a root, a proxy before it, a client that goes through the proxy, and one that
// does not.
func rawVia(t *testing.T) (*Proxy, *raw, *ManualClient) {
	t.Helper()
	root := Connect(t)
	p, _ := Via(t, root)
	c := dialRaw(t, p)
	if _, err := c.handshake(0); err != nil {
		t.Fatal(err)
	}
	h := Conn(t, root)
	c.root = h.root
	return p, c, h
}

func str(s string) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...) }

// do sends a request. The server's error code is an error, and so is the reply to another request.
func (c *raw) do(op Op, body ...any) error {
	c.xid++
	var reply replyHeader
	_, err := c.call(&reply, append([]any{requestHeader{c.xid, op}}, body...)...)
	if err == nil && reply.Xid != c.xid {
		return fmt.Errorf("reply to %d, not to %d", reply.Xid, c.xid)
	}
	return errors.Join(err, reply.error())
}

func (c *raw) exists() error { return c.do(OpExists, str("/"), false) }

func (c *raw) create(path string) error {
	const permAll, entries = int32(31), int32(1)
	return c.do(OpCreate, str(c.root+path), str(""), entries, permAll, str("world"), str("anyone"), int32(0))
}

func happened(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
}

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }

// refused checks that a proxy resets a new connection.
func refused(t *testing.T, p *Proxy) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	if !isReset(err) {
		t.Errorf("a new connection: %v; want a reset", err)
	}
}

func seen(t *testing.T, p *Proxy, want string) {
	t.Helper()
	if got := fmt.Sprint(p.Seen()); got != want {
		t.Errorf("seen %s, want %s", got, want)
	}
}

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
		seen(t, p, "[create getChildren getData delete]")
		h.Close()
		seen(t, p, "[close]")
	})
	t.Run("passes_four-letter_words", func(t *testing.T) {
		p, _ := Via(t, Shared(t).Addr())
		for word, want := range map[string]string{"ruok": "imok", "conf": "tickTime=100\n", "mntr": "zk_znode_count"} {
			direct, err := Shared(t).Ask(word)
			answer, errVia := ask(p.Addr(), identity.Files{}, word)
			if err != nil || errVia != nil || !strings.Contains(answer, want) || strings.Count(answer, "\n") != strings.Count(direct, "\n") {
				t.Errorf("%s: %q, %v; without the proxy %q, %v", word, answer, errVia, direct, err)
			}
		}
	})
	t.Run("counts_only_requests_that_match", func(t *testing.T) {
		p, c, h := rawVia(t)
		met := p.CutBefore(OpCreate, 2, Naming("/b"))
		for _, path := range []string{"/a1", "/b1", "/a2"} {
			if err := c.create(path); err != nil {
				t.Fatalf("create %s: %v", path, err)
			}
		}
		select {
		case <-met:
			t.Fatal("cut too early")
		default:
		}
		if err := c.create("/b2"); !isReset(err) {
			t.Errorf("create: %v; want a reset", err)
		}
		if got := fmt.Sprint(h.Children("/")); got != "[a1 a2 b1]" {
			t.Errorf("created %s", got)
		}
		seen(t, p, "[create create create]")
	})
	for _, tt := range []struct {
		name                        string
		rule                        func(p *Proxy) (met <-chan struct{}, then func())
		resets, carriesOut, refuses bool
	}{
		{"cuts_before_a_request", func(p *Proxy) (<-chan struct{}, func()) {
			return p.CutBefore(OpCreate, 1), func() {}
		}, true, false, false},
		{"cuts_after_a_request_is_carried_out", func(p *Proxy) (<-chan struct{}, func()) {
			return p.CutAfter(OpCreate, 1), func() {}
		}, true, true, false},
		{"refuses_after_a_request_is_carried_out", func(p *Proxy) (<-chan struct{}, func()) {
			return p.RefuseAfter(OpCreate, 1), func() {}
		}, true, true, true},
		{"holds_a_request_until_it_is_released", func(p *Proxy) (<-chan struct{}, func()) {
			held, release := p.Hold(OpCreate, 1)
			return held, func() {
				seen(t, p, "[exists]")
				release()
				release()
			}
		}, false, true, false},
		{"cuts_what_it_holds_when_told_to_refuse", func(p *Proxy) (<-chan struct{}, func()) {
			held, release := p.Hold(OpCreate, 1)
			return held, func() {
				p.Refuse(true)
				release()
			}
		}, true, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, c, h := rawVia(t)
			other := dialRaw(t, p)
			if _, err := other.handshake(0); err != nil {
				t.Fatal(err)
			}
			met, then := tt.rule(p)
			if err := c.exists(); err != nil {
				t.Fatalf("exists: %v", err)
			}
			done := make(chan error, 1)
			go func() { done <- c.create("/a") }()
			happened(t, "the rule", met)
			then()
			if err := <-done; isReset(err) != tt.resets || err != nil && !tt.resets {
				t.Errorf("create: %v", err)
			}
			if _, ok := h.Get("/a"); ok != tt.carriesOut {
				t.Errorf("carried out: %t", ok)
			}
			if err := other.exists(); isReset(err) != tt.refuses {
				t.Errorf("another connection: %v", err)
			}
			if tt.refuses {
				refused(t, p)
				p.Refuse(false)
			}
			if _, err := dialRaw(t, p).handshake(0); err != nil {
				t.Errorf("a new connection afterwards: %v", err)
			}
		})
	}
	t.Run("loses_a_reply_and_nothing_else", func(t *testing.T) {
		p, c, _ := rawVia(t)
		lost := p.Lose(OpExists, 1)
		if err := c.send(requestHeader{77, OpExists}, str("/"), false); err != nil {
			t.Fatal(err)
		}
		if err := c.exists(); err != nil { // the reply is not that to 77
			t.Errorf("exists: %v", err)
		}
		happened(t, "lost", lost)
	})
	t.Run("is_silent_as_a_black_hole", func(t *testing.T) {
		p, c, _ := rawVia(t)
		given, fresh := dialRaw(t, p), dialRaw(t, p)
		if _, err := given.handshake(0); err != nil {
			t.Fatal(err)
		}
		p.Seen()
		p.Blackhole(true)
		p.Blackhole(true)
		handshake := func() error { _, err := fresh.handshake(0); return err }
		for _, conn := range []*raw{c, given, fresh} {
			conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
		}
		for name, do := range map[string]func() error{"exists": c.exists, "exists, given up": given.exists, "handshake": handshake} {
			if err := do(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		}
		given.Close()
		p.awaitLinks(t, 2)
		seen(t, p, "[]")

		p.Blackhole(false)
		p.Blackhole(false)
		c.SetDeadline(time.Now().Add(patience))
		if _, err := nextPacket(c.in); err != nil { // the answer to the request that was kept
			t.Errorf("afterwards: %v", err)
		}
		if err := c.exists(); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		seen(t, p, "[exists exists]")
	})
	t.Run("hides_the_end_of_the_server_in_a_black_hole", func(t *testing.T) {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p, _ := Via(t, l.Addr().String())
		c := dialRaw(t, p)
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		p.awaitLinks(t, 1)
		p.Blackhole(true)
		server.Close()
		c.SetDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := nextPacket(c.in); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("in the black hole: %v", err)
		}
		p.Blackhole(false)
		c.SetDeadline(time.Now().Add(patience))
		if _, err := nextPacket(c.in); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("afterwards: %v", err)
		}
		l.Close()
		refused(t, p) // the server is down
	})
	t.Run("delays_both_ways", func(t *testing.T) {
		p, c, _ := rawVia(t)
		p.Delay(30 * time.Millisecond)
		start := time.Now()
		if err := c.exists(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 60*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
	t.Run("makes_an_operation_unknown_to_the_server", func(t *testing.T) {
		p, c, _ := rawVia(t)
		p.Unknown(OpExists)
		if err := c.do(OpGetData, str("/"), false); err != nil {
			t.Errorf("getData: %v", err)
		}
		if err := c.exists(); err == nil || isReset(err) {
			t.Errorf("exists: %v", err)
		}
	})
	t.Run("tells_of_a_cut_that_came_by_itself", func(t *testing.T) {
		p, c, _ := rawVia(t)
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
