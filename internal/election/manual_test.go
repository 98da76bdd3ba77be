package election

import (
	"context"
	"errors"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestLeader(t *testing.T) {
	t.Parallel()
	is := func(t *testing.T, s *session.Session, wantPath, wantWho string) {
		t.Helper()
		if path, who, err := Leader(s); path != wantPath || who != wantWho || err != nil {
			t.Errorf("Leader: %q, %q, %v; want %q, %q", path, who, err, wantPath, wantWho)
		}
	}
	t.Run("is_the_lowest_number_or_nobody", func(t *testing.T) {
		root := zktest.Connect(t)
		h, s := zktest.Conn(t, root), harness.Open(t, root)
		is(t, s, "", "")
		h.Create(task.MasterDir, "")
		is(t, s, "", "")
		h.Create(task.MasterDir+"/notes", "")
		is(t, s, "", "")
		first := h.CreateSeq(task.MasterDir+"/z-", "the first")
		h.CreateSeq(task.MasterDir+"/a-", "the second")
		is(t, s, first, "the first")
	})
	t.Run("may_be_one_that_nobody_may_read", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		h.Create(task.MasterDir, "")
		is(t, harness.Open(t, root), makeUnreadable(t, h, root), "")
	})
	t.Run("is_the_next_when_the_first_vanishes_after_the_listing", func(t *testing.T) {
		root := zktest.Connect(t)
		first, second := join(t, harness.Open(t, root)), join(t, harness.Open(t, root))
		proxy, through := zktest.Via(t, root)
		s := harness.Open(t, through)
		var err error
		met := before(proxy, zktest.OpGetData, first.Path(), func([]byte) { err = first.Resign() })
		is(t, s, second.Path(), "me")
		await(t, "read of the first", met)
		if err != nil {
			t.Error(err)
		}
	})
}

func TestCandidateMadeByHand(t *testing.T) {
	t.Parallel()
	t.Run("leads_until_it_is_removed", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		h.Create(task.MasterDir, "")
		byHand := h.CreateSeq(task.MasterDir+"/by-hand-", "me")
		c := join(t, harness.Open(t, root))
		if elected(t, c) {
			t.Fatalf("%s leads although %s is ahead", c.Path(), byHand)
		}
		done := campaign(t.Context(), c)
		h.Delete(byHand)
		if r := outcome(t, done); r.err != nil {
			t.Errorf("Campaign: %v", r.err)
		}
	})
	t.Run("may_be_permanent_and_have_children", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		h.Create(task.MasterDir, "")
		h.Create(task.MasterDir+"/0000000000", "")
		h.Create(task.MasterDir+"/0000000000/child", "")
		c := join(t, harness.Open(t, root))
		if elected(t, c) {
			t.Fatal("leads although another is ahead")
		}
		done := campaign(t.Context(), c)
		h.DeleteAll(task.MasterDir + "/0000000000")
		if r := outcome(t, done); r.err != nil {
			t.Errorf("Campaign: %v", r.err)
		}
	})
	t.Run("is_ahead_also_when_nobody_may_read_it", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		h.Create(task.MasterDir, "")
		secret := makeUnreadable(t, h, root)
		c := join(t, harness.Open(t, root))
		if elected(t, c) {
			t.Fatal("leads although another is ahead")
		}
		h.Delete(secret)
		if !elected(t, c) {
			t.Error("does not lead although nobody is ahead")
		}
	})
	t.Run("needs_a_name_that_ends_in_ten_digits", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		h.Create(task.MasterDir, "who leads?")
		for _, name := range []string{"notes", "_c_x", "current", "lock-12", "a-000000001", "0000000000-a", "ü", "000000000 0"} {
			h.Create(task.MasterDir+"/"+name, "")
		}
		h.Create(task.MasterDir+"/notes/0000000000", "")
		c := join(t, harness.Open(t, root))
		r := outcome(t, campaign(t.Context(), c))
		if r.err != nil {
			t.Fatal(r.err)
		}
		h.Create(task.MasterDir+"/todo", "")
		h.DeleteAll(task.MasterDir + "/notes")
		h.Set(task.MasterDir, "me")
		h.Set(c.Path(), "")
		if err := r.term.Context().Err(); err != nil {
			t.Errorf("the term ended: %v", context.Cause(r.term.Context()))
		}
		r.term.End()
		if !elected(t, c) {
			t.Error("leads no more")
		}
	})
}

func TestElectionIsOutWhenTheOwnZnodeMayNotBeRead(t *testing.T) {
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	s := harness.Open(t, root)
	c := join(t, s)
	h.SetACL(c.Path(), zk.DigestACL(zk.PermAll, "someone", "else"))
	if _, err := c.Election(); !errors.Is(err, ErrOut) {
		t.Fatalf("error %v, want %v: it is to run again", err, ErrOut)
	}
	if err := c.Resign(); err != nil {
		t.Fatal(err)
	}
	if !elected(t, join(t, s)) {
		t.Error("a new candidate does not lead")
	}
}
