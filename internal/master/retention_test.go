package master

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/task"
)

// began is when the tests of the view begin; its period is a minute in them.
var began = time.Unix(1_000_000, 0)

func seconds(n int) time.Time { return began.Add(time.Duration(n) * time.Second) }

// listed is a view of tasks and no workers that keeps results for a minute.
func listed(ids ...string) *view {
	v := newView(3)
	v.retention.period = time.Minute
	v.asked++
	v.listTasks(ids, v.asked, time.Now())
	v.listWorkers(nil)
	return v
}

// read has the view read a task as the leader does. The zxid stands for the
// write of the state.
func read(v *view, id, text string, version int32, zxid, owner int64, now time.Time) {
	s := task.ParseState([]byte(text))
	if v.tasks[id].phase != held { // else it was asked for before that
		v.look(id)
		v.takeUnread(1)
	}
	v.readTask(id, s, version)
	v.keep(id, s, &zk.Stat{Version: version, Mzxid: zxid, EphemeralOwner: owner}, now)
}

// dueIDs is what is due, as id@version.
func dueIDs(v *view, now time.Time, n int) string {
	var s []string
	for _, r := range v.due(now, n) {
		s = append(s, fmt.Sprintf("%s@%d", r.id, r.version))
	}
	return strings.Join(s, " ")
}

