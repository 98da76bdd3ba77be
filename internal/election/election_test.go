package election

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestMain(m *testing.M) { zktest.Main(m) }

func TestJoin(t *testing.T) {
	t.Parallel()
	t.Run("creates_the_missing_directory_and_an_ephemeral_candidate_that_says_who", func(t *testing.T) {
		root := zktest.Connect(t)
		h, s := zktest.Conn(t, root), harness.Open(t, root)
		c := join(t, s)
		if data, _ := h.Get(c.Path()); data != "me" {
			t.Errorf("%s holds %q", c.Path(), data)
		}
		if stat, ok := h.Stat(c.Path()); !ok || stat.EphemeralOwner != s.ID() {
			t.Errorf("stat of %s: %+v, %v", c.Path(), stat, ok)
		}
		if !elected(t, c) {
			t.Error("the only candidate does not lead")
		}
	})
	t.Run("works_again_on_the_same_session_after_the_directory_was_removed", func(t *testing.T) {
		root := zktest.Connect(t)
		h, s := zktest.Conn(t, root), harness.Open(t, root)
		out := join(t, s)
		elected(t, out)
		h.DeleteAll(task.MasterDir)
		changed(t, out)
		if _, err := out.Election(); !errors.Is(err, ErrOut) {
			t.Errorf("Election: %v, want ErrOut", err)
		}
		if err := out.Resign(); err != nil {
			t.Errorf("resign: %v", err)
		}
		if c := join(t, s); !elected(t, c) || c.Path() == out.Path() {
			t.Errorf("%s does not lead, after %s", c.Path(), out.Path())
		}
	})
	t.Run("fails_when_the_session_is_over", func(t *testing.T) {
		s := harness.Open(t, zktest.Connect(t))
		s.Close()
		if _, err := Join(s, "me", unwatched); !errors.Is(err, session.ErrOver) {
			t.Errorf("Join: %v", err)
		}
	})
	t.Run("fails_when_the_directory_takes_no_children", func(t *testing.T) {
		root := zktest.Connect(t)
		zktest.Conn(t, root).CreateEphemeral(task.MasterDir, "")
		if _, err := Join(harness.Open(t, root), "me", unwatched); !errors.Is(err, zk.ErrNoChildrenForEphemerals) {
			t.Errorf("Join: %v", err)
		}
	})
}

// departures are the ways in which a leader leaves without a reconnect.
var departures = map[string]func(h *zktest.ManualClient, leader *Candidate) error{
	"resigns":                       func(_ *zktest.ManualClient, leader *Candidate) error { return leader.Resign() },
	"closes_its_session":            func(_ *zktest.ManualClient, leader *Candidate) error { leader.s.Close(); return nil },
	"has_its_znode_deleted_by_hand": func(h *zktest.ManualClient, leader *Candidate) error { h.Delete(leader.Path()); return nil },
}

func TestCampaign(t *testing.T) {
	t.Parallel()
	for how, leave := range departures {
		t.Run("the_next_of_five_leads_when_the_leader_"+how, func(t *testing.T) {
			succession(t, leave)
		})
	}
	t.Run("ends_with_its_context", func(t *testing.T) {
		root := zktest.Connect(t)
		zktest.Conn(t, root).Create(task.MasterDir, "")
		elected(t, join(t, harness.Open(t, root)))
		backup := join(t, harness.Open(t, root))
		ctx, cancel := context.WithCancelCause(t.Context())
		done := campaign(ctx, backup)
		cancel(errTest)
		if r := outcome(t, done); !errors.Is(r.err, errTest) {
			t.Errorf("Campaign: %v", r.err)
		}
		if backup.Resign() != nil || !errors.Is(outcome(t, campaign(ctx, backup)).err, errTest) {
			t.Error("campaigns under a context that has ended")
		}
	})
	t.Run("ends_with_its_session", func(t *testing.T) {
		root := zktest.Connect(t)
		elected(t, join(t, harness.Open(t, root)))
		backup := join(t, harness.Open(t, root))
		done := campaign(t.Context(), backup)
		backup.s.Close()
		if r := outcome(t, done); !errors.Is(r.err, session.ErrOver) {
			t.Errorf("Campaign: %v", r.err)
		}
	})
	t.Run("ends_with_ErrOut_when_a_backup_is_removed_by_hand", func(t *testing.T) {
		root := zktest.Connect(t)
		elected(t, join(t, harness.Open(t, root)))
		backup := join(t, harness.Open(t, root))
		done := campaign(t.Context(), backup)
		zktest.Conn(t, root).Delete(backup.Path())
		if r := outcome(t, done); !errors.Is(r.err, ErrOut) {
			t.Errorf("Campaign: %v", r.err)
		}
	})
}

