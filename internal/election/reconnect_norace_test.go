//go:build !race

package election

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestReconnect(t *testing.T) {
	t.Parallel()
	t.Run("the_next_of_five_leads_when_the_leaders_session_expires", func(t *testing.T) {
		succession(t, func(_ *zktest.ManualClient, leader *Candidate) error {
			return zktest.ExpireSession(zktest.Shared(t).Addr(), leader.s.ID())
		})
	})

	for name, cut := range map[string]func(*zktest.Proxy, zktest.Op, int, ...zktest.Match) <-chan struct{}{
		"the_request": (*zktest.Proxy).CutBefore,
		"the_reply":   (*zktest.Proxy).CutAfter,
	} {
		t.Run("join_makes_one_candidate_when_"+name+"_is_lost", func(t *testing.T) {
			root := zktest.Connect(t)
			h := zktest.Conn(t, root)
			h.Create(task.MasterDir, "")
			proxy, through := zktest.Via(t, root)
			s := harness.Open(t, through)
			met := cut(proxy, zktest.OpMulti, 1, zktest.Naming(task.MasterDir+"/"))
			c := join(t, s)
			await(t, "lost "+name, met)
			if got := h.Children(task.MasterDir); len(got) != 1 || task.MasterDir+"/"+got[0] != c.Path() {
				t.Errorf("candidates %q, ours is %s", got, c.Path())
			}
			if stat, ok := h.Stat(c.Path()); !ok || stat.EphemeralOwner != s.ID() {
				t.Errorf("stat of %s: %+v, %v; session %#x", c.Path(), stat, ok, s.ID())
			}
			if !elected(t, c) {
				t.Error("it does not lead")
			}
		})
		t.Run("resign_leaves_nothing_when_"+name+"_is_lost", func(t *testing.T) {
			root := zktest.Connect(t)
			proxy, through := zktest.Via(t, root)
			c := join(t, harness.Open(t, through))
			met := cut(proxy, zktest.OpMulti, 1, zktest.Naming(c.Path()))
			if err := c.Resign(); err != nil {
				t.Error(err)
			}
			await(t, "lost "+name, met)
			if got := zktest.Conn(t, root).Children(task.MasterDir); len(got) != 0 {
				t.Errorf("left behind: %q", got)
			}
		})
	}

	t.Run("join_does_not_take_a_znode_of_another_session_for_its_own", func(t *testing.T) {
		root := zktest.Connect(t)
		h, other := zktest.Conn(t, root), harness.Open(t, root)
		h.Create(task.MasterDir, "")
		proxy, through := zktest.Via(t, root)
		s := harness.Open(t, through)
		var theirs string
		var err error
		met := proxy.CutBefore(zktest.OpMulti, 1, zktest.Naming(task.MasterDir+"/"), func(request []byte) bool {
			// The same name as ours, but for the number.
			at := bytes.Index(request, []byte(task.MasterDir+"/"))
			prefix := string(request[at : at+len(task.MasterDir+"/")+len("11111111-2222-3333-4444-555555555555-")])
			var made []session.Result
			if made, err = other.Multi(session.CreateEphemeralSequential(prefix, nil)); err == nil {
				theirs = made[0].Path
			}
			return true
		})
		c := join(t, s)
		await(t, "lost request", met)
		if err != nil {
			t.Fatal(err)
		}
		if stat, ok := h.Stat(c.Path()); !ok || stat.EphemeralOwner != s.ID() {
			t.Errorf("stat of %s: %+v, %v; session %#x", c.Path(), stat, ok, s.ID())
		}
		if elected(t, c) {
			t.Errorf("%s leads although %s is ahead", c.Path(), theirs)
		}
	})

	t.Run("join_fails_when_the_session_expires_before_the_reply", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		h.Create(task.MasterDir, "")
		proxy, through := zktest.Via(t, root)
		s := harness.Open(t, through)
		held, release := proxy.Hold(zktest.OpMulti, 1, zktest.Naming(task.MasterDir+"/"))
		joined := make(chan error, 1)
		go func() {
			_, err := Join(s, "me", unwatched)
			joined <- err
		}()
		await(t, "request", held)
		proxy.Refuse(true)
		zktest.Expire(t, root, s.ID())
		proxy.Refuse(false)
		release()
		if err := <-joined; !errors.Is(err, session.ErrOver) {
			t.Errorf("Join: %v", err)
		}
		if got := h.Children(task.MasterDir); len(got) != 0 {
			t.Errorf("left behind: %q", got)
		}
	})

	t.Run("a_backup_leads_when_its_predecessor_vanished_meanwhile", func(t *testing.T) {
		root := zktest.Connect(t)
		first := join(t, harness.Open(t, root))
		proxy, through := zktest.Via(t, root)
		second := join(t, harness.Open(t, through))
		if elected(t, second) {
			t.Fatal("the second leads")
		}
		done := campaign(t.Context(), second)
		proxy.Refuse(true)
		if err := first.Resign(); err != nil {
			t.Fatal(err)
		}
		proxy.Refuse(false)
		if r := outcome(t, done); r.err != nil {
			t.Errorf("Campaign: %v", r.err)
		}
	})

	t.Run("a_leader_that_was_cut_off_leads_on_and_its_watch_still_works", func(t *testing.T) {
		root := zktest.Connect(t)
		proxy, through := zktest.Via(t, root)
		c := join(t, harness.Open(t, through))
		r := outcome(t, campaign(t.Context(), c))
		if r.err != nil {
			t.Fatal(r.err)
		}
		proxy.Refuse(true)
		proxy.Refuse(false)
		if err := c.s.Sync(); err != nil {
			t.Fatal(err)
		}
		if err := r.term.Context().Err(); err != nil {
			t.Errorf("the term ended: %v", err)
		}
		if _, err := c.s.Multi(r.term.Fence(), session.Create("/led", nil)); err != nil {
			t.Errorf("write of the leader: %v", err)
		}
		zktest.Conn(t, root).Delete(c.Path())
		if cause := ended(t, r.term); !errors.Is(cause, ErrOut) {
			t.Errorf("ended with %v", cause)
		}
	})

	t.Run("a_leader_that_was_removed_while_cut_off_is_refused_and_then_out", func(t *testing.T) {
		root := zktest.Connect(t)
		proxy, through := zktest.Via(t, root)
		c := join(t, harness.Open(t, through))
		r := outcome(t, campaign(t.Context(), c))
		if r.err != nil {
			t.Fatal(r.err)
		}
		proxy.Refuse(true)
		zktest.Conn(t, root).Delete(c.Path())
		proxy.Refuse(false)
		_, err := c.s.Multi(r.term.Fence(), session.Create("/stale", nil))
		var refused *session.OpError
		if errors.Is(err, session.ErrUnknown) { // sent before the cut was noticed
			_, err = c.s.Multi(r.term.Fence(), session.Create("/stale", nil))
		}
		if !errors.As(err, &refused) || refused.Index != 0 || !errors.Is(err, zk.ErrNoNode) {
			t.Errorf("Multi: %v", err)
		}
		if cause := ended(t, r.term); !errors.Is(cause, ErrOut) {
			t.Errorf("ended with %v", cause)
		}
	})
}

// One server cannot show what the Sync is for: the read after it sees what was written
// through another server.
func TestReconnectJoinSyncs(t *testing.T) {
	proxy, via := zktest.Via(t, zktest.Connect(t))
	s := harness.Open(t, via)
	if err := s.EnsureDirs(task.MasterDir); err != nil {
		t.Fatal(err)
	}
	proxy.Seen()
	cut := proxy.CutAfter(zktest.OpMulti, 1)
	if _, err := Join(s, "me", unwatched); err != nil {
		t.Fatal(err)
	}
	<-cut
	seen := proxy.Seen()
	sync, list := slices.Index(seen, zktest.OpSync), slices.Index(seen, zktest.OpGetChildren)
	if sync < 0 || list < sync {
		t.Errorf("after a lost reply: %v; want a sync, then a listing", seen)
	}
}
