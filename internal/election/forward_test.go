package election

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// The protocol's operations that tests act upon.
const (
	opGetData = 4
	opMulti   = 14
)

// fate is what becomes of a request.
type fate int

const (
	pass      fate = iota
	cutBefore      // the connection is cut, the server never gets it
	cutAfter       // the server carries it out, then the connection is cut: the reply is lost
)

// A forwarder stands between one session and the server. It lets a test do
// something at an exact request, and cut the connection there.
type forwarder struct {
	server string
	listen net.Listener
	all    sync.WaitGroup

	mu      sync.Mutex // guards the rest
	refuses bool
	links   map[net.Conn]struct{}
	rule    *rule
}

type rule struct {
	op   int32
	path string
	do   func(packet []byte) fate
	met  chan struct{}
}

// forward returns a forwarder and the connect string that leads through it.
func forward(t *testing.T, connect string) (*forwarder, string) {
	t.Helper()
	server, chroot, _ := strings.Cut(connect, "/")
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{server: server, listen: listen, links: make(map[net.Conn]struct{})}
	f.all.Go(f.accept)
	t.Cleanup(func() {
		listen.Close()
		f.cut()
		f.all.Wait()
	})
	return f, listen.Addr().String() + "/" + chroot
}

// once has do called, and decide, when the next request of this operation that
// names path has come and before it is forwarded. The channel is closed then.
func (f *forwarder) once(op int32, path string, do func() fate) (met <-chan struct{}) {
	return f.onceRequest(op, path, func([]byte) fate { return do() })
}

// onceRequest is once for those who look into the request.
func (f *forwarder) onceRequest(op int32, path string, do func(packet []byte) fate) (met <-chan struct{}) {
	r := &rule{op: op, path: path, do: do, met: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule = r
	return r.met
}

// cut ends the connection and accepts none until heal.
func (f *forwarder) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuses = true
	for link := range f.links {
		link.Close()
	}
}

func (f *forwarder) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuses = false
}

func (f *forwarder) accept() {
	for {
		client, err := f.listen.Accept()
		if err != nil {
			return
		}
		f.all.Go(func() { f.link(client) })
	}
}

func (f *forwarder) link(client net.Conn) {
	defer client.Close()
	f.mu.Lock()
	if f.refuses {
		f.mu.Unlock()
		return
	}
	f.links[client] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.links, client)
	}()

	server, err := net.DialTimeout("tcp", f.server, 5*time.Second)
	if err != nil {
		return
	}
	lost := make(chan uint32, 1) // the xid whose reply is lost
	var replies sync.WaitGroup
	replies.Go(func() {
		defer client.Close()
		var xid uint32
		var loses bool
		for {
			packet, err := readPacket(server)
			if err != nil {
				return
			}
			select {
			case xid = <-lost: // was sent before the request was forwarded
				loses = true
			default:
			}
			if loses && binary.BigEndian.Uint32(packet[4:]) == xid {
				return
			}
			if _, err := client.Write(packet); err != nil {
				return
			}
		}
	})
	defer replies.Wait()
	defer server.Close()

	for handshake := true; ; handshake = false {
		packet, err := readPacket(client)
		if err != nil {
			return
		}
		if !handshake {
			switch f.judge(packet) {
			case cutBefore:
				return
			case cutAfter:
				lost <- binary.BigEndian.Uint32(packet[4:])
			}
		}
		if _, err := server.Write(packet); err != nil {
			return
		}
	}
}

// judge applies the rule to a request: length 4 · xid 4 · operation 4 · body.
func (f *forwarder) judge(packet []byte) fate {
	f.mu.Lock()
	r := f.rule
	if r == nil || int32(binary.BigEndian.Uint32(packet[8:])) != r.op || !bytes.Contains(packet, []byte(r.path)) {
		f.mu.Unlock()
		return pass
	}
	f.rule = nil
	f.mu.Unlock()
	defer close(r.met)
	return r.do(packet)
}

// readPacket reads one packet with its length in front.
func readPacket(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 8 || n > 1<<20 {
		return nil, io.ErrUnexpectedEOF
	}
	packet := make([]byte, 4+n)
	copy(packet, size[:])
	_, err := io.ReadFull(r, packet[4:])
	return packet, err
}