// succession checks that five candidates lead one after the other. Each leaves when it leads.
func succession(t *testing.T, leave func(*zktest.ManualClient, *Candidate) error) {
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	const n = 5
	var candidates []*Candidate
	var campaigns []<-chan result
	for range n {
		c := join(t, harness.Open(t, root))
		candidates = append(candidates, c)
		campaigns = append(campaigns, campaign(t.Context(), c))
	}
	for i, c := range candidates {
		r := outcome(t, campaigns[i])
		if r.err != nil {
			t.Fatalf("campaign of candidate %d: %v", i, r.err)
		}
		// All before it are gone, all behind it are there and do not lead.
		if got := Ordered(h.Children(task.MasterDir)); len(got) != n-i || task.MasterDir+"/"+got[0] != c.Path() {
			t.Errorf("candidate %d, %s, leads among %q", i, c.Path(), got)
		}
		for k := i + 1; k < n; k++ {
			if len(campaigns[k]) > 0 {
				t.Fatalf("candidate %d leads beside candidate %d", k, i)
			}
		}
		if err := leave(h, c); err != nil {
			t.Fatal(err)
		}
		cause := ended(t, r.term)
		if !errors.Is(cause, ErrOut) && !errors.Is(cause, session.ErrOver) {
			t.Errorf("the term of candidate %d ended with %v", i, cause)
		}
		r.term.End()
	}
}

