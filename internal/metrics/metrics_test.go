package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestQueueLabel(t *testing.T) {
	for name, want := range map[string]string{
		"":                          "(default)",
		"gpu":                       "gpu",
		"A-b_9":                     "A-b_9",
		"(default)":                 "(other)",
		"(other)":                   "(other)",
		"-x":                        "(other)",
		"a b":                       "(other)",
		"\"} 1\n# TYPE":             "(other)",
		"\x1b[31mred":               "(other)",
		"\xff\xfe":                  "(other)",
		"caf\u00e9":                 "(other)",
		strings.Repeat("x", 64):     strings.Repeat("x", 64),
		strings.Repeat("x", 65):     "(other)",
		strings.Repeat("x", 10_000): "(other)",
	} {
		if got := new(queues).label(name); got != want {
			t.Errorf("%.80q is %.80q, want %q", name, got, want)
		}
	}
	t.Run("is one for all queues beyond MaxQueues, and those before keep theirs", func(t *testing.T) {
		var q queues
		for i := range MaxQueues {
			if name := fmt.Sprint("q", i); q.label(name) != name {
				t.Fatalf("%s is %s", name, q.label(name))
			}
		}
		for name, want := range map[string]string{"one-more": "(other)", "q0": "q0", "q199": "q199", "": "(default)"} {
			if got := q.label(name); got != want {
				t.Errorf("%q is %q, want %q", name, got, want)
			}
		}
	})
	t.Run("is the same for counters and for gauges", func(t *testing.T) {
		r := prometheus.NewRegistry()
		m := NewMaster(r)
		var all []Queue
		for i := range MaxQueues {
			m.Assigned(fmt.Sprint("q", i))
			all = append(all, Queue{Name: fmt.Sprint("q", i)})
		}
		all = append(all, Queue{Name: "late", Tasks: map[string]int{"pending": 1}})
		m.Watch(r, view{leads: true, queues: all})
		exposes(t, r, "taskkeeper_tasks", `taskkeeper_tasks{queue="(other)",state="pending"} 1`)
	})
	t.Run("is free for another queue once its queue is gone", func(t *testing.T) {
		r := prometheus.NewRegistry()
		m := NewMaster(r)
		for i := range MaxQueues {
			m.Assigned(fmt.Sprint("junk", i))
			m.Lost(fmt.Sprint("junk", i))
		}
		m.Watch(r, view{leads: true, queues: []Queue{{Name: "prod", Tasks: map[string]int{"pending": 1}}}})
		exposed(t, r) // a scrape takes note of the queues that there are
		exposes(t, r, "taskkeeper_tasks", `taskkeeper_tasks{queue="prod",state="pending"} 1`)
		exposes(t, r, "taskkeeper_losses_total", `taskkeeper_losses_total{queue="(default)"} 0`, `taskkeeper_losses_total{queue="prod"} 0`)
		exposes(t, r, "taskkeeper_assignments_total")
	})
}

// view is a View with fixed answers.
type view struct {
	leads  bool
	turn   time.Duration
	queues []Queue
	err    error
}

func (v view) Leads() bool                             { return v.leads }
func (v view) Turn() time.Duration                     { return v.turn }
func (v view) Queues(context.Context) ([]Queue, error) { return v.queues, v.err }

