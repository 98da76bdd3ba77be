package session

import (
	"net"
	"testing"
	"time"
)

// A server that has stopped reading can hold a write for as long as the library
// lets it; its silence must end the connection before that.
func TestSilenceEndsABlockedWrite(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := newConn(new(Session), ours, "server", time.Now())
	c.handshake = time.Time{}
	written := make(chan error, 1)
	go func() {
		_, err := c.Write([]byte("never read"))
		written <- err
	}()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
		t.Fatalf("read: %v", err)
	}
	if err := <-written; err == nil {
		t.Error("written")
	}
}

// The library reads the answer's body without a deadline.
func TestHandshakeIsBounded(t *testing.T) {
	for name, begun := range map[string]string{"no_byte": "", "a_part": "\x00\x00\x00\x25\x00\x00"} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			go func() { _, _ = theirs.Write([]byte(begun)) }()
			c := newConn(new(Session), ours, "server", time.Now().Add(50*time.Millisecond))
			if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 4)); !isTimeout(err) {
				t.Errorf("read: %v", err)
			}
		})
	}
}
