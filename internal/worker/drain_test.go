package worker

import (
	"context"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// drainer is a process of so many slots, which drains for at most that long.
func drainer(t *testing.T, slots int, drain time.Duration) (m manual, x *executor, p *hosted, workers []string) {
	t.Helper()
	root := zktest.Connect(t)
	m, x = newManual(t, root), newExecutor(t)
	p = hostAs(t, harness.Open(t, root), Config{Slots: slots, Run: x.run, Drain: drain})
	return m, x, p, m.workers(slots)
}

func TestDrain(t *testing.T) {
	t.Parallel()
	const long = 20 * time.Second // no test waits for it
	parallel(t, "lets_a_free_slot_leave_at_once", func(t *testing.T) {
		m, x, p, workers := drainer(t, 2, long)
		m.submit("t", "wait")
		m.assign(workers[0], "t")
		x.began("t")
		p.stop()
		if got := m.worker(); got != workers[0] {
			t.Errorf("%s stays", got)
		}
		x.end("t", "x")
		p.leave()
		m.state("t", "done x")
	})
	parallel(t, "ends_with_the_commit_of_the_last_task_and_is_never_free", func(t *testing.T) {
		m, x, p, workers := drainer(t, 1, long)
		m.submit("t", "wait")
		m.assign(workers[0], "t")
		x.began("t")
		p.stop()
		x.end("t", "x")
		p.leave()
		m.state("t", "done x")
		m.written("t", 1)
		if result, left := m.stat(task.StatePath("t")).Mzxid, m.stat(task.WorkersDir).Pzxid; result != left {
			t.Errorf("result at %#x, left at %#x", result, left)
		}
		x.ended()
	})
	parallel(t, "gives_back_what_has_not_begun", func(t *testing.T) {
		m, x, p, workers := drainer(t, 1, long)
		for _, id := range []string{"a", "b", "c"} {
			m.submit(id, "wait")
		}
		m.assign(workers[0], "a", "b", "c")
		x.end("a", "1")
		x.began("a", "b")
		m.state("a", "done 1")
		p.stop()
		x.end("b", "2")
		p.leave()
		m.state("b", "done 2")
		m.state("c", "pending")
		m.written("c", 1)
		x.began("a", "b")
	})
	parallel(t, "gives_back_what_is_listed_meanwhile", func(t *testing.T) {
		m, x, p, workers := drainer(t, 2, long)
		for _, id := range []string{"a", "b"} {
			m.submit(id, "wait")
		}
		m.assign(workers[0], "a")
		x.began("a")
		p.stop()
		m.workers(1) // it has seen it
		m.assign(workers[0], "a", "b")
		x.end("a", "1")
		p.leave()
		m.state("a", "done 1")
		m.state("b", "pending")
		x.began("a")
	})
	parallel(t, "cancels_a_task_that_is_taken_back_meanwhile", func(t *testing.T) {
		m, x, p, workers := drainer(t, 2, long)
		m.submit("t", "wait")
		m.assign(workers[0], "t")
		x.began("t")
		p.stop()
		m.workers(1)
		m.assign(workers[0])
		x.ended("t")
		p.leave()
		m.written("t", 0)
	})
	parallel(t, "gives_back_what_is_not_finished_in_time", func(t *testing.T) {
		m, x, p, workers := drainer(t, 1, 300*time.Millisecond)
		m.submit("t", "wait")
		m.assign(workers[0], "t")
		x.began("t")
		began := time.Now()
		p.leave()
		if took := time.Since(began); took < 300*time.Millisecond {
			t.Errorf("gave it back after %v", took)
		}
		x.ended("t")
		m.state("t", "pending")
		m.written("t", 1)
	})
	parallel(t, "cancels_what_it_executes_when_its_session_ends", func(t *testing.T) {
		m, x, p, workers := drainer(t, 1, long)
		m.submit("t", "wait")
		m.assign(workers[0], "t")
		x.began("t")
		p.stop()
		p.s.Close()
		x.ended("t")
		if err := p.wait(); err == nil {
			t.Error("Run: no error")
		}
		m.workers(0)
		m.written("t", 0)
	})
}

func TestLeavingIsLogged(t *testing.T) {
	t.Parallel()
	const cancels = "leaving, cancelling the task to give it back"
	for name, c := range map[string]struct {
		busy  bool
		drain time.Duration
		want  []string // one line each
		none  []string
	}{
		"by_an_idle_worker":                   {false, 0, []string{"left"}, []string{"draining", cancels, "gave back its tasks"}},
		"by_an_idle_worker_that_may_drain":    {false, time.Hour, []string{"left"}, []string{"draining", cancels, "gave back its tasks"}},
		"by_a_busy_worker":                    {true, 0, []string{cancels, "gave back its tasks", "left"}, []string{"draining"}},
		"by_a_busy_worker_that_drains_a_time": {true, 200 * time.Millisecond, []string{"draining", cancels, "gave back its tasks", "left"}, nil},
	} {
		parallel(t, name, func(t *testing.T) {
			root := zktest.Connect(t)
			m, x := newManual(t, root), newExecutor(t)
			j, log := newJournal(t)
			p := hostAs(t, harness.Open(t, root), Config{Run: x.run, Drain: c.drain, Logger: log})
			worker := m.worker()
			if c.busy {
				m.submit("t", "wait")
				m.assign(worker, "t")
				x.began("t")
			}
			p.leave()
			for _, msg := range c.want {
				if lines := j.lines(msg); len(lines) != 1 || lines[0].Level != "INFO" {
					t.Errorf("%q: %v", msg, lines)
				}
			}
			for _, msg := range c.none {
				if lines := j.lines(msg); len(lines) != 0 {
					t.Errorf("%q: %v", msg, lines)
				}
			}
		})
	}
}

func TestTaskFailsWhenItRunsLongerThanTheTimeout(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	m, x := newManual(t, root), newExecutor(t)
	hostAs(t, harness.Open(t, root), Config{Timeout: 200 * time.Millisecond, Run: x.run})
	worker := m.worker()
	m.submit("late", "wait")
	m.submit("good", "1")
	m.submit("stubborn", "stubborn")
	m.assign(worker, "late", "good", "stubborn")
	m.state("late", "failed timed out after 200ms")
	m.state("good", "done 1")
	x.ended("late", "stubborn")
	x.end("stubborn", "all the same")
	m.state("stubborn", "done all the same")
	m.free(worker)
}

func TestDelayedContext(t *testing.T) {
	t.Run("ends_after_its_parent", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		late, cancel := delayed(ctx, 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		stop()
		<-late.Done()
		if took := time.Since(began); took < 50*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
	t.Run("ends_at_once_when_cancelled", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		late, cancel := delayed(ctx, time.Hour)
		stop()
		cancel()
		<-late.Done()
	})
}
