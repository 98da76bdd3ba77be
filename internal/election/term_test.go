package election

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestTerm(t *testing.T) {
	t.Parallel()
	lead := func(t *testing.T, root string, ctx context.Context) (*Candidate, *Term) {
		c := join(t, harness.Open(t, root))
		r := outcome(t, campaign(ctx, c))
		if r.err != nil {
			t.Fatal(r.err)
		}
		return c, r.term
	}
	t.Run("ends_with_ErrOut_when_the_znode_is_removed", func(t *testing.T) {
		root := zktest.Connect(t)
		c, term := lead(t, root, t.Context())
		zktest.Conn(t, root).Delete(c.Path())
		if cause := ended(t, term); !errors.Is(cause, ErrOut) {
			t.Errorf("ended with %v", cause)
		}
	})
	t.Run("ends_with_ErrOut_when_the_znode_is_made_again_by_another_session", func(t *testing.T) {
		root := zktest.Connect(t)
		c, term := lead(t, root, t.Context())
		h := zktest.Conn(t, root)
		h.Delete(c.Path())
		h.CreateEphemeral(c.Path(), "me")
		if cause := ended(t, term); !errors.Is(cause, ErrOut) {
			t.Errorf("ended with %v", cause)
		}
	})
	t.Run("ends_with_the_campaigns_context", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		_, term := lead(t, zktest.Connect(t), ctx)
		cancel(errTest)
		if cause := ended(t, term); !errors.Is(cause, errTest) {
			t.Errorf("ended with %v", cause)
		}
		term.End()
	})
	t.Run("can_be_ended_and_followed_by_another", func(t *testing.T) {
		c, term := lead(t, zktest.Connect(t), t.Context())
		term.End()
		term.End()
		if cause := ended(t, term); cause != context.Canceled {
			t.Errorf("ended with %v", cause)
		}
		r := outcome(t, campaign(t.Context(), c))
		if r.err != nil {
			t.Fatal(r.err)
		}
		r.term.End()
	})
	t.Run("is_overtaken_by_a_lower_number_made_by_hand_and_the_candidate_can_campaign_again", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		h.Create(task.MasterDir, "")
		h.Delete(h.CreateSeq(task.MasterDir+"/", "takes number 0"))
		proxy, through := zktest.Via(t, root)
		c, term := lead(t, through, t.Context())
		idle(t, proxy)
		lower := task.MasterDir + "/by-hand-0000000000"
		h.CreateEphemeral(lower, "")
		made := time.Now()
		if cause := ended(t, term); !errors.Is(cause, ErrOvertaken) || !strings.Contains(cause.Error(), lower) {
			t.Errorf("ended with %v", cause)
		}
		if took := time.Since(made); took > recheck/2 {
			t.Errorf("ended after %s: by the look every %s, not by a watch", took, recheck)
		}
		term.End()
		if elected(t, c) {
			t.Error("still leads")
		}
		done := campaign(t.Context(), c)
		h.Delete(lower)
		if r := outcome(t, done); r.err != nil {
			t.Errorf("campaign again: %v", r.err)
		}
	})
	t.Run("is_overtaken_also_when_all_watch_events_are_lost", func(t *testing.T) {
		t.Parallel() // takes as long as recheck
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		h.Create(task.MasterDir, "")
		h.Delete(h.CreateSeq(task.MasterDir+"/", "takes number 0"))
		proxy, through := zktest.Via(t, root)
		c, term := lead(t, through, t.Context())
		idle(t, proxy)
		c.s.Forget(task.MasterDir, task.MasterDir+"/") // so the events of all watches are lost
		h.CreateEphemeral(task.MasterDir+"/by-hand-0000000000", "")
		select {
		case <-term.Context().Done():
		case <-time.After(recheck + patience):
			t.Fatal("the term goes on")
		}
		if cause := context.Cause(term.Context()); !errors.Is(cause, ErrOvertaken) {
			t.Errorf("ended with %v", cause)
		}
	})
}

