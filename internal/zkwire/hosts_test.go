package zkwire

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestHosts(t *testing.T) {
	t.Run("pauses_after_a_round_without_an_answer", func(t *testing.T) {
		h := new(hosts)
		_ = h.Init([]string{"a", "b", "c"})
		for round, most := range []time.Duration{0, leastPause, 2 * leastPause, 4 * leastPause, mostPause, mostPause} {
			seen := map[string]bool{}
			for i := range 3 {
				server, _ := h.Next()
				seen[server] = true
				want := most
				if i > 0 {
					want = 0
				}
				if pause := h.pause(); pause > want || pause < want/2 {
					t.Errorf("round %d, server %d: pause %v, at most %v", round, i, pause, want)
				}
			}
			if len(seen) != 3 {
				t.Errorf("round %d: %v", round, seen)
			}
		}
		for range 1000 {
			_, _ = h.Next()
			if pause := h.pause(); pause > mostPause {
				t.Fatalf("pause %v", pause)
			}
		}
	})
	t.Run("goes_on_to_the_next_server_at_once_after_a_good_connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := new(hosts)
			_ = h.Init([]string{"a", "b"})
			last := ""
			for range 20 {
				server, _ := h.Next()
				if server == last || h.pause() > 0 {
					t.Errorf("after %s: %s, in %s", last, server, h.pause())
				}
				h.Connected()
				time.Sleep(goodAfter + 1)
				last = server
			}
		})
	})
	t.Run("pauses_where_the_connections_do_not_last", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := new(hosts)
			_ = h.Init([]string{"a"})
			for i := range 20 {
				_, _ = h.Next()
				if pause := h.pause(); (i > 0) != (pause > 0) || i > 5 && pause < mostPause/2 {
					t.Errorf("connection %d after %s", i, pause)
				}
				h.Connected()
				time.Sleep(goodAfter / 2)
			}
		})
	})
	t.Run("ends_when_the_session_is_over", func(t *testing.T) {
		over := make(chan struct{})
		h := &hosts{over: over}
		_ = h.Init([]string{"a"})
		for range 3 {
			if _, end := h.Next(); end {
				t.Error("it ends before the session")
			}
		}
		close(over)
		if _, end := h.Next(); !end {
			t.Error("it goes on after the session")
		}
	})
}
