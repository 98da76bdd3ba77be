package sched

import (
	"slices"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

// A run is a scheduler that a test drives by events.
type run struct {
	t       *testing.T
	s       *Scheduler
	now     time.Time
	listing int64
	last    []Move // decided last
}

// lead returns a scheduler of a leader that knows tasks and free workers.
func lead(t *testing.T, tasks []string, workers ...string) *run {
	r := &run{t: t, s: New(3), now: time.Unix(1_000_000, 0)}
	r.list(tasks...)
	r.given(WorkersListed{workers}, DrainsListed{})
	for _, w := range workers {
		r.given(WorkerRead{ID: w, Session: int64(len(w) + int(w[len(w)-1]))})
	}
	return r
}

func (r *run) given(events ...Event) {
	r.t.Helper()
	for _, e := range events {
		r.s.Handle(e, r.now)
		if err := r.s.check(); err != nil {
			r.t.Fatalf("after %T%+v: %v", e, e, err)
		}
	}
}

func (r *run) list(tasks ...string) {
	r.t.Helper()
	r.listing++
	r.given(TasksListed{tasks, r.listing})
}

func (r *run) decide() Decision {
	r.t.Helper()
	d := r.s.Decide(r.now)
	if err := r.s.check(); err != nil {
		r.t.Fatalf("after Decide: %v", err)
	}
	r.last = d.Moves
	return d
}

// decides checks the moves that are decided now. An ! stands for a loss that is
// counted, and what is asked back has a - before it.
func (r *run) decides(want ...string) {
	r.t.Helper()
	var got []string
	for _, m := range r.decide().Moves {
		text := []string{"assign", "revoke", "reclaim", "fail"}[m.Kind]
		for _, c := range m.Tasks {
			if text += " " + c.ID; c.CountLoss {
				text += "!"
			}
		}
		if m.Worker != "" {
			text += " " + m.Worker
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("decided %q, want %q", got, want)
	}
}

// carryOut reports the moves that were decided last as carried out.
func (r *run) carryOut() {
	r.t.Helper()
	for _, m := range r.last {
		r.given(Carried{m, m.Version + 1})
	}
}

// reads checks which tasks are to be read now.
func (r *run) reads(want ...string) {
	r.t.Helper()
	if got := r.decide().ReadTasks; !slices.Equal(got, want) {
		r.t.Fatalf("reads %q, want %q", got, want)
	}
}

func (r *run) after(d time.Duration) { r.now = r.now.Add(d) }

// pending is a task read as pending with that many losses.
func pending(id string, losses int, version int32) TaskRead {
	return TaskRead{ID: id, State: task.NewPending(losses), Version: version}
}

func done(id string, version int32) TaskRead {
	return TaskRead{ID: id, State: task.NewDone(nil), Version: version}
}

// newIDs returns ids of one submitter to the default queue, the oldest first.
func newIDs(n int) []string {
	s := task.NewSubmitter("")
	ids := make([]string, n)
	for i := range ids {
		ids[i] = s.NewID()
	}
	return ids
}
