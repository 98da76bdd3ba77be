package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

// threefold lists one server, host:port, as three: go-zookeeper keeps what is queued
// for as long as it has servers left to try.
func threefold(c *Config) {
	addr := c.Address.Servers[0]
	c.Address.Servers = []string{addr, addr, addr}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	t.Run("ends_the_session", func(t *testing.T) {
		root := zktest.Connect(t)
		s := newSession(t, root)
		write(t, s, Create("/a", nil))
		ctx, cancel := s.Within(t.Context())
		defer cancel()
		live := s.Live()
		zktest.Expire(t, root, s.ID())
		zktest.Eventually(t, "end of the session", ended(s))
		if err := s.Err(); !errors.Is(err, ErrOver) || !errors.Is(err, zk.ErrSessionExpired) {
			t.Errorf("error %v", err)
		}
		<-ctx.Done()
		<-live.Done()
		group := s.NewGroup()
		for name, call := range map[string]func() error{
			"multi":    func() error { _, err := s.Multi(Create("/late", nil)); return err },
			"group":    func() error { _, err := group.Multi(Create("/late", nil)); return err },
			"get":      func() error { _, _, err := s.Get("/a"); return err },
			"getw":     func() error { _, _, err := s.GetW("/a"); return err },
			"list":     func() error { _, _, err := s.Children("/a"); return err },
			"listw":    func() error { _, _, err := s.ChildrenW("/a"); return err },
			"sync":     s.Sync,
			"ensure":   func() error { return s.EnsureDirs("/late") },
			"again":    func() error { _, err := s.Multi(Create("/late", nil)); return err },
			"multi_of": func() error { _, err := s.Multi(Check("/a", 0)); return err },
		} {
			if err := call(); !errors.Is(err, ErrOver) {
				t.Errorf("%s: error %v", name, err)
			}
		}
		if _, ok := zktest.Conn(t, root).Stat("/late"); ok {
			t.Error("written after the end")
		}
	})
	for name, addresses := range map[string]func(*Config){
		"one_address":     func(*Config) {},
		"three_addresses": threefold,
	} {
		t.Run("lets_nothing_land_in_another_session/"+name, func(t *testing.T) {
			t.Parallel()
			server := zktest.NewServer(t, zktest.Options{})
			hand := zktest.Conn(t, server.Addr())
			for range 2 {
				expireAmidWrites(t, server, hand, addresses)
			}
		})
	}
}

func expireAmidWrites(t *testing.T, server *zktest.Server, hand *zktest.ManualClient, addresses func(*Config)) {
	s := newSession(t, server.Addr(), addresses)
	defer s.Close()
	id := s.ID()
	must(t, s.EnsureDirs("/p", "/e"))
	group := s.NewGroup()
	var written atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 { // more than go-zookeeper queues
		multi := s.Multi
		if i%2 == 0 {
			multi = group.Multi
		}
		wg.Go(func() {
			for n := 0; ; n++ {
				_, err := multi(
					Create(fmt.Sprintf("/p/%x-%d-%d", id, i, n), nil),
					CreateEphemeral(fmt.Sprintf("/e/%x-%d-%d", id, i, n), nil))
				switch {
				case err == nil:
					written.Add(1)
				case errors.Is(err, ErrOver):
					return
				case !errors.Is(err, ErrUnknown):
					t.Error(err)
					return
				}
			}
		})
	}
	zktest.Eventually(t, "writes", func() (bool, string) {
		n := written.Load()
		return n > 500, fmt.Sprint(n)
	})
	zktest.Expire(t, server.Addr(), id)
	hand.Create("/marker", "")
	zktest.Eventually(t, "end of the session", ended(s))
	wg.Wait()
	zktest.Eventually(t, "the library's next try to connect", func() (bool, string) {
		err := s.LastErr()
		return errors.Is(err, context.Canceled), fmt.Sprint(err)
	})
	s.Close()

	marker, _ := hand.Stat("/marker")
	hand.Delete("/marker")
	if late := hand.Children("/e"); len(late) > 0 {
		stat, _ := hand.Stat("/e/" + late[0])
		t.Errorf("%d ephemeral znodes, the first of session %#x after that of %#x", len(late), stat.EphemeralOwner, id)
	}
	parent, _ := hand.Stat("/p")
	if parent.Pzxid > marker.Czxid {
		t.Errorf("written at %#x, after the expiry at %#x", parent.Pzxid, marker.Czxid)
	}
	// The hand's is the only session left, with a connection or without.
	dump, err := server.Ask("dump")
	must(t, err)
	sessions, _, _ := strings.Cut(dump, "Connections dump")
	for _, field := range strings.Fields(sessions) {
		if strings.HasPrefix(field, "0x") && field != fmt.Sprintf("0x%x", hand.Session()) {
			t.Errorf("another session:\n%s", dump)
			break
		}
	}
}
