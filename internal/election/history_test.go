package election

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// A record is one write of a leader that ZooKeeper carried out.
type record struct {
	zxid   int64 // when, in ZooKeeper's order
	leader int64 // the number of the candidate that wrote
}

// interleaved returns an error when one leader wrote after a later one: the
// lowest number leads, so in ZooKeeper's order the numbers never go back.
func interleaved(history []record) error {
	history = slices.SortedFunc(slices.Values(history), func(a, b record) int { return cmp.Compare(a.zxid, b.zxid) })
	for i := 1; i < len(history); i++ {
		if before, after := history[i-1], history[i]; after.leader < before.leader {
			return fmt.Errorf("candidate %d wrote at zxid %#x, after candidate %d at %#x", after.leader, after.zxid, before.leader, before.zxid)
		}
	}
	return nil
}

func TestCheckOfAHistory(t *testing.T) {
	for name, tc := range map[string]struct {
		history []record
		bad     bool
	}{
		"accepts_no_write":                            {nil, false},
		"accepts_one_leader_after_the_other":          {[]record{{10, 1}, {12, 4}, {11, 1}, {15, 5}}, false},
		"rejects_a_write_after_one_of_a_later_leader": {[]record{{10, 1}, {12, 1}, {11, 4}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := interleaved(tc.history); (err != nil) != tc.bad {
				t.Errorf("interleaved: %v", err)
			}
		})
	}
}

// Five sessions run for leader, 20 times each. They leave in every way that needs no
// reconnect, some before they lead, and none stops writing before ZooKeeper refuses it.
func TestNoLeaderWritesAfterALaterLeader(t *testing.T) {
	t.Parallel()
	const (
		sessions = 5
		runs     = 20     // candidacies a session
		writes   = 4      // a term that nothing ends before
		refused  = 10_000 // writes within which a removed leader is refused
	)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	h.Create("/log", "")
	remover := harness.Open(t, root)

	var (
		all   sync.WaitGroup
		mu    sync.Mutex // guards terms
		terms int
	)
	each := func(i int, s *session.Session) error {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		for run := range runs {
			c, err := Join(s, "me", unwatched)
			if err != nil {
				return err
			}
			// The znode is removed by another session, now or a little later.
			remove := func() {
				all.Go(func() {
					if _, err := remover.Multi(session.Delete(c.Path(), session.AnyVersion)); err != nil {
						t.Errorf("remove: %v", err)
					}
				})
			}
			how := random.IntN(4)
			switch how {
			case 0: // leaves as a candidate
				if err := c.Resign(); err != nil {
					return err
				}
				continue
			case 1: // is removed as a candidate, or just when it leads
				remove()
			}
			term, err := c.Campaign(t.Context())
			if how == 1 && errors.Is(err, ErrOut) {
				continue
			}
			if err != nil {
				return err
			}
			mu.Lock()
			terms++
			mu.Unlock()
			if how == 2 { // is removed while it leads
				remove()
			}
			removed, n := how == 1 || how == 2, writes
			if removed {
				n = refused
			}
			for n := range n {
				entry := session.Create(fmt.Sprintf("/log/%d-%d-%d", i, run, n), []byte(c.Path()))
				if _, err = s.Multi(term.Fence(), entry); err != nil {
					break
				}
			}
			var op *session.OpError
			switch byFence := errors.As(err, &op) && op.Index == 0; {
			case err != nil && !(removed && byFence):
				return fmt.Errorf("write of %s, leaving in way %d: %w", c.Path(), how, err)
			case err == nil && removed:
				return fmt.Errorf("%s wrote %d times, the last ones without its znode", c.Path(), refused)
			}
			term.End()
			if cause := context.Cause(term.Context()); cause != context.Canceled && !errors.Is(cause, ErrOut) {
				return fmt.Errorf("the term of %s ended with %w", c.Path(), cause)
			}
			if err := c.Resign(); err != nil {
				return err
			}
		}
		return nil
	}
	var candidates []*session.Session
	for i := range sessions {
		s := harness.Open(t, root)
		candidates = append(candidates, s)
		all.Go(func() {
			if err := each(i, s); err != nil {
				t.Errorf("session %d: %v", i, err)
				s.Close() // the others go on without its candidate
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	if left := h.Children(task.MasterDir); len(left) != 0 {
		t.Fatalf("left behind: %q", left)
	}

	var history []record
	for _, name := range h.Children("/log") {
		path, _ := h.Get("/log/" + name)
		stat, _ := h.Stat("/log/" + name)
		n, _ := number(path)
		history = append(history, record{stat.Czxid, n})
	}
	t.Logf("%d terms, %d writes", terms, len(history))
	if err := interleaved(history); err != nil {
		t.Error(err)
	}

	var leaders []string
	for _, s := range candidates {
		if c := join(t, s); elected(t, c) {
			leaders = append(leaders, strings.TrimPrefix(c.Path(), task.MasterDir+"/"))
		}
	}
	if want := Ordered(h.Children(task.MasterDir)); len(want) != sessions || !slices.Equal(leaders, want[:1]) {
		t.Errorf("afterwards %q lead, of %q", leaders, want)
	}
}
