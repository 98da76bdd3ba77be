//go:build !race

package session

import (
	"fmt"
	"testing"

	"taskkeeper/internal/zktest"
)

func TestReconnect(t *testing.T) {
	t.Run("keeps_watches", func(t *testing.T) {
		server := zktest.NewServer(t, zktest.Options{})
		s, hand := newSession(t, server.Addr(), patient), zktest.Conn(t, server.Addr())
		hand.Create("/a", "")
		h, id := s.Hints("/a"), s.ID()
		watch(t, s, "/a")
		server.Kill()
		zktest.Eventually(t, "suspension", suspended(s))
		must(t, server.Restart())
		proven(t, s, id)
		if _, all := take(t, h); !all {
			t.Error("not all")
		}
		// Watches are set again before what the session asks for later.
		must(t, s.Sync())
		hand.Set("/a", "1")
		zktest.Eventually(t, "hint", func() (bool, string) {
			paths, all := h.Take()
			return paths["/a"] > 0, fmt.Sprint(paths, all)
		})
	})
	t.Run("misses_no_change_when_hints_are_heeded", func(t *testing.T) {
		root := zktest.Connect(t)
		s, hand := newSession(t, root), zktest.Conn(t, root)
		const znodes = 50
		seen := make(map[string]string)
		h := s.Hints("/z/")
		hand.Create("/z", "")
		for i := range znodes {
			path := fmt.Sprintf("/z/%d", i)
			hand.Create(path, "")
			seen[path] = ""
			watch(t, s, path)
		}
		for round := range 20 {
			want := fmt.Sprint(round)
			go cut(s)
			for path := range seen {
				hand.Set(path, want)
			}
			zktest.Eventually(t, "all changes", func() (bool, string) {
				paths, all := h.Take()
				for path := range seen {
					if all || paths[path] > 0 {
						data, _, err := s.GetW(path)
						must(t, err)
						seen[path] = string(data)
					}
				}
				for path, data := range seen {
					if data != want {
						return false, fmt.Sprintf("%s holds %s, want %s", path, data, want)
					}
				}
				return true, ""
			})
		}
	})
}
