package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	t.Run("withdraws_one_of_two_tasks", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		ctx, cancel := context.WithCancelCause(t.Context())
		ends := append(r.do(t.Context(), "stays"), r.do(ctx, "goes")...)
		tasks(t, h, 2)
		cancel(errTest)
		if e := r.wait(ends[1])[0]; e.err != errTest {
			t.Error(e)
		}
		left := h.Children(task.TasksDir)
		if payload, _ := h.Get(task.DataPath(left[0])); len(left) != 1 || payload != "stays" || len(h.Children(task.DataDir)) != 1 {
			t.Errorf("left: %q with %q", left, payload)
		}
		h.Set(task.StatePath(left[0]), "done stays")
		wantEchoes(t, r.wait(ends[0]), []string{"stays"})
	})
	t.Run("withdraws_500_tasks_some_on_their_way", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		ctx, cancel := context.WithCancelCause(t.Context())
		ends := r.do(ctx, payloads(500)...)
		zktest.Eventually(t, "tasks", func() (bool, string) {
			n := len(h.Children(task.TasksDir))
			return n > 100, fmt.Sprint(n)
		})
		cancel(errTest)
		for _, e := range r.wait(ends...) {
			if e.err != errTest {
				t.Fatal(e)
			}
		}
		if got := append(h.Children(task.TasksDir), h.Children(task.DataDir)...); len(got) > 0 {
			t.Errorf("left behind: %d", len(got))
		}
		r.stop()
	})
	t.Run("ends_the_reads_of_what_is_withdrawn", func(t *testing.T) {
		root, h, proxy, r := startVia(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		ends := r.do(ctx, payloads(500)...)
		tasks(t, h, 500)
		proxy.Seen()
		cancel(errTest)
		r.wait(ends...)
		play(t, root, nil)
		wantEchoes(t, r.wait(r.do(t.Context(), "1")...), []string{"1"})
		if n := reads(proxy); n > 250 {
			t.Errorf("%d reads for 500 tasks that were withdrawn", n)
		}
	})
	t.Run("submits_nothing_that_was_cancelled_before", func(t *testing.T) {
		root, _, proxy, r := startVia(t)
		play(t, root, nil)
		wantEchoes(t, r.wait(r.do(t.Context(), "1")...), []string{"1"})
		wantEmpty(t, zktest.Conn(t, root)) // it is cleaned up a little later
		proxy.Seen()
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errTest)
		for _, e := range r.wait(r.do(ctx, payloads(100)...)...) {
			if e.err != errTest {
				t.Fatal(e)
			}
		}
		if seen := proxy.Seen(); len(seen) > 0 {
			t.Errorf("requests: %v", seen)
		}
	})
	t.Run("needs_no_session", func(t *testing.T) {
		r := &runningClient{Client: New(Config{}), t: t}
		ctx, cancel := context.WithCancelCause(t.Context())
		ends := r.do(ctx, "1")
		cancel(errTest)
		if e := r.wait(ends...)[0]; e.err != errTest {
			t.Error(e)
		}
	})
	t.Run("returns_soon_though_ZooKeeper_is_away", func(t *testing.T) {
		_, h, proxy, r := startVia(t)
		s := r.session()
		ctx, cancel := context.WithCancelCause(t.Context())
		ends := r.do(ctx, payloads(100)...)
		tasks(t, h, 100)
		proxy.Refuse(true)
		zktest.Eventually(t, "connection lost", func() (bool, string) { _, is := s.Suspended(); return is, "connected" })
		ends = append(ends, r.do(ctx, payloads(100)...)...)
		began := time.Now()
		cancel(errTest)
		r.stop()
		for _, e := range r.wait(ends...) {
			if e.err != errTest {
				t.Fatal(e)
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
	})
	t.Run("of_Serve_withdraws_tasks_and_the_next_Serve_submits_them_under_new_ids", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		r := &runningClient{Client: New(Config{}), t: t}
		s := harness.Open(t, root)
		serve := func() (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			served := make(chan error, 1)
			go func() { served <- r.Serve(ctx, s) }()
			return func() {
				cancel()
				if err := <-served; err != nil {
					t.Error(err)
				}
			}
		}
		serve()() // with nothing to do
		stop := serve()
		ends := r.do(t.Context(), payloads(50)...)
		old := tasks(t, h, 50)
		stop()
		if got := append(h.Children(task.TasksDir), h.Children(task.DataDir)...); len(got) > 0 {
			t.Errorf("left behind: %d", len(got))
		}
		stop = serve()
		for _, id := range tasks(t, h, 50) {
			if slices.Contains(old, id) {
				t.Errorf("%s again", id)
			}
		}
		play(t, root, nil)
		wantEchoes(t, r.wait(ends...), payloads(50))
		stop()
	})
}

// A session that the client closes needs no reconnect.
func TestClosedSession(t *testing.T) {
	t.Parallel()
	whenSessionEnds(t, (*session.Session).Close)
	t.Run("lets_Serve_return_also_during_results_and_cancels", func(t *testing.T) {
		root := zktest.Connect(t)
		play(t, root, nil)
		for range 10 {
			r := &runningClient{Client: New(Config{}), t: t}
			s := harness.Open(t, root)
			served := make(chan error, 1)
			go func() { served <- r.Serve(t.Context(), s) }()
			ctx, cancel := context.WithCancelCause(t.Context())
			ends := r.do(ctx, payloads(100)...)
			r.wait(ends[0])
			go cancel(errTest)
			s.Close()
			zktest.Receive(t, "return of Serve", served)
			r.wait(ends[1:]...)
		}
	})
}

