package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"taskkeeper/internal/command"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// TestCapacity has the slots of a process begin executions, in the time of synctest.
func TestCapacity(t *testing.T) {
	fault := errors.New("no such file")
	// slot begins executions, one after the other, and sends when each begins.
	slot := func(ctx context.Context, c *capacity, turns chan time.Duration, can func() error) {
		began := time.Now()
		for e, ok := c.enter(ctx); ok; e, ok = c.enter(ctx) {
			turns <- time.Since(began)
			if err := can(); err == nil {
				e.begun()
				<-ctx.Done()
			} else {
				c.failed(err)
			}
			e.end()
		}
	}
	run := func(t *testing.T, slots int, can func() error, last int) (turns []time.Duration, j *journal) {
		t.Helper()
		j, log := newJournal(t)
		c := &capacity{log: log}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ch := make(chan time.Duration)
		for range slots {
			go slot(ctx, c, ch, can)
		}
		synctest.Wait() // all are in
		for range last {
			turns = append(turns, <-ch)
		}
		cancel()
		synctest.Wait()
		return turns, j
	}
	const s = time.Second
	t.Run("lets_all_slots_begin_while_there_is_no_fault", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			turns, j := run(t, 3, func() error { return nil }, 3)
			if want := []time.Duration{0, 0, 0}; !slices.Equal(turns, want) {
				t.Errorf("%v, want %v", turns, want)
			}
			if lines := j.lines("can start tasks again"); len(lines) > 0 {
				t.Error(lines)
			}
		})
	})
	t.Run("lets_one_slot_try_at_growing_pauses_and_all_begin_after_a_success", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			can := func() error {
				if time.Since(began) < 100*s {
					return fault
				}
				return nil
			}
			turns, j := run(t, 3, can, 3+8+2)
			want := []time.Duration{0, 0, 0, 1 * s, 3 * s, 7 * s, 15 * s, 31 * s, 61 * s, 91 * s, 121 * s, 121 * s, 121 * s}
			if !slices.Equal(turns, want) {
				t.Errorf("%v, want %v", turns, want)
			}
			const broken = "cannot start tasks, giving them back: mend the cause that err names"
			if lines := j.lines(broken); len(lines) != 1 || lines[0].Level != "ERROR" || lines[0].Err != "no such file" {
				t.Error(lines)
			}
			if lines := j.lines("can start tasks again"); len(lines) != 1 {
				t.Error(lines)
			}
		})
	})
	t.Run("goes_on_with_growing_pauses_when_the_fault_comes_again_soon", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			can := func() error { // every other time
				if n++; n%2 == 1 {
					return fault
				}
				return nil
			}
			c := &capacity{log: harness.Logger(t)}
			var pauses []time.Duration
			for range 7 {
				began := time.Now()
				c.failed(can())
				e, _ := c.enter(t.Context())
				if can() == nil {
					e.begun()
				}
				e.end()
				pauses = append(pauses, time.Since(began))
			}
			time.Sleep(time.Minute)
			c.failed(fault)
			began := time.Now()
			c.enter(t.Context())
			pauses = append(pauses, time.Since(began))
			if want := []time.Duration{1 * s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s, 1 * s}; !slices.Equal(pauses, want) {
				t.Errorf("%v, want %v", pauses, want)
			}
		})
	})
	t.Run("takes_an_execution_that_runs_for_a_while_as_begun", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &capacity{log: harness.Logger(t)}
			c.failed(fault)
			e, _ := c.enter(t.Context())
			began := time.Now()
			defer e.beginning()()
			if _, ok := c.enter(t.Context()); !ok || time.Since(began) != surelyBegun {
				t.Errorf("another slot may register after %v: %t", time.Since(began), ok)
			}
		})
	})
	t.Run("is_restored_only_by_a_success_where_an_execution_was_abandoned", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, first := range []error{command.ErrAbandoned, fault} { // which is found out later
				j, log := newJournal(t)
				c := &capacity{log: log}
				c.failed(first)
				c.failed(command.ErrAbandoned)
				var pauses []time.Duration
				for range 7 { // the same task is begun again, and breaks off after an hour
					began := time.Now()
					e, _ := c.enter(t.Context())
					pauses = append(pauses, time.Since(began))
					stop := e.beginning()
					time.Sleep(time.Hour)
					stop()
					c.failed(command.ErrAbandoned)
					e.end()
				}
				if want := []time.Duration{1 * s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}; !slices.Equal(pauses, want) {
					t.Errorf("%v, want %v", pauses, want)
				}
				if lines := j.lines("can start tasks again"); len(lines) > 0 {
					t.Error(lines)
				}
				what := "cannot execute tasks to their end, giving them back: mend the cause that err names"
				if lines := j.lines(what); (len(lines) == 1) != (first == command.ErrAbandoned) {
					t.Error(lines)
				}
				e, _ := c.enter(t.Context())
				e.begun() // it succeeded
				if lines := j.lines("can start tasks again"); len(lines) != 1 {
					t.Error(lines)
				}
			}
		})
	})
	t.Run("waits_no_longer_than_its_context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &capacity{log: harness.Logger(t)}
			c.failed(fault)
			ctx, cancel := context.WithTimeout(t.Context(), s/2)
			defer cancel()
			if _, ok := c.enter(ctx); ok {
				t.Error("let in")
			}
		})
	})
}

