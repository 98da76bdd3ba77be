package worker

import (
	"context"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// drainer is a desk and a process of that many slots, which drains for as long.
func drainer(t *testing.T, slots int, drain time.Duration) (d desk, b *bench, p *hosted, workers []string) {
	t.Helper()
	root := zktest.Connect(t)
	d, b = newDesk(t, root), newBench(t)
	p = hostAs(t, harness.Open(t, root), Config{Slots: slots, Run: b.run, Drain: drain})
	return d, b, p, d.workers(slots)
}

func TestDrain(t *testing.T) {
	t.Parallel()
	const long = 20 * time.Second // no test waits for it
	parallel(t, "lets_a_free_slot_leave_at_once", func(t *testing.T) {
		d, b, p, workers := drainer(t, 2, long)
		d.submit("t", "wait")
		d.assign(workers[0], "t")
		b.began("t")
		p.stop()
		if got := d.worker(); got != workers[0] {
			t.Errorf("%s stays", got)
		}
		b.end("t", "x")
		p.leave()
		d.state("t", "done x")
	})
	parallel(t, "ends_with_the_commit_of_the_last_task_and_is_never_free", func(t *testing.T) {
		d, b, p, workers := drainer(t, 1, long)
		d.submit("t", "wait")
		d.assign(workers[0], "t")
		b.began("t")
		p.stop()
		b.end("t", "x")
		p.leave()
		d.state("t", "done x")
		d.written("t", 1)
		if result, left := d.stat(task.StatePath("t")).Mzxid, d.stat(task.WorkersDir).Pzxid; result != left {
			t.Errorf("result at %#x, left at %#x", result, left)
		}
		b.ended()
	})
	parallel(t, "gives_back_what_has_not_begun", func(t *testing.T) {
		d, b, p, workers := drainer(t, 1, long)
		for _, id := range []string{"a", "b", "c"} {
			d.submit(id, "wait")
		}
		d.assign(workers[0], "a", "b", "c")
		b.end("a", "1")
		b.began("a", "b")
		d.state("a", "done 1")
		p.stop()
		b.end("b", "2")
		p.leave()
		d.state("b", "done 2")
		d.state("c", "pending")
		d.written("c", 1)
		b.began("a", "b")
	})
	parallel(t, "gives_back_what_is_listed_meanwhile", func(t *testing.T) {
		d, b, p, workers := drainer(t, 2, long)
		for _, id := range []string{"a", "b"} {
			d.submit(id, "wait")
		}
		d.assign(workers[0], "a")
		b.began("a")
		p.stop()
		d.workers(1) // it has seen it
		d.assign(workers[0], "a", "b")
		b.end("a", "1")
		p.leave()
		d.state("a", "done 1")
		d.state("b", "pending")
		b.began("a")
	})
	parallel(t, "still_ends_what_is_taken_away", func(t *testing.T) {
		d, b, p, workers := drainer(t, 2, long)
		d.submit("t", "wait")
		d.assign(workers[0], "t")
		b.began("t")
		p.stop()
		d.workers(1)
		d.assign(workers[0])
		b.ended("t")
		p.leave()
		d.written("t", 0)
	})
	parallel(t, "gives_back_what_is_not_finished_in_time", func(t *testing.T) {
		d, b, p, workers := drainer(t, 1, 300*time.Millisecond)
		d.submit("t", "wait")
		d.assign(workers[0], "t")
		b.began("t")
		began := time.Now()
		p.leave()
		if took := time.Since(began); took < 300*time.Millisecond {
			t.Errorf("gave it back after %v", took)
		}
		b.ended("t")
		d.state("t", "pending")
		d.written("t", 1)
	})
	parallel(t, "drops_what_it_executes_with_its_session", func(t *testing.T) {
		d, b, p, workers := drainer(t, 1, long)
		d.submit("t", "wait")
		d.assign(workers[0], "t")
		b.began("t")
		p.stop()
		p.s.Close()
		b.ended("t")
		if err := p.wait(); err == nil {
			t.Error("Run: no error")
		}
		d.workers(0)
		d.written("t", 0)
	})
}

func TestLeavingIsTold(t *testing.T) {
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
			d, b := newDesk(t, root), newBench(t)
			j, log := newJournal(t)
			p := hostAs(t, harness.Open(t, root), Config{Run: b.run, Drain: c.drain, Logger: log})
			worker := d.worker()
			if c.busy {
				d.submit("t", "wait")
				d.assign(worker, "t")
				b.began("t")
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

func TestTimeout(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	d, b := newDesk(t, root), newBench(t)
	hostAs(t, harness.Open(t, root), Config{Timeout: 200 * time.Millisecond, Run: b.run})
	worker := d.worker()
	d.submit("late", "wait")
	d.submit("good", "1")
	d.submit("stubborn", "stubborn")
	d.assign(worker, "late", "good", "stubborn")
	d.state("late", "failed timed out after 200ms")
	d.state("good", "done 1")
	b.ended("late", "stubborn")
	b.end("stubborn", "all the same")
	d.state("stubborn", "done all the same")
	d.free(worker)
}

func TestDelayed(t *testing.T) {
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
