//go:build !race

package zktest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"
)

func TestReconnect(t *testing.T) {
	s := NewServer(t, Options{})
	type fault func(t *testing.T, p *Proxy, h *ManualClient)
	cut := func(carriedOut bool, cut func(*Proxy, Op, int, ...Match) <-chan struct{}) fault {
		return func(t *testing.T, p *Proxy, h *ManualClient) {
			met := cut(p, OpMulti, 1)
			path := fmt.Sprintf("/made-%t", carriedOut)
			_, err := h.Conn.Multi(&zk.CreateRequest{Path: path, Acl: zk.WorldACL(zk.PermAll)})
			if !errors.Is(err, zk.ErrConnectionClosed) {
				t.Errorf("multi: %v", err)
			}
			happened(t, "cut", met)
			if _, ok := h.Stat(path); ok != carriedOut {
				t.Errorf("carried out: %v", ok)
			}
			if seen := p.Seen(); slices.Contains(seen, OpMulti) != carriedOut {
				t.Errorf("seen %s", seen)
			}
		}
	}
	for name, fault := range map[string]fault{
		"a_cut_before_a_multi": cut(false, (*Proxy).CutBefore),
		"a_cut_after_a_multi":  cut(true, (*Proxy).CutAfter),
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
