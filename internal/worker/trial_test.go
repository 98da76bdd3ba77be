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

// TestCapacity plays a process of several slots in a bubble of time.
func TestCapacity(t *testing.T) {
	fault := errors.New("no such file")
	// slot begins executions until it cannot, over and over, and says when.
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
	t.Run("lets_all_in_while_there_is_no_fault", func(t *testing.T) {
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
	t.Run("lets_one_try_at_a_time_ever_more_rarely_and_all_in_when_it_can", func(t *testing.T) {
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
	t.Run("lets_the_pauses_grow_when_the_fault_comes_back_soon", func(t *testing.T) {
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
	t.Run("takes_an_execution_for_begun_that_goes_on", func(t *testing.T) {
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
	t.Run("wants_an_execution_to_succeed_where_one_broke_off", func(t *testing.T) {
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
func broken(t *testing.T, slots int) (j *journal, d desk, b *bench, p *hosted, mend func()) {
	t.Helper()
	root := zktest.Connect(t)
	d, b = newDesk(t, root), newBench(t)
	j, log := newJournal(t)
	var mended atomic.Bool
	p = hostAs(t, harness.Open(t, root), Config{Slots: slots, Logger: log, Run: func(ctx context.Context, e task.Execution) (task.Outcome, error) {
		if mended.Load() {
			return b.run(ctx, e)
		}
		return task.Outcome{}, fmt.Errorf("%w: ./c: no such file", command.ErrCannotStart)
	}})
	return j, d, b, p, func() { mended.Store(true) }
}

func TestCannotStart(t *testing.T) {
	t.Parallel()
	parallel(t, "gives_its_tasks_back_uncounted_in_one_transaction_and_is_not_free", func(t *testing.T) {
		_, d, b, _, _ := broken(t, 1)
		worker := d.worker()
		d.submit("a", "x")
		d.submit("b", "x")
		d.Set(task.StatePath("a"), "pending 2")
		d.assign(worker, "a", "b")
		d.reads(task.WorkerPath(worker), "")
		for id, want := range map[string]string{"a": "pending 2", "b": "pending"} {
			if got, _ := d.Get(task.StatePath(id)); got != want {
				t.Errorf("%s: %q, want %q", id, got, want)
			}
		}
		d.written("a", 2)
		d.written("b", 1)
		if a, b := d.stat(task.StatePath("a")).Mzxid, d.stat(task.StatePath("b")).Mzxid; a != b {
			t.Errorf("given back at %#x and %#x", a, b)
		}
		if _, ok := d.Stat(task.WorkerPath(worker)); ok {
			t.Error("its znode is there")
		}
		b.began()
	})
	parallel(t, "tries_again_under_a_new_id_one_slot_at_a_time_and_all_come_back", func(t *testing.T) {
		j, d, b, p, mend := broken(t, 3)
		old := d.workers(3)
		for i, worker := range old {
			id := fmt.Sprint("t", i)
			d.submit(id, "wait")
			d.assign(worker, id)
		}
		// next waits for a slot on trial, the only one that is registered.
		seen := old
		next := func() string {
			var ids []string
			zktest.Eventually(t, "one slot on trial", func() (bool, string) {
				ids = d.Children(task.WorkersDir)
				return len(ids) == 1 && !slices.Contains(seen, ids[0]), fmt.Sprint(ids)
			})
			seen = append(seen, ids[0])
			return ids[0]
		}
		d.assign(next(), "t0")
		d.written("t1", 1)
		second := next()
		mend()
		d.assign(second, "t0")
		b.began("t0")
		d.workers(3) // though it runs on
		b.end("t0", "x")
		d.state("t0", "done x")
		d.written("t0", 3)
		j.await("can start tasks again", 1)
		if n := len(j.lines("cannot start tasks, giving them back: mend the cause that err names")); n != 1 {
			t.Errorf("the fault was told %d times", n)
		}
		p.leave()
		d.workers(0)
	})
	parallel(t, "writes_the_results_that_were_ready", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		host(t, harness.Open(t, root), 1, returns(func(_ context.Context, e task.Execution) ([]byte, error) {
			if e.Task == "b" {
				return nil, command.ErrCannotStart
			}
			return e.Payload, nil
		}))
		worker := d.worker()
		d.submit("a", "1")
		d.submit("b", "2")
		d.submit("c", "3")
		d.assign(worker, "a", "b", "c")
		d.state("a", "done 1")
		d.reads(task.WorkerPath(worker), "")
		d.state("b", "pending")
		d.state("c", "pending")
		d.written("a", 1)
	})
	parallel(t, "ends_when_it_is_told_to_while_it_waits", func(t *testing.T) {
		j, d, _, p, _ := broken(t, 1)
		d.submit("t", "x")
		d.assign(d.worker(), "t")
		j.await("gave back its tasks", 1)
		p.leave()
		d.workers(0)
	})
	parallel(t, "ends_with_the_session_while_it_waits", func(t *testing.T) {
		j, d, _, p, _ := broken(t, 1)
		d.submit("t", "x")
		d.assign(d.worker(), "t")
		j.await("gave back its tasks", 1)
		p.s.Close()
		if err := p.wait(); err == nil {
			t.Error("Run: no error")
		}
	})
}