// broken is a process of some slots whose command cannot be started until mended.
func broken(t *testing.T, slots int) (j *journal, m manual, x *executor, p *hosted, mend func()) {
	t.Helper()
	root := zktest.Connect(t)
	m, x = newManual(t, root), newExecutor(t)
	j, log := newJournal(t)
	var mended atomic.Bool
	p = hostAs(t, harness.Open(t, root), Config{Slots: slots, Logger: log, Run: func(ctx context.Context, e task.Execution) (task.Outcome, error) {
		if mended.Load() {
			return x.run(ctx, e)
		}
		return task.Outcome{}, fmt.Errorf("%w: ./c: no such file", command.ErrCannotStart)
	}})
	return j, m, x, p, func() { mended.Store(true) }
}

func TestCannotStart(t *testing.T) {
	t.Parallel()
	parallel(t, "gives_the_tasks_back_without_a_loss_and_deletes_the_znode_in_one_transaction", func(t *testing.T) {
		_, m, x, _, _ := broken(t, 1)
		worker := m.worker()
		m.submit("a", "x")
		m.submit("b", "x")
		m.Set(task.StatePath("a"), "pending 2")
		m.assign(worker, "a", "b")
		m.holds(task.WorkerPath(worker), "")
		for id, want := range map[string]string{"a": "pending 2", "b": "pending"} {
			if got, _ := m.Get(task.StatePath(id)); got != want {
				t.Errorf("%s: %q, want %q", id, got, want)
			}
		}
		m.written("a", 2)
		m.written("b", 1)
		if a, b := m.stat(task.StatePath("a")).Mzxid, m.stat(task.StatePath("b")).Mzxid; a != b {
			t.Errorf("given back at %#x and %#x", a, b)
		}
		if _, ok := m.Stat(task.WorkerPath(worker)); ok {
			t.Error("its znode is there")
		}
		x.began()
	})
	parallel(t, "tries_again_with_one_slot_under_a_new_id_and_registers_all_after_a_success", func(t *testing.T) {
		j, m, x, p, mend := broken(t, 3)
		old := m.workers(3)
		for i, worker := range old {
			id := fmt.Sprint("t", i)
			m.submit(id, "wait")
			m.assign(worker, id)
		}
		// next waits for a slot on trial, the only one that is registered.
		seen := old
		next := func() string {
			var ids []string
			zktest.Eventually(t, "one slot on trial", func() (bool, string) {
				ids = m.Children(task.WorkersDir)
				return len(ids) == 1 && !slices.Contains(seen, ids[0]), fmt.Sprint(ids)
			})
			seen = append(seen, ids[0])
			return ids[0]
		}
		m.assign(next(), "t0")
		m.written("t1", 1)
		second := next()
		mend()
		m.assign(second, "t0")
		x.began("t0")
		m.workers(3) // though it runs on
		x.end("t0", "x")
		m.state("t0", "done x")
		m.written("t0", 3)
		j.await("can start tasks again", 1)
		if n := len(j.lines("cannot start tasks, giving them back: mend the cause that err names")); n != 1 {
			t.Errorf("the fault was logged %d times", n)
		}
		p.leave()
		m.workers(0)
	})
	parallel(t, "commits_the_results_that_were_ready", func(t *testing.T) {
		root := zktest.Connect(t)
		m := newManual(t, root)
		host(t, harness.Open(t, root), 1, returns(func(_ context.Context, e task.Execution) ([]byte, error) {
			if e.Task == "b" {
				return nil, command.ErrCannotStart
			}
			return e.Payload, nil
		}))
		worker := m.worker()
		m.submit("a", "1")
		m.submit("b", "2")
		m.submit("c", "3")
		m.assign(worker, "a", "b", "c")
		m.state("a", "done 1")
		m.holds(task.WorkerPath(worker), "")
		m.state("b", "pending")
		m.state("c", "pending")
		m.written("a", 1)
	})
	parallel(t, "ends_during_a_pause_when_it_is_stopped", func(t *testing.T) {
		j, m, _, p, _ := broken(t, 1)
		m.submit("t", "x")
		m.assign(m.worker(), "t")
		j.await("gave back its tasks", 1)
		p.leave()
		m.workers(0)
	})
	parallel(t, "ends_during_a_pause_when_the_session_is_over", func(t *testing.T) {
		j, m, _, p, _ := broken(t, 1)
		m.submit("t", "x")
		m.assign(m.worker(), "t")
		j.await("gave back its tasks", 1)
		p.s.Close()
		if err := p.wait(); err == nil {
			t.Error("Run: no error")
		}
	})
}
