//go:build !race

package zktest

import "testing"

func TestReconnect(t *testing.T) {
	t.Run("keeps_the_session_over_a_restart", func(t *testing.T) {
		s := NewServer(t, Options{})
		h := Conn(t, s.Addr())
		h.CreateEphemeral("/me", "")
		s.Kill()
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		if stat, ok := h.Stat("/me"); !ok || stat.EphemeralOwner != h.Session() {
			t.Errorf("stat: %+v, %v", stat, ok)
		}
		h.Set("/me", "still here")
	})
	t.Run("keeps_a_session_that_outlasts_a_pause", func(t *testing.T) {
		s := NewServer(t, Options{})
		h := Conn(t, s.Addr())
		h.CreateEphemeral("/me", "")
		s.Pause()
		if _, err := s.Srvr(); err == nil {
			t.Error("answers while paused")
		}
		s.Resume()
		h.Set("/me", "still here")
	})
}