func TestDue(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(v *view)
		want map[int]string // what is due, by seconds
	}{
		"a_result_after_the_retention_time": {
			func(v *view) { read(v, "t", "done 1", 1, 10, 0, seconds(0)) },
			map[int]string{0: "", 59: "", 60: "t@1", 600: "t@1"},
		},
		"a_failure_as_well": {
			func(v *view) { read(v, "t", "failed so", 3, 10, 0, seconds(0)) },
			map[int]string{59: "", 60: "t@3"},
		},
		"the_time_runs_from_the_first_read_of_a_state": {
			func(v *view) {
				read(v, "t", "done 1", 1, 10, 0, seconds(0))
				read(v, "t", "done 1", 1, 10, 0, seconds(50))
			},
			map[int]string{59: "", 60: "t@1"},
		},
		"a_state_written_anew_starts_anew": {
			func(v *view) {
				read(v, "t", "failed so", 1, 10, 0, seconds(0))
				read(v, "t", "failed so", 3, 12, 0, seconds(50))
			},
			map[int]string{60: "", 109: "", 110: "t@3"},
		},
		"a_task_made_again_at_the_same_version_starts_anew": {
			func(v *view) {
				read(v, "t", "done 1", 1, 10, 0, seconds(0))
				read(v, "t", "done 1", 1, 20, 0, seconds(50))
			},
			map[int]string{60: "", 110: "t@1"},
		},
		"one_set_back_to_pending_is_not": {
			func(v *view) {
				read(v, "t", "failed so", 1, 10, 0, seconds(0))
				read(v, "t", "pending", 2, 11, 0, seconds(50))
			},
			map[int]string{60: "", 600: ""},
		},
		"one_that_ends_with_its_client_never": {
			func(v *view) { read(v, "t", "done 1", 1, 10, 77, seconds(0)) },
			map[int]string{600: ""},
		},
		"a_pending_one_never": {
			func(v *view) { read(v, "t", "pending 2", 1, 10, 0, seconds(0)) },
			map[int]string{600: ""},
		},
		"an_odd_state_never": {
			func(v *view) { read(v, "t", "finished", 1, 10, 0, seconds(0)) },
			map[int]string{600: ""},
		},
		"one_that_was_collected_is_not": {
			func(v *view) {
				read(v, "t", "done 1", 1, 10, 0, seconds(0))
				v.asked++
				v.listTasks([]string{"u"}, v.asked, time.Now())
			},
			map[int]string{600: ""},
		},
		"one_that_vanished_when_it_was_read_is_not": {
			func(v *view) {
				read(v, "t", "done 1", 1, 10, 0, seconds(0))
				v.taskGone("t")
			},
			map[int]string{600: ""},
		},
		"one_that_came_back_under_its_name_is_not": {
			func(v *view) {
				read(v, "t", "done 1", 1, 10, 0, seconds(0))
				for _, names := range [][]string{{"u"}, {"u", "t"}} {
					v.asked++
					v.listTasks(names, v.asked, time.Now())
				}
			},
			map[int]string{600: ""},
		},
		"one_that_a_worker_lists_waits_until_it_does_not": {
			func(v *view) {
				read(v, "t", "done 1", 1, 10, 0, seconds(0))
				v.readWorker("w", []string{"t"}, 1)
			},
			map[int]string{600: ""},
		},
		"the_oldest_first_and_no_more_than_asked_for": {
			func(v *view) {
				read(v, "u", "done 1", 1, 10, 0, seconds(0))
				read(v, "t", "done 1", 1, 11, 0, seconds(1))
				read(v, "s", "done 1", 1, 12, 0, seconds(2))
			},
			map[int]string{60: "u@1", 61: "u@1 t@1", 62: "u@1 t@1"},
		},
		"one_that_was_dropped_is_not": {
			func(v *view) {
				read(v, "t", "done 1", 1, 10, 0, seconds(0))
				v.drop("t")
			},
			map[int]string{600: ""},
		},
		"one_that_cannot_be_removed_is_left_for_as_long_as_it_is_the_same": {
			func(v *view) {
				read(v, "t", "done 1", 1, 10, 0, seconds(0))
				v.leave("t")
				read(v, "t", "done 1", 1, 10, 0, seconds(10))
			},
			map[int]string{600: ""},
		},
		"but_not_when_it_was_written_since": {
			func(v *view) {
				read(v, "t", "done 1", 1, 10, 0, seconds(0))
				v.leave("t")
				read(v, "t", "failed so", 3, 12, 0, seconds(10))
			},
			map[int]string{70: "t@3"},
		},
		"nothing_where_results_are_kept_for_ever": {
			func(v *view) {
				v.retention.period = 0
				read(v, "t", "done 1", 1, 10, 0, seconds(0))
			},
			map[int]string{600: ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := listed("s", "t", "u")
			tc.do(v)
			for at, want := range tc.want {
				if got := dueIDs(v, seconds(at), 2); got != want {
					t.Errorf("due after %d s: %q, want %q", at, got, want)
				}
			}
		})
	}
	t.Run("a_result_that_left_its_worker_is_due_once_it_was_read", func(t *testing.T) {
		v := listed("t")
		v.readWorker("w", []string{"t"}, 1)
		read(v, "t", "done 1", 1, 10, 0, seconds(0))
		v.readWorker("w", nil, 2)
		read(v, "t", "done 1", 1, 10, 0, seconds(5))
		if got := dueIDs(v, seconds(64), 1) + dueIDs(v, seconds(65), 1); got != "t@1" {
			t.Errorf("due %q", got)
		}
	})
	t.Run("what_was_collected_is_not_held_on_to", func(t *testing.T) {
		v := listed()
		for i := range 20 * ahead { // of which each is collected when the next one comes
			id := fmt.Sprint("t", i)
			v.asked++
			v.listTasks([]string{id}, v.asked, time.Now())
			read(v, id, "done 1", 1, int64(i), 0, began)
		}
		if n := len(v.retention.results); n > 2*ahead {
			t.Errorf("%d results for %d tasks", n, len(v.tasks))
		}
	})
}

