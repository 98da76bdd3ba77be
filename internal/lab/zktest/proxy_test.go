package zktest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/identity"
)

// once is a client that never connects again.
type once struct {
	*zk.Conn
	root string // chroot
	tcp  *observed
}

// observed is a connection that tells how it has ended.
type observed struct {
	net.Conn
	end chan error
}

func (c *observed) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		select {
		case c.end <- err:
		default: // it was told
		}
	}
	return n, err
}

// connectOnce opens a session through a proxy.
func connectOnce(t *testing.T, p *Proxy) *once {
	t.Helper()
	c := &once{}
	conn, _, err := connect(p.Addr(), func(network, addr string, limit time.Duration) (net.Conn, error) {
		if c.tcp != nil {
			return nil, errors.New("it has connected before")
		}
		conn, err := net.DialTimeout(network, addr, limit)
		c.tcp = &observed{conn, make(chan error, 1)}
		return c.tcp, err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Conn = conn
	t.Cleanup(func() { go conn.Close() }) // which waits for two seconds where there is no connection
	return c
}

// onceVia makes a root, a proxy before it, a client that goes through the proxy, and one that
// does not.
func onceVia(t *testing.T) (*Proxy, *once, *ManualClient) {
	t.Helper()
	root := Connect(t)
	p, _ := Via(t, root)
	c, h := connectOnce(t, p), Conn(t, root)
	c.root = h.root
	p.Seen()
	return p, c, h
}

func (c *once) exists() error {
	_, _, err := c.Conn.Exists("/")
	return err
}

func (c *once) create(path string) error {
	_, err := c.Conn.Create(c.root+path, nil, 0, zk.WorldACL(zk.PermAll))
	return err
}

// reset reports whether the connection was reset, when it has ended.
func (c *once) reset() bool {
	select {
	case err := <-c.tcp.end:
		return isReset(err)
	case <-time.After(patience):
		return false
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
	t.Run("passes_requests_and_lists_them", func(t *testing.T) {
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
		p, c, h := onceVia(t)
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
		if err := c.create("/b2"); err == nil || !c.reset() {
			t.Errorf("create: %v; want a reset", err)
		}
		if got := fmt.Sprint(h.Children("/")); got != "[a1 a2 b1]" {
			t.Errorf("created %s", got)
		}
		seen(t, p, "[create create create]")
	})
	nothing := func() {}
	for _, tt := range []struct {
		name                        string
		rule                        func(p *Proxy) (met <-chan struct{}, then func())
		resets, carriesOut, refuses bool
	}{
		{"cuts_before_a_request", func(p *Proxy) (<-chan struct{}, func()) { return p.CutBefore(OpCreate, 1), nothing }, true, false, false},
		{"cuts_after_a_request_is_carried_out", func(p *Proxy) (<-chan struct{}, func()) { return p.CutAfter(OpCreate, 1), nothing }, true, true, false},
		{"refuses_after_a_request_is_carried_out", func(p *Proxy) (<-chan struct{}, func()) { return p.RefuseAfter(OpCreate, 1), nothing }, true, true, true},
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
			p, c, h := onceVia(t)
			other := connectOnce(t, p)
			met, then := tt.rule(p)
			if err := c.exists(); err != nil {
				t.Fatalf("exists: %v", err)
			}
			done := make(chan error, 1)
			go func() { done <- c.create("/a") }()
			Receive(t, "action of the rule", met)
			then()
			if err := <-done; (err != nil) != tt.resets || tt.resets && !c.reset() {
				t.Errorf("create: %v", err)
			}
			if _, ok := h.Get("/a"); ok != tt.carriesOut {
				t.Errorf("carried out: %t", ok)
			}
			if tt.refuses {
				if !other.reset() {
					t.Error("another connection is not reset")
				}
				refused(t, p)
				p.Refuse(false)
			} else if err := other.exists(); err != nil {
				t.Errorf("another connection: %v", err)
			}
			connectOnce(t, p)
		})
	}
	t.Run("loses_a_reply_and_nothing_else", func(t *testing.T) {
		p, c, _ := onceVia(t)
		lost := p.Lose(OpExists, 1)
		done := make(chan error, 1)
		go func() { done <- c.exists() }()
		Receive(t, "lost", lost)
		if err := c.exists(); err != nil {
			t.Errorf("exists: %v", err)
		}
		select {
		case err := <-done:
			t.Errorf("the call has returned: %v", err)
		default:
		}
	})
	t.Run("passes_nothing_in_a_black_hole", func(t *testing.T) {
		p, c, _ := onceVia(t)
		abandoned := connectOnce(t, p)
		p.Blackhole(true)
		p.Blackhole(true)
		if _, err := net.Dial("tcp", p.Addr()); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 2)
		for _, conn := range []*once{c, abandoned} {
			go func() { done <- conn.exists() }()
		}
		p.awaitLinks(t, 3)
		select {
		case err := <-done:
			t.Errorf("a call has returned: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		abandoned.tcp.Close()
		if err := <-done; err == nil {
			t.Error("an abandoned connection has an answer")
		}
		p.awaitLinks(t, 2)
		seen(t, p, "[]")

		p.Blackhole(false)
		p.Blackhole(false)
		if err := <-done; err != nil { // the request that was kept
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
		client, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		p.awaitLinks(t, 1)
		p.Blackhole(true)
		server.Close()
		client.SetDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("in the black hole: %v", err)
		}
		p.Blackhole(false)
		client.SetDeadline(time.Now().Add(patience))
		if _, err := client.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("afterwards: %v", err)
		}
		l.Close()
		refused(t, p) // the server is down
	})
	t.Run("delays_both_ways", func(t *testing.T) {
		p, c, _ := onceVia(t)
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
		p, c, _ := onceVia(t)
		p.Unknown(OpExists)
		if _, _, err := c.Get("/"); err != nil {
			t.Errorf("getData: %v", err)
		}
		if err := c.exists(); err == nil || c.reset() {
			t.Errorf("exists: %v", err)
		}
	})
	t.Run("reports_a_connection_that_ends_before_the_reply", func(t *testing.T) {
		p, c, _ := onceVia(t)
		met := p.CutAfter(OpClose, 1)
		c.Close() // the reply, or the end of the connection
		Receive(t, "cut", met)
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