// A caller that has its answer takes no other: a second answer would block the waiter.
func TestWaiterAnswersOnceWhenTheSessionEndsDuringItsReads(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	proxy, through := zktest.Via(t, root)
	s := harness.Open(t, through)
	h.Create(task.TasksDir, "")
	w := newWaiter(s, slog.New(slog.DiscardHandler))
	var es []*waiting
	for i := range 128 { // the last is read when others have been
		e := &waiting{id: fmt.Sprint("task ", i, "."), answer: make(chan answer, 1)}
		h.Create(task.StatePath(e.id), "done 1")
		es, w.byID[e.id] = append(es, e), e
	}
	w.open = slices.Clone(es)
	last := len(es) - 1
	held, release := proxy.Hold(zktest.OpGetData, 1, zktest.Naming(es[last].id))

	var finished, open int
	var err error
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		finished, err = w.read(es, true)
		open = w.stop()
	}()
	met(t, held)
	s.Close()
	release()
	zktest.Receive(t, "end of the waiter: it may block on a second answer", stopped)
	if !errors.Is(err, session.ErrOver) || finished < len(es)/2 || finished+open != len(es) {
		t.Errorf("%d finished, %d open of %d; %v", finished, open, len(es), err)
	}
	for _, e := range es {
		if a := <-e.answer; a.err == nil && string(a.state.Text) != "1" || a.err != nil && !errors.Is(a.err, session.ErrOver) {
			t.Errorf("%s: %+v", e.id, a)
		}
	}
}

func TestWaiterAnswersACallerThatWaitsAgainAfterItGaveUp(t *testing.T) {
	t.Parallel()
	w := newWaiter(harness.Open(t, zktest.Connect(t)), slog.New(slog.DiscardHandler))
	enough, cancel := context.WithCancelCause(t.Context())
	cancel(errTest)
	if a := w.wait(enough, "t1"); a.err != errTest {
		t.Fatal(a.err)
	}
	came := make(chan answer, 1)
	go func() { came <- w.wait(t.Context(), "t1") }()
	zktest.Eventually(t, "both", func() (bool, string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.added) == 2, fmt.Sprint(len(w.added))
	})
	w.merge() // of all at once
	if open := w.stop(); open != 1 {
		t.Fatalf("%d are waited for", open)
	}
	if a := <-came; !errors.Is(a.err, session.ErrOver) {
		t.Error(a.err)
	}
}

// whenSessionEnds runs the tests of a session that end ends.
func whenSessionEnds(t *testing.T, end func(*session.Session)) {
	t.Run("takes_its_tasks_with_it", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		r := &runningClient{Client: New(Config{}), t: t}
		s := harness.Open(t, root)
		served := make(chan error, 1)
		go func() { served <- r.Serve(t.Context(), s) }()
		ctx, cancel := context.WithCancelCause(t.Context())
		ends := r.do(ctx, payloads(300)...)
		tasks(t, h, 300)
		end(s)
		if got := append(h.Children(task.TasksDir), h.Children(task.DataDir)...); len(got) > 0 {
			t.Errorf("left behind: %d", len(got))
		}
		if err := <-served; !errors.Is(err, session.ErrOver) {
			t.Errorf("Serve: %v", err)
		}
		cancel(errTest) // there is no other session
		for _, e := range r.wait(ends...) {
			if e.err != errTest {
				t.Fatal(e)
			}
		}
	})
	t.Run("has_only_open_tasks_submitted_again_under_new_ids", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		s := r.session()
		ps := payloads(60)
		ends := r.do(t.Context(), ps...)
		first := tasks(t, h, 60)
		for i, id := range first[:20] {
			h.Set(task.StatePath(id), "done "+ps[i])
		}
		wantEchoes(t, r.wait(ends[:20]...), ps[:20])
		tasks(t, h, 40)
		end(s)
		again := r.session()
		if again.ID() == s.ID() {
			t.Fatal("the same session")
		}
		second := tasks(t, h, 40)
		for _, id := range second {
			if slices.Contains(first, id) {
				t.Errorf("%s again", id)
			}
			if stat, ok := h.Stat(task.StatePath(id)); !ok || stat.EphemeralOwner != again.ID() {
				t.Errorf("%s: %+v, want session %#x", id, stat, again.ID())
			}
		}
		play(t, root, nil)
		rest := r.wait(ends[20:]...)
		wantEchoes(t, rest, ps[20:])
		for _, e := range rest {
			if !slices.Contains(second, e.ID) {
				t.Errorf("finished under %s, which was not submitted last", e.ID)
			}
		}
		wantEmpty(t, h)
		if log := r.warned.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "tasks=40") {
			t.Errorf("warned: %s", log)
		}
	})
	t.Run("leaves_each_call_one_result_also_when_it_is_one_of_many", func(t *testing.T) {
		root := zktest.Connect(t)
		r := start(t, root)
		p := play(t, root, nil)
		c := call(r, p)
		for range 5 {
			c.more(50)
			end(r.session())
		}
		c.stop()
		wantEmpty(t, zktest.Conn(t, root))
	})
}