func TestGlance(t *testing.T) {
	var ids []string
	for range 10 {
		ids = append(ids, task.NewID())
	}
	// glanced is which of ids are read, each as pending.
	glanced := func(v *view, n int) (which []int) {
		v.glance(n)
		for _, id := range v.takeUnread(100) {
			which = append(which, slices.Index(ids, id))
			v.readTask(id, task.NewPending(0), 0)
		}
		return which
	}
	t.Run("reads_some_of_the_queue_a_tick_each_once", func(t *testing.T) {
		v := listed(ids...)
		var got [][]int
		for range 6 {
			got = append(got, glanced(v, 4))
		}
		if want := "[[0 1 2 3] [4 5 6 7] [8 9] [] [] []]"; fmt.Sprint(got) != want {
			t.Errorf("read %v, want %s", got, want)
		}
	})
	t.Run("finds_those_that_came_between", func(t *testing.T) {
		v := listed(ids[3:]...)
		glanced(v, 100)
		v.asked++
		v.listTasks(ids, v.asked, time.Now())
		var got []int
		for range 2 { // one turn ends, and another begins
			got = append(got, glanced(v, 100)...)
		}
		if want := []int{0, 1, 2}; !slices.Equal(got, want) {
			t.Errorf("read %v, want %v", got, want)
		}
	})
	t.Run("is_bounded_where_all_of_a_long_queue_was_read", func(t *testing.T) {
		v := listed()
		var many []string
		for range 2 * glances {
			many = append(many, task.NewID())
		}
		v.asked++
		v.listTasks(many, v.asked, time.Now())
		for _, tv := range v.tasks {
			tv.read = true
		}
		v.glance(1)
		if at := slices.Index(many, v.retention.glanced.id); at != glances-1 {
			t.Errorf("looked through %d in a tick", at+1)
		}
	})
	t.Run("leaves_it_to_the_assignments_where_there_is_a_worker", func(t *testing.T) {
		v := listed(ids...)
		v.readWorker("w", []string{"other"}, 1)
		if got := glanced(v, 4); len(got) > 0 {
			t.Errorf("read %v", got)
		}
		v.ignoreWorker("w") // a znode that is none
		if got := glanced(v, 4); len(got) != 4 {
			t.Errorf("read %v", got)
		}
	})
	t.Run("finds_a_result_that_is_due_later", func(t *testing.T) {
		v := listed(ids...)
		v.glance(1)
		read(v, v.takeUnread(1)[0], "done 1", 1, 10, 0, seconds(0))
		if got := dueIDs(v, seconds(60), 9); got != ids[0]+"@1" {
			t.Errorf("due %q", got)
		}
	})
}

func TestOrphans(t *testing.T) {
	alone := func(at int, names ...string) payloads {
		p := payloads{names: map[string]bool{}, zxid: int64(at), began: seconds(at), ended: seconds(at + 1)}
		for _, name := range names {
			p.names[name] = true
		}
		return p
	}
	for name, tc := range map[string]struct {
		listings []payloads
		want     string // id<zxid
	}{
		"a_payload_that_was_alone_once_is_none":        {[]payloads{alone(0, "a")}, ""},
		"one_that_was_alone_twice_is":                  {[]payloads{alone(0, "a"), alone(61, "a")}, "a<0"},
		"listings_too_close_to_each_other_are_one":     {[]payloads{alone(0, "a"), alone(60, "a")}, ""},
		"the_first_of_them_counts":                     {[]payloads{alone(0, "a"), alone(59, "a"), alone(61, "a", "b")}, "a<0"},
		"one_that_has_its_task_by_now_is_none":         {[]payloads{alone(0, "a", "b"), alone(61, "b")}, "b<0"},
		"one_that_is_new_is_none":                      {[]payloads{alone(0), alone(61, "a")}, ""},
		"the_next_time_it_is":                          {[]payloads{alone(0), alone(61, "a", "b"), alone(122, "b", "a")}, "a<61 b<61"},
		"one_whose_task_came_and_went_is_none_at_once": {[]payloads{alone(0, "a"), alone(61), alone(122, "a")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := listed()
			for _, l := range tc.listings {
				v.mergePayloads(l)
			}
			var got []string
			for _, r := range v.takeOrphans(9) {
				got = append(got, fmt.Sprintf("%s<%d", r.id, r.before))
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("orphans %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("are_taken_in_steps_without_those_that_have_a_task_by_now", func(t *testing.T) {
		v := listed("b")
		v.mergePayloads(alone(0, "a", "b", "c", "d"))
		v.mergePayloads(alone(61, "a", "b", "c", "d"))
		first := v.takeOrphans(2)
		v.putBack(append(first[1:], removal{kind: collectable, id: "t"}))
		var got []string
		for _, r := range append(first, v.takeOrphans(9)...) {
			got = append(got, r.id)
		}
		if want := "[a c c d]"; fmt.Sprint(got) != want {
			t.Errorf("took %v, want %s", got, want)
		}
	})
}

func TestRetentionDefaults(t *testing.T) {
	for set, want := range map[time.Duration]time.Duration{0: DefaultRetention, -1: 0, time.Hour: time.Hour} {
		if got := (Config{Retention: set}).withDefaults().Retention; got != want {
			t.Errorf("Config.Retention %v stands for %v, want %v", set, got, want)
		}
	}
}
