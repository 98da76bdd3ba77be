package master

import (
	"fmt"
	"testing"
	"time"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// TestTurn shows that a turn of the loop is bounded, however much there is: what
// comes meanwhile is heard of, and the watchdog sees that the loop turns.
func TestTurn(t *testing.T) {
	setup := func(t *testing.T, names []string) *leader {
		h, connect := tree(t)
		s := open(t, connect)
		l := still(s, h.CreateSeq("/master/x-", ""), newView(3), testLogger(t))
		l.hints, l.dirs = s.Hints(task.TasksDir, task.WorkersDir, task.WorkersDir+"/"), newDirs(s)
		l.asks, l.listings = make(chan ask, 1), make(chan listing, 1)
		group := s.NewGroup()
		for _, id := range names {
			if _, err := group.Multi(session.CreateEphemeral(task.StatePath(id), []byte("pending"))); err != nil {
				t.Fatal(err)
			}
		}
		h.CreateEphemeral("/workers/w1", "")
		l.view.asked++
		l.view.listTasks(names, l.view.asked, time.Now())
		l.workersDirty = true
		return l
	}
	t.Run("reads_some_of_many_tasks_and_says_that_there_are_more", func(t *testing.T) {
		var names []string
		for i := range 20 * ahead {
			names = append(names, fmt.Sprintf("by-hand-%05d", i))
		}
		l := setup(t, names[:1]) // the others are gone when they are read
		l.view.asked++
		l.view.listTasks(names, l.view.asked, time.Now())
		more, err := l.round(t.Context())
		if err != nil || !more {
			t.Fatalf("more %t, %v", more, err)
		}
		if left := len(l.view.toRead); left == 0 || left == len(names) {
			t.Errorf("%d of %d tasks are left to be read", left, len(names))
		}
	})
	t.Run("lists_again_within_a_second_however_long_a_listing_took", func(t *testing.T) {
		l := setup(t, nil)
		l.merge(listing{number: l.view.asked, took: time.Hour})
		if pause := time.Until(l.askAt()); pause > listPauseMost {
			t.Errorf("not before %v", pause)
		}
	})
	t.Run("assigns_once_and_says_that_there_may_be_more", func(t *testing.T) {
		l := setup(t, []string{task.NewID(), task.NewID()})
		for i, want := range []bool{true, true, false} { // it is watched then
			more, err := l.round(t.Context())
			if err != nil || more != want {
				t.Fatalf("turn %d: more %t, %v", i, more, err)
			}
		}
		if n := len(l.view.holders); n != 1 {
			t.Errorf("%d tasks are held by one worker", n)
		}
	})
}
