package zkwire

import (
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBoundsFollowTheSessionTimeout(t *testing.T) {
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

// With a session timeout of hours go-zookeeper would wait for hours.
func TestLongTimeoutDoesNotWaitLongForASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := newConn(transport(t, 24*time.Hour), ours, "server", time.Time{})
		c.greeted = true
		var all sync.WaitGroup
		all.Go(c.send)
		answers := time.Now().Add(time.Hour) // until then the server answers
		all.Go(func() {
			ping := make([]byte, len(appendPing(nil)))
			for {
				if _, err := io.ReadFull(theirs, ping); err != nil {
					return
				}
				if time.Now().Before(answers) {
					pong := make([]byte, replyHeadSize)
					pong[3] = replyHeaderSize
					copy(pong[lengthSize:], ping[lengthSize:lengthSize+4])
					if _, err := theirs.Write(pong); err != nil {
						return
					}
				}
			}
		})
		frame := make([]byte, replyHeadSize)
		for {
			if err := c.SetReadDeadline(time.Now().Add(16 * time.Hour)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, frame); err != nil {
				break
			}
			if xid := int32At(frame, lengthSize); xid != pingXid {
				t.Fatalf("xid %d", xid)
			}
		}
		if late := time.Since(answers); late < 10*time.Second || late > 20*time.Second {
			t.Errorf("the connection ended %s after the last answer", late)
		}
		theirs.Close()
		all.Wait()
	})
}
