package client

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestWatches(t *testing.T) {
	t.Parallel()
	submit := func(t *testing.T, n int) (server *zktest.Server, root string, h *zktest.ManualClient, r *runningClient, ends []<-chan ending, ids []string) {
		server, root = zktest.Shared(t), zktest.Connect(t)
		h, r = zktest.Conn(t, root), start(t, root)
		ends = r.do(t.Context(), payloads(n)...)
		ids = tasks(t, h, n)
		return server, root, h, r, ends, ids
	}
	finish := func(t *testing.T, root string, ids []string) {
		t.Helper()
		s := harness.Open(t, root)
		for some := range slices.Chunk(ids, 100) {
			var ops []session.Op
			for _, id := range some {
				ops = append(ops, session.Set(task.StatePath(id), []byte("done 1"), 0))
			}
			if _, err := s.Multi(ops...); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("are_few_at_first_and_more_while_the_oldest_tasks_take_long", func(t *testing.T) {
		began := time.Now()
		server, root, h, r, ends, ids := submit(t, 1000)
		s := r.session()
		most := func() int { return (quickWatches + longWatches) * (1 + int(time.Since(began)/long)) }
		if n := watches(t, server, root, s); n > most() {
			t.Errorf("%d watches at first", n)
		}
		// The youngest is noticed all the same.
		h.Set(task.StatePath(ids[999]), "done last")
		asked := time.Now()
		zktest.Eventually(t, "result of the youngest", func() (bool, string) {
			n := watches(t, server, root, s)
			if n > most() {
				t.Fatalf("%d watches after %s", n, time.Since(began))
			}
			return len(h.Children(task.TasksDir)) == 999, fmt.Sprint(n, " watches")
		})
		if took := time.Since(asked); took > 10*time.Second {
			t.Errorf("noticed after %s", took)
		}
		finish(t, root, ids[:999])
		r.wait(ends...)
		wantEmpty(t, h)
		zktest.Eventually(t, "no watches left", func() (bool, string) {
			n := watches(t, server, root, s)
			return n == 0, fmt.Sprint(n)
		})
	})
	t.Run("on_the_oldest_tasks_suffice_when_all_finish_in_order", func(t *testing.T) {
		root, h, proxy, r := startVia(t)
		ends := r.do(t.Context(), payloads(2000)...)
		ids := tasks(t, h, 2000)
		began := time.Now()
		finish(t, root, ids)
		r.wait(ends...)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		if n := reads(proxy); n > 2500 {
			t.Errorf("%d reads for 2000 tasks", n)
		}
		wantEmpty(t, h)
	})
	t.Run("that_are_lost_delay_a_result_and_lose_none", func(t *testing.T) {
		server, root, h, r, ends, ids := submit(t, 1)
		s := r.session()
		zktest.Eventually(t, "watch", func() (bool, string) { return watches(t, server, root, s) == 1, "none" })
		s.Forget(task.TasksDir + "/")
		h.Set(task.StatePath(ids[0]), "done 1")
		if e := r.wait(ends...)[0]; e.err != nil || string(e.State.Text) != "1" {
			t.Error(e)
		}
	})
	t.Run("on_many_long_tasks_do_not_slow_down_the_others", func(t *testing.T) {
		server, root, h, r, ends, _ := submit(t, 400)
		s := r.session()
		zktest.Eventually(t, "all watched", func() (bool, string) {
			n := watches(t, server, root, s)
			return n == 400, fmt.Sprint(n)
		})
		play(t, root, func(_, payload string) string {
			if strings.HasPrefix(payload, "payload") {
				return "" // the long ones
			}
			return "done " + payload
		})
		began := time.Now()
		var calls sync.WaitGroup
		for caller := range 200 {
			calls.Go(func() {
				for i := range 10 {
					payload := fmt.Sprint(caller, " ", i)
					if e, err := r.Do(t.Context(), []byte(payload)); err != nil || string(e.State.Text) != payload {
						t.Error(ending{e, err})
						return
					}
				}
			})
		}
		calls.Wait()
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("2000 tasks took %s", took)
		}
		finish(t, root, tasks(t, h, 400))
		r.wait(ends...)
	})
}

// Not parallel: it counts goroutines.
func TestManyTasksLeaveNoGoroutineAndNoWatch(t *testing.T) {
	server, root := zktest.Shared(t), zktest.Connect(t)
	r := start(t, root)
	s := r.session()
	play(t, root, nil)
	batch := func(n int) {
		t.Helper()
		places := make(chan struct{}, 500)
		var calls sync.WaitGroup
		for i := range n {
			places <- struct{}{}
			calls.Go(func() {
				if e, err := r.Do(t.Context(), fmt.Append(nil, i)); err != nil {
					t.Error(ending{e, err})
				}
				<-places
			})
		}
		calls.Wait()
	}
	batch(100)
	before := runtime.NumGoroutine()
	batch(5000)
	zktest.Eventually(t, "goroutines and watches flat", func() (bool, string) {
		g, w := runtime.NumGoroutine(), watches(t, server, root, s)
		return g <= before && w == 0, fmt.Sprintf("%d goroutines, before %d; %d watches", g, before, w)
	})
	wantEmpty(t, zktest.Conn(t, root))
}
