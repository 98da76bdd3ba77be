//go:build !race

package session

import (
	"testing"

	"taskkeeper/internal/lab/zktest"
)

func TestReconnectPersistentWatch(t *testing.T) {
	t.Run("is_gone_with_the_connection_which_is_hinted_at", func(t *testing.T) {
		root := zktest.Connect(t)
		s, hand := newSession(t, root), zktest.Conn(t, root)
		hand.Create("/a", "1")
		h := s.Hints("/a")
		_, _, _, err := s.GetPersistentW("/a")
		must(t, err)
		cut(s)
		for all := false; !all; {
			_, all = take(t, h)
		}
		_, _, persistent, err := s.GetPersistentW("/a")
		must(t, err)
		if !persistent {
			t.Error("not persistent")
		}
		h.Take() // the connection is back
		hand.Set("/a", "2")
		hand.Set("/a", "3")
		sees(t, h, "/a", 2)
	})
	t.Run("is_set_for_once_where_the_server_knows_no_other", func(t *testing.T) {
		root := zktest.Connect(t)
		proxy, through := zktest.Via(t, root)
		s, hand := newSession(t, through), zktest.Conn(t, root)
		id := s.ID()
		hand.Create("/a", "1")
		h := s.Hints("/a")
		proxy.Unknown(zktest.OpAddWatch)
		data, _, _, err := s.GetPersistentW("/a")
		must(t, err)
		if string(data) != "1" {
			t.Errorf("read %q", data)
		}
		for all := false; !all; { // whoever took it for set is told
			_, all = take(t, h)
		}
		zktest.Eventually(t, "connection", connected(s))
		for _, text := range []string{"2", "3"} {
			_, _, persistent, err := s.GetPersistentW("/a")
			must(t, err)
			if persistent {
				t.Error("persistent")
			}
			h.Take() // the connection is back
			hand.Set("/a", text)
			sees(t, h, "/a", 1)
		}
		if s.ID() != id || s.Err() != nil {
			t.Errorf("another session: %v", s.Err())
		}
	})
}

func TestReconnectWatchTree(t *testing.T) {
	root := zktest.Connect(t)
	proxy, through := zktest.Via(t, root)
	s, hand := newSession(t, through), zktest.Conn(t, root)
	hand.Create("/a", "")
	h := s.Hints("/a/")
	set := func(want bool) {
		t.Helper()
		got, err := s.WatchTree("/a")
		must(t, err)
		if got != want {
			t.Errorf("set: %t", got)
		}
		_, _, err = s.Children("/a") // what happens after it is seen
		must(t, err)
	}
	set(true)
	hand.Create("/a/x", "1")
	hand.Set("/a/x", "2")
	hand.Set("/a/x", "3")
	hand.Delete("/a/x")
	sees(t, h, "/a/x", 4)

	lost := func() {
		t.Helper()
		zktest.Eventually(t, "a hint at all", func() (bool, string) {
			_, all := h.Take()
			return all, ""
		})
		zktest.Eventually(t, "connection", connected(s))
		h.Take()
	}
	cut(s)
	lost()
	set(true)
	hand.Create("/a/y", "1")
	sees(t, h, "/a/y", 1)

	proxy.Unknown(zktest.OpAddWatch) // the next server is an old one
	cut(s)
	lost()
	set(true)
	lost() // which is how it is told
	set(false)
}
