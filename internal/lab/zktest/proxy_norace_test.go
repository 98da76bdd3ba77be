//go:build !race

package zktest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"
)

func TestReconnectThroughProxy(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*Proxy, Op, int, ...Match) <-chan struct{}{
		"before": (*Proxy).CutBefore,
		"after":  (*Proxy).CutAfter,
	} {
		t.Run("keeps_the_session_over_a_cut_"+name+"_a_multi", func(t *testing.T) {
			root := Connect(t)
			p, through := Via(t, root)
			h := Conn(t, through)
			h.CreateEphemeral("/me", "")
			met := cut(p, OpMulti, 1)
			p.Seen()
			_, err := h.Conn.Multi(&zk.CreateRequest{Path: h.full("/made"), Acl: zk.WorldACL(zk.PermAll)})
			if !errors.Is(err, zk.ErrConnectionClosed) {
				t.Errorf("multi: %v", err)
			}
			happened(t, "cut", met)
			if stat, ok := h.Stat("/me"); !ok || stat.EphemeralOwner != h.Session() {
				t.Errorf("stat: %+v, %v", stat, ok)
			}
			if _, ok := h.Stat("/made"); ok != (name == "after") {
				t.Errorf("carried out: %v", ok)
			}
			if got := p.Seen(); slices.Contains(got, OpMulti) != (name == "after") {
				t.Errorf("seen %s", fmt.Sprint(got))
			}
		})
	}
	t.Run("keeps_the_session_over_a_short_black_hole", func(t *testing.T) {
		root := Connect(t)
		p, through := Via(t, root)
		h := Conn(t, through)
		h.CreateEphemeral("/me", "")
		p.Blackhole(true)
		done := make(chan error, 1)
		go func() { _, _, err := h.Conn.Get(h.full("/me")); done <- err }()
		p.Blackhole(false)
		if err := <-done; err != nil {
			t.Error(err)
		}
		p.Refuse(true)
		p.Refuse(false)
		if stat, ok := h.Stat("/me"); !ok || stat.EphemeralOwner != h.Session() {
			t.Errorf("stat: %+v, %v", stat, ok)
		}
	})
}
