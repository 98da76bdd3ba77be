package client

import (
	"slices"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestIDsKeepQueueAndMarkWhenTasksAreSubmittedAgain(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	h, r := zktest.Conn(t, root), startIn(t, root, "gpu")
	mark := task.ParseName(r.NewID()).Mark
	own := func(ids ...string) {
		t.Helper()
		for _, id := range ids {
			if n := task.ParseName(id); n.Queue != "gpu" || n.ByHand || n.Mark != mark {
				t.Errorf("%s: %+v, want mark %x of queue gpu", id, n, mark)
			}
		}
	}
	items := make(chan Item, 8)
	for i := range cap(items) {
		items <- Item{Index: i}
	}
	close(items)
	done := make(chan error, 1)
	go func() {
		_, err := r.Do(t.Context(), nil)
		done <- err
	}()
	go func() {
		done <- Batch{}.Do(t.Context(), r.Client, items, func(o Outcome) error { return o.Err })
	}()
	s := r.session()
	first := tasks(t, h, 1+cap(items))
	own(first...)
	s.Close()
	r.session()
	second := tasks(t, h, 1+cap(items)) // submitted again
	own(second...)
	if slices.ContainsFunc(second, func(id string) bool { return slices.Contains(first, id) }) {
		t.Errorf("submitted %q, then %q", first, second)
	}
	for _, id := range second {
		h.Set(task.StatePath(id), "done")
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestWindowOfAQueueIsSmaller(t *testing.T) {
	a := harness.SessionConfig(t, "h:1/"+string(slices.Repeat([]byte{'c'}, 400))).Address
	b := Batch{Window: 1}
	for b.Check(a, "") == nil {
		b.Window++
	}
	b.Window--
	if err := b.Check(a, string(slices.Repeat([]byte{'q'}, 64))); err == nil {
		t.Errorf("%d tasks of a queue with a long name", b.Window)
	}
}
