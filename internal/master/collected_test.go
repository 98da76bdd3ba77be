package master

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
	"taskkeeper/internal/zktest"
)

// TestFenceOfRemovals shows that a deposed leader removes nothing, and that each
// removal would pass without the fence.
func TestFenceOfRemovals(t *testing.T) {
	for name, rs := range map[string][]removal{
		"a_result":  {{kind: collectable, id: "t", version: 1, payload: true}},
		"a_payload": {{kind: ownerless, id: "alone"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, h, _, _ := keeper(t)
			finished(h, "t", "done 1")
			h.Create("/data/alone", "")
			list(t, l, true, 2*hour)
			list(t, l, true, 0)
			learn(t, l)
			h.Delete(l.fence.Path)
			if err := l.tidy(time.Now().Add(2 * hour)); !errors.Is(err, errDeposed) {
				t.Errorf("tidy: %v", err)
			}
			if _, err := l.remove(slices.Clone(rs)); !errors.Is(err, errDeposed) {
				t.Errorf("remove: %v", err)
			}
			if got := left(h); got != "[t] [alone t]" {
				t.Errorf("left %s", got)
			}
			var ops []session.Op
			for _, r := range rs {
				ops = append(ops, r.ops()...)
			}
			if _, err := l.s.Multi(ops...); err != nil {
				t.Errorf("without the fence: %v", err)
			}
		})
	}
}

// TestRetention has whole masters remove what is due.
func TestRetention(t *testing.T) {
	gone := func(t *testing.T, h *zktest.Hand, paths ...string) {
		t.Helper()
		zktest.Eventually(t, fmt.Sprint(paths, " are gone"), func() (bool, string) {
			for _, p := range paths {
				if _, ok := h.Get(p); ok {
					return false, p
				}
			}
			return true, ""
		})
	}
	t.Run("of_results_without_any_worker", func(t *testing.T) {
		const period = 2 * time.Second
		h, connect := tree(t)
		var ids []string
		for range 3 {
			ids = append(ids, task.NewID())
		}
		finished(h, ids[0], "done 1") // a leader that comes later has not seen how it ended
		h.CreateEphemeral("/tasks/of-a-client", "done 1")
		submit(h, ids[1])
		start := time.Now()
		run(t, open(t, connect), Config{Retention: period})
		gone(t, h, task.StatePath(ids[0]), task.DataPath(ids[0]))
		if took := time.Since(start); took < period {
			t.Errorf("removed after %v", took)
		}
		finished(h, ids[2], "failed so")
		start = time.Now()
		gone(t, h, task.StatePath(ids[2]), task.DataPath(ids[2]))
		if took := time.Since(start); took < period {
			t.Errorf("removed after %v", took)
		}
		if got := left(h); got != fmt.Sprintf("[%s of-a-client] [%s]", ids[1], ids[1]) {
			t.Errorf("left %s", got)
		}
	})
	t.Run("of_a_payload_without_a_task", func(t *testing.T) {
		h, connect := tree(t)
		h.Create("/data/alone", "")
		h.Create("/data/a-little-later", "0")
		run(t, open(t, connect), Config{Retention: time.Second})
		settled(t, h)
		h.Create("/tasks/a-little-later", "pending")
		gone(t, h, "/data/alone")
		if got := left(h); got != "[a-little-later] [a-little-later]" {
			t.Errorf("left %s", got)
		}
	})
	t.Run("of_thousands_of_results_holds_up_no_assignment", func(t *testing.T) {
		const many = 1500
		h, connect := tree(t)
		s := open(t, connect)
		for range many / 100 {
			var ops []session.Op
			for range 100 {
				id := task.NewID()
				ops = append(ops, session.Create(task.DataPath(id), nil), session.Create(task.StatePath(id), nil),
					session.Set(task.StatePath(id), []byte("done 1"), 0))
			}
			if _, err := s.Multi(ops...); err != nil {
				t.Fatal(err)
			}
		}
		run(t, s, Config{Retention: time.Second})
		h.CreateEphemeral("/workers/w", "")
		slowest := time.Duration(0)
		was := many
		for n := many; n > 0; n = len(h.Children("/tasks")) {
			if was-n > 3*removals {
				t.Errorf("%d removed while one task was done", was-n)
			}
			was = n
			id := task.NewID()
			submit(h, id)
			began := time.Now()
			expect(t, h, "/workers/w", id)
			slowest = max(slowest, time.Since(began))
			finish(h, "w", id)
			h.Delete(task.StatePath(id))
			h.Delete(task.DataPath(id))
		}
		t.Logf("the slowest assignment took %v", slowest)
		if slowest > 5*time.Second {
			t.Errorf("an assignment took %v", slowest)
		}
	})
}
