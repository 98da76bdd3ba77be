//go:build !race

package session

import (
	"fmt"
	"log/slog"
	"testing"

	"taskkeeper/internal/lab/zktest"
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
			return paths["/a"].Times > 0, fmt.Sprint(paths, all)
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
					if all || paths[path].Times > 0 {
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

func TestReconnectRun(t *testing.T) {
	t.Run("starts_over_when_the_first_session_ends_before_it_is_of_use", func(t *testing.T) {
		root := zktest.Connect(t)
		proxy, through := zktest.Via(t, root)
		held, release := proxy.Hold(zktest.OpExists, 1) // the chroot is looked for
		cfg := config(t, through+"/app")
		ids := make(chan int64, 10) // the log tells of them
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			var id int64
			if n, _ := fmt.Sscanf(a.Value.String(), "0x%x", &id); a.Key == "session" && n == 1 {
				ids <- id
			}
			return a
		}}))
		sessions := make(chan *Session, 1)
		r := run(t, cfg, idle(sessions))
		<-held
		first := <-ids
		proxy.Refuse(true) // or it connects anew while another ends it, and has its chroot in between
		release()
		zktest.Expire(t, root, first)
		proxy.Refuse(false)
		select {
		case s := <-sessions:
			if s.ID() == first {
				t.Error("the same session")
			}
			zktest.Conn(t, root).Get("/app")
		case err := <-r.err:
			t.Fatalf("ended: %v", err)
		}
		r.stop()
		must(t, r.wait(t))
	})
}