func TestElection(t *testing.T) {
	t.Parallel()
	t.Run("is_true_for_one_of_five_and_then_wakes_only_the_next", func(t *testing.T) {
		root := zktest.Connect(t)
		candidates := five(t, root)
		for len(candidates) > 1 {
			for i, c := range candidates {
				if leads := elected(t, c); leads != (i == 0) {
					t.Fatalf("candidate %d of %d: %v", i, len(candidates), leads)
				}
			}
			if err := candidates[0].Resign(); err != nil {
				t.Fatal(err)
			}
			candidates = candidates[1:]
			changed(t, candidates[0])
			for _, c := range candidates[1:] {
				unchanged(t, c)
			}
		}
	})
	t.Run("watches_only_the_own_znode_and_the_predecessor", func(t *testing.T) {
		root := zktest.Connect(t)
		candidates := five(t, root)
		for range 3 { // asking again adds nothing
			want := make(map[string][]int64)
			for i, c := range candidates {
				elected(t, c)
				want[c.Path()] = append(want[c.Path()], c.s.ID())
				want[access.Znode] = append(want[access.Znode], c.s.ID()) // its session's
				if i > 0 {
					p := candidates[i-1].Path()
					want[p] = append(want[p], c.s.ID())
				}
			}
			for _, sessions := range want {
				slices.Sort(sessions)
			}
			if got := watches(t, root); !maps.EqualFunc(got, want, slices.Equal) {
				t.Errorf("watches: %x\nwant: %x", got, want)
			}
		}
	})
	t.Run("sets_no_second_watch", func(t *testing.T) {
		root := zktest.Connect(t)
		proxy, through := zktest.Via(t, root)
		c := join(t, harness.Open(t, through))
		for i, want := range []byte{1, 0, 0} {
			var watch byte
			met := before(proxy, zktest.OpGetData, c.Path(), func(request []byte) { watch = request[len(request)-1] })
			elected(t, c)
			await(t, "read of the own znode", met)
			if watch != want {
				t.Errorf("read %d: watch %d, want %d", i, watch, want)
			}
		}
	})
	t.Run("hints_at_each_change_not_only_at_the_first", func(t *testing.T) {
		root := zktest.Connect(t)
		h, c := zktest.Conn(t, root), join(t, harness.Open(t, root))
		for range 3 {
			elected(t, c)
			h.Set(c.Path(), "still me")
			changed(t, c)
		}
	})
	t.Run("stays_false_for_the_third_when_the_second_leaves", func(t *testing.T) {
		root := zktest.Connect(t)
		candidates := five(t, root)[:3]
		for _, c := range candidates {
			elected(t, c)
		}
		first, second, third := candidates[0], candidates[1], candidates[2]
		if err := second.Resign(); err != nil {
			t.Fatal(err)
		}
		changed(t, third)
		if elected(t, third) {
			t.Fatal("the third leads although the first is there")
		}
		if err := first.Resign(); err != nil {
			t.Fatal(err)
		}
		changed(t, third)
		if !elected(t, third) {
			t.Error("the third does not lead although it is alone")
		}
	})
	t.Run("lists_again_when_the_predecessor_vanishes_between_listing_and_watch", func(t *testing.T) {
		root := zktest.Connect(t)
		first := join(t, harness.Open(t, root))
		proxy, through := zktest.Via(t, root)
		second := join(t, harness.Open(t, through))
		var err error
		met := before(proxy, zktest.OpGetData, first.Path(), func([]byte) { err = first.Resign() })
		leads := elected(t, second)
		await(t, "read of the predecessor", met)
		if !leads || err != nil {
			t.Errorf("the second leads: %v; the first resigned: %v", leads, err)
		}
	})
	t.Run("stays_false_when_a_mere_candidate_vanishes_between_listing_and_watch", func(t *testing.T) {
		root := zktest.Connect(t)
		first, second := join(t, harness.Open(t, root)), join(t, harness.Open(t, root))
		proxy, through := zktest.Via(t, root)
		third := join(t, harness.Open(t, through))
		var err error
		met := before(proxy, zktest.OpGetData, second.Path(), func([]byte) { err = second.Resign() })
		leads := elected(t, third)
		await(t, "read of the predecessor", met)
		if leads || err != nil {
			t.Fatalf("the third leads: %v; the second resigned: %v", leads, err)
		}
		if err := first.Resign(); err != nil {
			t.Fatal(err)
		}
		changed(t, third)
		if !elected(t, third) {
			t.Error("the third does not lead although it is alone")
		}
	})
	t.Run("is_out_when_the_own_znode_vanishes_between_listing_and_watch", func(t *testing.T) {
		root := zktest.Connect(t)
		other := harness.Open(t, root)
		proxy, through := zktest.Via(t, root)
		c := join(t, harness.Open(t, through))
		var err error
		met := before(proxy, zktest.OpGetData, c.Path(), func([]byte) {
			_, err = other.Multi(session.Delete(c.Path(), session.AnyVersion))
		})
		if leads, err := c.Election(); leads || !errors.Is(err, ErrOut) {
			t.Errorf("Election: %v, %v", leads, err)
		}
		await(t, "read of the own znode", met)
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("is_out_when_the_znode_at_its_path_belongs_to_another_session", func(t *testing.T) {
		root := zktest.Connect(t)
		h, c := zktest.Conn(t, root), join(t, harness.Open(t, root))
		elected(t, c)
		h.Delete(c.Path())
		h.CreateEphemeral(c.Path(), "me")
		if leads, err := c.Election(); leads || !errors.Is(err, ErrOut) {
			t.Errorf("Election: %v, %v", leads, err)
		}
	})
	t.Run("fails_when_the_session_is_over", func(t *testing.T) {
		c := join(t, harness.Open(t, zktest.Connect(t)))
		c.s.Close()
		if leads, err := c.Election(); leads || !errors.Is(err, session.ErrOver) {
			t.Errorf("Election: %v, %v", leads, err)
		}
	})
}
