package session

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"taskkeeper/internal/zktest"
)

func TestBounds(t *testing.T) {
	for _, tt := range []struct {
		timeout            time.Duration
		servers            int
		handshake, silence time.Duration
	}{
		{3 * time.Second, 1, 2 * time.Second, 2 * time.Second},
		{3 * time.Second, 4, 500 * time.Millisecond, 2 * time.Second},
		{30 * time.Second, 1, 5 * time.Second, 20 * time.Second},
		{24 * time.Hour, 3, 5 * time.Second, 20 * time.Second},
	} {
		if got := handshakeBound(tt.timeout, tt.servers); got != tt.handshake {
			t.Errorf("handshake of %d servers with a timeout of %s: %s", tt.servers, tt.timeout, got)
		}
		if got := silenceBound(tt.timeout); got != tt.silence {
			t.Errorf("silence with a timeout of %s: %s", tt.timeout, got)
		}
	}
}

func TestLongTimeoutDoesNotWaitLongForASwallowedHandshake(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	var first atomic.Bool
	first.Store(true)
	addr := listen(t, func(c net.Conn) {
		if first.CompareAndSwap(true, false) {
			silent(c)
			return
		}
		to, err := net.Dial("tcp", server.Addr())
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		var back sync.WaitGroup
		defer back.Wait()
		back.Go(func() { _, _ = io.Copy(c, to); c.Close() })
		_, _ = io.Copy(to, c)
		to.Close()
	})
	began := time.Now()
	newSession(t, addr, func(c *Config) { c.Timeout = 24 * time.Hour })
	if took := time.Since(began); took < 4*time.Second || took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

// With a long timeout the library pings and waits for hours.
func TestLongTimeoutDoesNotWaitLongForASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Session{born: time.Now()}
		s.timeout.Store(int64(24 * time.Hour))
		ours, theirs := net.Pipe()
		c := newConn(s, ours, "server", time.Time{})
		c.greeted = true
		var all sync.WaitGroup
		all.Go(c.send)
		answers := time.Now().Add(time.Hour) // for so long the server does
		all.Go(func() {
			ping := make([]byte, len(pingFrame))
			for {
				if _, err := io.ReadFull(theirs, ping); err != nil {
					return
				}
				if time.Now().Before(answers) {
					pong := make([]byte, lengthSize+answerHeader)
					pong[3] = answerHeader
					copy(pong[lengthSize:], ping[lengthSize:lengthSize+4])
					if _, err := theirs.Write(pong); err != nil {
						return
					}
				}
			}
		})
		frame := make([]byte, lengthSize+answerHeader)
		for {
			if err := c.SetReadDeadline(time.Now().Add(16 * time.Hour)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, frame); err != nil {
				break
			}
			if xid := int32(binary.BigEndian.Uint32(frame[lengthSize:])); xid != -2 {
				t.Fatalf("xid %d", xid)
			}
		}
		if late := time.Since(answers); late < 10*time.Second || late > 20*time.Second {
			t.Errorf("given up %s after its last answer", late)
		}
		theirs.Close()
		all.Wait()
	})
}
