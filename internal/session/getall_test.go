package session

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

func TestGetAll(t *testing.T) {
	root := zktest.Connect(t)
	write(t, newSession(t, root), Create("/a", []byte("1")), Create("/b", nil))
	read := func(t *testing.T, s *Session) {
		t.Helper()
		got := s.GetAll("/b", "/a", "/..", "/missing")
		if string(got[1].Data) != "1" || got[0].Stat == nil || got[0].Err != nil || got[1].Err != nil ||
			!errors.Is(got[2].Err, zk.ErrInvalidPath) || !errors.Is(got[3].Err, zk.ErrNoNode) {
			t.Errorf("got %+v", got)
		}
	}
	t.Run("is_one_request_where_all_are_there", func(t *testing.T) {
		proxy, through := zktest.Via(t, root)
		s := newSession(t, through)
		proxy.Seen()
		var want []zktest.Op
		for range 50 {
			for i, r := range s.GetAll("/a", "/b") {
				if r.Err != nil || len(r.Data) != 1-i || r.Stat.DataLength != int32(1-i) || r.Stat.Czxid == 0 || r.Stat.Pzxid != r.Stat.Czxid {
					t.Errorf("%+v, %+v", r, r.Stat)
				}
			}
			want = append(want, zktest.OpMultiRead)
		}
		sent := slices.DeleteFunc(proxy.Seen(), func(op zktest.Op) bool { return op == zktest.OpPing })
		if !slices.Equal(sent, want) {
			t.Errorf("sent %v", sent)
		}
	})
	t.Run("is_known_to_the_next_server", func(t *testing.T) {
		seen, cut, through := handshakes(t, root)
		s := newSession(t, through)
		first := <-seen
		write(t, newSession(t, root), Create("/later", nil))
		later := s.GetAll("/later", "/a")[0].Stat.Czxid
		cut()
		if again := <-seen; first != 0 || again < later {
			t.Errorf("the handshakes tell of zxids up to %d and %d; read was %d", first, again, later)
		}
		read(t, s)
	})
	t.Run("holds_up_no_other_reads", func(t *testing.T) {
		s := newSession(t, root)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for range 100 {
					read(t, s)
					if data, _, err := s.Get("/a"); string(data) != "1" || err != nil {
						t.Errorf("%d: %q, %v", i, data, err)
					}
				}
			})
		}
		all.Wait()
	})
	t.Run("needs_no_multi_read_of_the_servers", func(t *testing.T) {
		proxy, through := zktest.Via(t, root)
		proxy.Unknown(zktest.OpMultiRead)
		s := newSession(t, through)
		for range 3 {
			read(t, s)
		}
	})
	t.Run("outlasts_the_connection", func(t *testing.T) {
		proxy, through := zktest.Via(t, root)
		s := newSession(t, through)
		for _, cut := range []func(zktest.Op, int, ...zktest.Match) <-chan struct{}{proxy.CutBefore, proxy.CutAfter} {
			met := cut(zktest.OpMultiRead, 1)
			read(t, s)
			<-met
		}
	})
	t.Run("ends_with_the_session", func(t *testing.T) {
		s := newSession(t, root)
		s.Close()
		if got := s.GetAll("/a", "/b"); !errors.Is(got[1].Err, ErrOver) {
			t.Errorf("got %+v", got)
		}
	})
}

// handshakes listens before a server. What each handshake says of the last zxid that was
// seen is received from the channel; cut cuts all connections.
func handshakes(t *testing.T, connectString string) (seen <-chan int64, cut func(), through string) {
	t.Helper()
	server, chroot, _ := strings.Cut(connectString, "/")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	told := make(chan int64, 10)
	var mu sync.Mutex
	var open []net.Conn
	cut = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			c.Close()
		}
		open = nil
	}
	go func() { // ends with the listener
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			head := make([]byte, 16) // length, protocolVersion, lastZxidSeen
			if _, err := io.ReadFull(in, head); err != nil {
				t.Error(err)
				return
			}
			told <- int64(binary.BigEndian.Uint64(head[8:]))
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			_, _ = out.Write(head)
			go io.Copy(out, in)
			go io.Copy(in, out)
		}
	}()
	t.Cleanup(cut)
	return told, cut, l.Addr().String() + "/" + chroot
}
