package master

import (
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

func TestAttend(t *testing.T) {
	// settled is a view whose workers were read, and are watched, as after a while.
	settled := func(tasks int, workers ...string) *view {
		v, _ := turning(tasks, 0, workers...)
		for _, w := range workers {
			v.watching(w)
		}
		return v
	}
	carryOut := func(v *view) {
		for _, m := range v.decide() {
			v.done(m, v.workers[m.worker].version+1)
			v.fired(m.worker) // the watch tells of that write
		}
	}
	armed := func(v *view) string {
		v.decide()
		ids := append(v.stale(100), v.newcomers(100)...)
		for _, id := range ids {
			if !v.workers[id].arm {
				t.Errorf("%s is read and not watched", id)
			}
		}
		return strings.Join(ids, " ")
	}
	expect := func(t *testing.T, v *view, want string) {
		t.Helper()
		if got := armed(v); got != want {
			t.Errorf("to be read and watched: %q, want %q", got, want)
		}
	}
	t.Run("what_the_leader_wrote_itself_is_not_read", func(t *testing.T) {
		v := settled(1, "w1", "w2")
		carryOut(v)
		if v.workers["w1"].watched {
			t.Error("watched, although that has fired")
		}
		expect(t, v, "")
	})
	t.Run("what_another_wrote_is", func(t *testing.T) {
		v := settled(0, "w1", "w2")
		v.fired("w2")
		if got := v.stale(100); !slices.Equal(got, []string{"w2"}) {
			t.Errorf("to be read: %q", got)
		}
	})
	t.Run("a_busy_worker_is_left_alone_while_another_is_free", func(t *testing.T) {
		v := settled(1, "w1", "w2")
		carryOut(v)
		expect(t, v, "")
		if at := v.recheck.Sub(v.now); at != calm {
			t.Errorf("looks again after %v", at)
		}
	})
	t.Run("and_watched_once_it_has_stood_still", func(t *testing.T) {
		v := settled(1, "w1", "w2")
		carryOut(v)
		v.now = v.now.Add(calm)
		expect(t, v, "w1")
	})
	t.Run("and_so_is_a_free_one", func(t *testing.T) {
		v := settled(1, "w1", "w2")
		carryOut(v)
		v.readWorker("w1", nil, 2)
		expect(t, v, "")
		v.now = v.now.Add(calm)
		expect(t, v, "w1")
	})
	t.Run("but_not_if_a_task_stands_behind_another_there", func(t *testing.T) {
		v, ids := turning(3, 0, "w1", "w2", "w3")
		v.readWorker("w1", ids[:2], 1)
		v.readWorker("w2", ids[2:], 1)
		v.watching("w3")
		expect(t, v, "w1")
	})
	ids := []string{"w00", "w01", "w02", "w03", "w04", "w05", "w06", "w07", "w08", "w09", "w10", "w11"}
	first := strings.Join(ids[:few], " ")
	t.Run("a_few_of_the_busy_ones_are_watched_while_none_is_free", func(t *testing.T) {
		v := settled(len(ids), ids...)
		carryOut(v)
		expect(t, v, first)
		expect(t, v, first) // not read yet
	})
	t.Run("long_tasks_do_not_count", func(t *testing.T) {
		v := settled(few, ids[:few]...)
		carryOut(v)
		v.now = v.now.Add(calm)
		armed(v)
		for _, id := range ids[:few] { // all are watched
			v.readWorker(id, v.workers[id].list, 1)
			v.watching(id)
		}
		v.listWorkers(ids)
		for _, id := range ids[few:] {
			v.readWorker(id, nil, 0)
			v.watching(id)
		}
		v.asked++
		names := slices.Collect(func(yield func(string) bool) {
			for id := range v.tasks {
				yield(id)
			}
		})
		for range ids[few:] {
			names = append(names, task.NewID())
		}
		v.listTasks(names, v.asked, time.Now())
		carryOut(v)
		expect(t, v, strings.Join(ids[few:], " "))
	})
	t.Run("others_are_read_as_well_when_one_was_done", func(t *testing.T) {
		v := settled(len(ids), ids...)
		carryOut(v)
		v.readOn(2)
		if got := v.stale(100); !slices.Equal(got, ids[:2]) {
			t.Errorf("to be read: %q", got)
		}
		if v.workers["w00"].arm {
			t.Error("with a watch")
		}
	})
	t.Run("nothing_is_forgotten", func(t *testing.T) {
		v := settled(len(ids), ids...)
		carryOut(v)
		v.now = v.now.Add(calm - time.Millisecond)
		expect(t, v, first)
		if at := v.recheck.Sub(v.now); at != time.Millisecond {
			t.Errorf("looks again after %v", at)
		}
		v.now = v.recheck
		expect(t, v, strings.Join(ids, " "))
	})
}
