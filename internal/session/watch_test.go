package session

import (
	"errors"
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

// sees waits until a path was hinted at n times in all since the last look, and at
// nothing else.
func sees(t *testing.T, h *Hints, path string, n int) {
	t.Helper()
	got := 0
	zktest.Eventually(t, "hints at "+path, func() (bool, string) {
		paths, all := h.Take()
		for p := range paths {
			if p != path {
				t.Errorf("a hint at %s", p)
			}
		}
		if all {
			t.Error("a hint at all")
		}
		got += paths[path].Times
		return got >= n, ""
	})
	if got > n {
		t.Errorf("%d hints at %s, want %d", got, path, n)
	}
}

func TestPersistentWatch(t *testing.T) {
	start := func(t *testing.T) (*Session, *zktest.Proxy, *zktest.ManualClient) {
		root := zktest.Connect(t)
		proxy, through := zktest.Via(t, root)
		return newSession(t, through+"/app"), proxy, zktest.Conn(t, root+"/app")
	}
	lasting := func(t *testing.T, s *Session, path, want string) {
		t.Helper()
		data, stat, persistent, err := s.GetPersistentW(path)
		if err != nil || string(data) != want || stat == nil || !persistent {
			t.Errorf("%q, %+v, persistent %t, %v", data, stat, persistent, err)
		}
	}
	t.Run("hints_at_every_change", func(t *testing.T) {
		s, proxy, hand := start(t)
		hand.Create("/a", "1")
		h := s.Hints("/a")
		lasting(t, s, "/a", "1")
		proxy.Seen()
		for range 100 {
			hand.Set("/a", "x")
		}
		sees(t, h, "/a", 100)
		write(t, s, Set("/a", nil, AnyVersion), Set("/a", nil, AnyVersion)) // its own too
		sees(t, h, "/a", 2)
		hand.Delete("/a")
		sees(t, h, "/a", 1)
		if sent := proxy.Seen(); slices.Contains(sent, zktest.OpGetData) || slices.Contains(sent, zktest.OpAddWatch) {
			t.Errorf("for that were sent %v", sent)
		}
	})
	t.Run("is_set_before_the_read", func(t *testing.T) {
		s, proxy, hand := start(t)
		hand.Create("/a", "1")
		proxy.Seen()
		lasting(t, s, "/a", "1")
		if sent := proxy.Seen(); !slices.Equal(sent, []zktest.Op{zktest.OpAddWatch, zktest.OpGetData}) {
			t.Errorf("sent %v", sent)
		}
	})
	t.Run("is_set_where_nothing_is", func(t *testing.T) {
		s, _, hand := start(t)
		h := s.Hints("/a")
		if _, _, _, err := s.GetPersistentW("/a"); !errors.Is(err, zk.ErrNoNode) {
			t.Errorf("error %v", err)
		}
		hand.Create("/a", "1")
		sees(t, h, "/a", 1)
	})
	t.Run("fails_on_a_session_that_is_over", func(t *testing.T) {
		s, _, _ := start(t)
		s.Close()
		if _, _, _, err := s.GetPersistentW("/a"); !errors.Is(err, ErrOver) {
			t.Errorf("error %v", err)
		}
	})
}