// exposes checks the samples of a metric, of all of its labels.
func exposes(t *testing.T, r *prometheus.Registry, name string, want ...string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(exposed(t, r)) {
		if sample := strings.TrimSpace(line); strings.HasPrefix(line, name+" ") || strings.HasPrefix(line, name+"{") {
			got = append(got, sample)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

// exposed returns what a scrape reads.
func exposed(t *testing.T, r *prometheus.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetricsOfAMaster(t *testing.T) {
	watch := func(v view) *prometheus.Registry {
		r := prometheus.NewRegistry()
		NewMaster(r).Watch(r, v)
		return r
	}
	t.Run("that is a backup have no tasks and no workers", func(t *testing.T) {
		r := watch(view{queues: []Queue{{Tasks: map[string]int{"pending": 1}}}})
		exposes(t, r, "taskkeeper_is_leader", "taskkeeper_is_leader 0")
		exposes(t, r, "taskkeeper_leader_turn_seconds", "taskkeeper_leader_turn_seconds 0")
		for _, name := range []string{"leader_answers", "tasks", "workers", "oldest_pending_age_seconds"} {
			exposes(t, r, "taskkeeper_"+name)
		}
	})
	t.Run("that does not answer still show that it leads, and how long its turn lasts", func(t *testing.T) {
		r := watch(view{leads: true, turn: 90 * time.Second, err: errors.New("no answer")})
		exposes(t, r, "taskkeeper_is_leader", "taskkeeper_is_leader 1")
		exposes(t, r, "taskkeeper_leader_turn_seconds", "taskkeeper_leader_turn_seconds 90")
		exposes(t, r, "taskkeeper_leader_answers", "taskkeeper_leader_answers 0")
		exposes(t, r, "taskkeeper_tasks")
	})
	t.Run("add up the queues of one label, with the age of the oldest task", func(t *testing.T) {
		queue := func(name string, n int, oldest time.Duration) Queue {
			return Queue{Name: name, Tasks: map[string]int{"pending": n}, Workers: map[string]int{"free": 10 * n}, Oldest: oldest}
		}
		r := watch(view{leads: true, queues: []Queue{
			queue("", 1, 0), queue("a b", 2, 3*time.Second), queue("gpu", 4, time.Second), queue("\x1b", 8, 2*time.Second),
		}})
		exposes(t, r, "taskkeeper_leader_answers", "taskkeeper_leader_answers 1")
		exposes(t, r, "taskkeeper_tasks", `taskkeeper_tasks{queue="(default)",state="pending"} 1`,
			`taskkeeper_tasks{queue="(other)",state="pending"} 10`, `taskkeeper_tasks{queue="gpu",state="pending"} 4`)
		exposes(t, r, "taskkeeper_workers", `taskkeeper_workers{queue="(default)",state="free"} 10`,
			`taskkeeper_workers{queue="(other)",state="free"} 100`, `taskkeeper_workers{queue="gpu",state="free"} 40`)
		exposes(t, r, "taskkeeper_oldest_pending_age_seconds", `taskkeeper_oldest_pending_age_seconds{queue="(default)"} 0`,
			`taskkeeper_oldest_pending_age_seconds{queue="(other)"} 3`, `taskkeeper_oldest_pending_age_seconds{queue="gpu"} 1`)
	})
}

func TestCountersOfAMaster(t *testing.T) {
	r := prometheus.NewRegistry()
	m := NewMaster(r)
	m.Elected()
	m.Assigned("")
	m.Assigned("gpu")
	m.Lost("gpu")
	m.Lost("")
	m.Fenced()
	exposes(t, r, "taskkeeper_elections_total", "taskkeeper_elections_total 1")
	exposes(t, r, "taskkeeper_fenced_writes_total", "taskkeeper_fenced_writes_total 1")
	exposes(t, r, "taskkeeper_assignments_total", `taskkeeper_assignments_total{queue="(default)"} 1`, `taskkeeper_assignments_total{queue="gpu"} 1`)
	exposes(t, r, "taskkeeper_losses_total", `taskkeeper_losses_total{queue="(default)"} 1`, `taskkeeper_losses_total{queue="gpu"} 1`)
	m.Listed("/tasks", 7, time.Second)
	exposes(t, r, "taskkeeper_listed", `taskkeeper_listed{znode="/tasks"} 7`)
	m.Resigned()
	exposes(t, r, "taskkeeper_listed")
	t.Run("of losses begin with 0 for each known queue", func(t *testing.T) {
		r := prometheus.NewRegistry()
		NewMaster(r).Watch(r, view{leads: true, queues: []Queue{{Name: "gpu"}}})
		exposed(t, r)
		exposes(t, r, "taskkeeper_losses_total", `taskkeeper_losses_total{queue="(default)"} 0`, `taskkeeper_losses_total{queue="gpu"} 0`)
	})
}

func TestMetricsOfAWorker(t *testing.T) {
	r := prometheus.NewRegistry()
	w := NewWorker(r)
	if w.Ready() == nil {
		t.Error("ready without a slot")
	}
	left := w.Registered("gpu")
	if err := w.Ready(); err != nil {
		t.Error(err)
	}
	ended := w.Began("gpu", time.Now().Add(time.Hour)) // the servers' clock is ahead
	exposes(t, r, "taskkeeper_slots", `taskkeeper_slots{queue="gpu"} 1`)
	exposes(t, r, "taskkeeper_slots_busy", `taskkeeper_slots_busy{queue="gpu"} 1`)
	ended(Done)
	left()
	if w.Ready() == nil {
		t.Error("ready though its slot has left")
	}
	exposes(t, r, "taskkeeper_slots", `taskkeeper_slots{queue="gpu"} 0`)
	exposes(t, r, "taskkeeper_slots_busy", `taskkeeper_slots_busy{queue="gpu"} 0`)
	exposes(t, r, "taskkeeper_execution_duration_seconds_count", `taskkeeper_execution_duration_seconds_count{queue="gpu",result="done"} 1`)
	exposes(t, r, "taskkeeper_task_waiting_seconds_sum", `taskkeeper_task_waiting_seconds_sum{queue="gpu"} 0`)
}

// A role without metrics calls the same methods.
func TestANilMetricsCountsNothing(t *testing.T) {
	var m *Master
	m.Elected()
	m.Assigned("")
	m.Lost("")
	m.Fenced()
	m.Listed("/tasks", 1, time.Second)
	m.Resigned()
	var w *Worker
	w.Registered("")()
	w.Began("", time.Time{})(Done)
}
