package zkwire

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

// A server that has stopped reading can block a write for long. Its silence must end the
// connection before.
func TestSilenceEndsABlockedWrite(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := sending(t, ours)
	if _, err := c.Write([]byte("never read")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
		t.Fatalf("read: %v", err)
	}
	if _, err := c.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write: %v", err)
	}
}

func transport(t *testing.T, timeout time.Duration) *Transport {
	return New(t.Context(), Config{
		Timeout: timeout,
		Logger:  slog.New(slog.NewTextHandler(t.Output(), nil)),
		Refused: func(server string) { t.Errorf("refused by %s", server) },
	})
}

// sending returns a connection after its handshake, with its sender. Both end with the test.
func sending(t *testing.T, raw net.Conn) *conn {
	t.Helper()
	c := newConn(transport(t, time.Minute), raw, "server", time.Time{})
	sent := make(chan struct{})
	go func() { c.send(); close(sent) }()
	t.Cleanup(func() { c.Close(); <-sent })
	return c
}

func TestWrites(t *testing.T) {
	t.Run("arrive_in_order_and_several_together_when_the_server_is_slow", func(t *testing.T) {
		ours, theirs := net.Pipe() // whose writes wait for reads
		defer theirs.Close()
		c := sending(t, ours)
		var want strings.Builder
		for i := range 1000 {
			p := []byte(fmt.Sprint(i, " "))
			want.Write(p)
			if n, err := c.Write(p); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
			clear(p) // the caller may use it again
		}
		got, reads := "", 0
		for buf := make([]byte, 1<<20); len(got) < want.Len(); reads++ {
			n, err := theirs.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got += string(buf[:n])
		}
		if got != want.String() || reads > 500 {
			t.Errorf("in %d writes: %.100q…", reads, got)
		}
	})
	t.Run("that_fail_close_the_connection", func(t *testing.T) {
		ours, theirs := net.Pipe()
		theirs.Close()
		c := sending(t, ours)
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		<-c.closed
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("read")
		}
	})
}

// go-zookeeper reads the body of the answer without a deadline.
func TestHandshakeIsBounded(t *testing.T) {
	for name, begun := range map[string]string{"when_no_byte_comes": "", "when_a_part_of_the_answer_comes": "\x00\x00\x00\x25\x00\x00"} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			go func() { _, _ = theirs.Write([]byte(begun)) }()
			c := newConn(transport(t, time.Minute), ours, "server", time.Now().Add(50*time.Millisecond))
			if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 4)); !isTimeout(err) {
				t.Errorf("read: %v", err)
			}
		})
	}
}
