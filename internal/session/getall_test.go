package session

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/zktest"
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
