//go:build !race

package zktest

import "testing"

func TestReconnect(t *testing.T) {
	s := NewServer(t, Options{})
	for name, fault := range map[string]func(t *testing.T, p *Proxy, h *ManualClient){
		"a_short_black_hole": func(t *testing.T, p *Proxy, h *ManualClient) {
			p.Blackhole(true)
			done := make(chan error, 1)
			go func() { _, _, err := h.Conn.Get("/"); done <- err }()
			p.Blackhole(false)
			if err := <-done; err != nil {
				t.Error(err)
			}
		},
		"a_reset_of_its_connection": func(_ *testing.T, p *Proxy, _ *ManualClient) { p.Refuse(true); p.Refuse(false) },
		"a_pause_of_the_server": func(t *testing.T, _ *Proxy, _ *ManualClient) {
			s.Pause()
			if _, err := s.Ask("ruok"); err == nil {
				t.Error("it answers while paused")
			}
			s.Resume()
		},
		"a_restart_of_the_server": func(t *testing.T, _ *Proxy, _ *ManualClient) {
			s.Kill()
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run("keeps_the_session_over_"+name, func(t *testing.T) {
			p, through := Via(t, s.Addr())
			h := Conn(t, through)
			me := h.CreateSeq("/me-", "")
			fault(t, p, h)
			if stat, ok := h.Stat(me); !ok || stat.EphemeralOwner != h.Session() {
				t.Errorf("stat: %+v, %v", stat, ok)
			}
			h.Set(me, "still here")
		})
	}
}