// idle waits until a candidate has read all that its watches told of.
func idle(t *testing.T, proxy *zktest.Proxy) {
	t.Helper()
	last := time.Now()
	zktest.Eventually(t, "nobody asks anything", func() (bool, string) {
		seen := proxy.Seen()
		if len(seen) > 0 {
			last = time.Now()
		}
		return time.Since(last) > 3*rest, fmt.Sprint(seen)
	})
}

func TestLeaderListsRarelyWhileCandidatesComeAndGo(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	proxy, through := zktest.Via(t, root)
	c := join(t, harness.Open(t, through))
	r := outcome(t, campaign(t.Context(), c))
	if r.err != nil {
		t.Fatal(r.err)
	}
	defer r.term.End()
	h := zktest.Conn(t, root)
	proxy.Seen()
	began := time.Now()
	for time.Since(began) < time.Second {
		h.Delete(h.CreateSeq(task.MasterDir+"/by-hand-", "me"))
	}
	lists := 0
	for _, op := range proxy.Seen() {
		if op == zktest.OpGetChildren {
			lists++
		}
	}
	if most := int(time.Since(began)/rest) + 2; lists == 0 || lists > most {
		t.Errorf("the leader listed the candidates %d times, want 1 to %d", lists, most)
	}
	if err := r.term.Context().Err(); err != nil {
		t.Errorf("the term ended: %v", context.Cause(r.term.Context()))
	}
}

// The first candidate is as a leader after a pause: it led, its znode is gone, and it has not
// noticed.
func TestFence(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	stale, next := join(t, harness.Open(t, root)), join(t, harness.Open(t, root))
	r := outcome(t, campaign(t.Context(), stale))
	if r.err != nil {
		t.Fatal(r.err)
	}
	r.term.End()
	h.Create("/before", "1")

	if _, err := stale.s.Multi(r.term.Fence(), session.Create("/led", nil)); err != nil {
		t.Fatalf("write of the leader: %v", err)
	}
	h.Delete(stale.Path())
	if !elected(t, next) {
		t.Fatal("nobody leads")
	}

	write := []session.Op{session.Create("/stale", nil), session.Set("/before", []byte("2"), session.AnyVersion), session.Delete("/led", session.AnyVersion)}
	t.Run("refuses_all_that_a_deposed_leader_writes", func(t *testing.T) {
		_, err := stale.s.Multi(append([]session.Op{r.term.Fence()}, write...)...)
		var refused *session.OpError
		if !errors.As(err, &refused) || refused.Index != 0 || !errors.Is(err, zk.ErrNoNode) {
			t.Errorf("Multi: %v", err)
		}
		if before, _ := h.Get("/before"); before != "1" || !slices.Equal(h.Children("/"), []string{"before", "led", "master"}) {
			t.Errorf("it wrote: %q, /before %q", h.Children("/"), before)
		}
	})
	t.Run("is_all_that_keeps_it_from_writing", func(t *testing.T) {
		if _, err := stale.s.Multi(write...); err != nil {
			t.Errorf("Multi without the fence: %v", err)
		}
		if before, _ := h.Get("/before"); before != "2" || !slices.Equal(h.Children("/"), []string{"before", "master", "stale"}) {
			t.Errorf("it did not write: %q, /before %q", h.Children("/"), before)
		}
	})
}

func TestResign(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	h, s := zktest.Conn(t, root), harness.Open(t, root)
	c := join(t, s)
	for _, when := range []string{"deletes_the_znode", "succeeds_a_second_time"} {
		t.Run(when, func(t *testing.T) {
			if err := c.Resign(); err != nil {
				t.Error(err)
			}
			if got := h.Children(task.MasterDir); len(got) != 0 {
				t.Errorf("left behind: %q", got)
			}
		})
	}
	t.Run("succeeds_when_the_session_is_over", func(t *testing.T) {
		c := join(t, s)
		s.Close()
		if err := c.Resign(); err != nil {
			t.Error(err)
		}
	})
}
