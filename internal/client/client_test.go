package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
	"taskkeeper/internal/zktest"
)

var errTest = errors.New("the test says so")

func TestDo(t *testing.T) {
	t.Parallel()
	t.Run("creates_both_znodes_in_one_transaction_and_deletes_them_in_one", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		for _, tt := range []struct {
			set  string
			want task.State
		}{
			{"done 42", task.NewDone([]byte("42"))},
			{"failed why", task.NewFailed("why")},
			{"done", task.NewDone(nil)},
		} {
			end := r.do(t.Context(), "0.5")
			id := tasks(t, h, 1)[0]
			if task.HandMade(id) {
				t.Errorf("id %s is no UUID of version 7", id)
			}
			if payload, _ := h.Get(task.DataPath(id)); payload != "0.5" {
				t.Errorf("payload %q", payload)
			}
			if state, _ := h.Get(task.StatePath(id)); state != "pending" {
				t.Errorf("state %q", state)
			}
			data, _ := h.Stat(task.DataPath(id))
			state, _ := h.Stat(task.StatePath(id))
			if data.Czxid != state.Czxid || data.EphemeralOwner == 0 || data.EphemeralOwner != state.EphemeralOwner {
				t.Errorf("data %+v, state %+v: not of one transaction and session", data, state)
			}
			h.Set(task.StatePath(id), tt.set)
			e := r.wait(end...)[0]
			if e.err != nil || e.ID != id || e.State.Phase != tt.want.Phase || string(e.State.Text) != string(tt.want.Text) || e.Took <= 0 {
				t.Errorf("%s after %s, want %+v", e, e.Took, tt.want)
			}
			wantEmpty(t, h)
			tasksDir, _ := h.Stat(task.TasksDir)
			dataDir, _ := h.Stat(task.DataDir)
			if tasksDir.Pzxid != dataDir.Pzxid {
				t.Error("deleted in two transactions")
			}
		}
	})
	t.Run("names_tasks_in_the_order_of_the_ids_given", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		ps := payloads(100)
		ends := r.do(t.Context(), ps...)
		for i, id := range tasks(t, h, len(ps)) {
			if payload, _ := h.Get(task.DataPath(id)); payload != ps[i] {
				t.Fatalf("the task with number %d by name holds %q", i, payload)
			}
		}
		play(t, root, nil)
		wantEchoes(t, r.wait(ends...), ps)
	})
	t.Run("refuses_an_id_that_is_there_already", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		id := task.NewID()
		h.Create(task.TasksDir, "")
		h.Create(task.DataDir, "")
		h.Create(task.StatePath(id), "pending")
		if _, err := r.DoAs(t.Context(), id, nil); !errors.Is(err, zk.ErrNodeExists) {
			t.Errorf("error %v", err)
		}
		if got := h.Children(task.TasksDir); !slices.Equal(got, []string{id}) {
			t.Errorf("tasks %q, want that of the other", got)
		}
	})
	t.Run("gets_a_result_that_was_there_before_it_looked", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		proxy, through := zktest.Via(t, root)
		r := start(t, through)
		held, release := proxy.Hold(zktest.OpGetData, 1, zktest.Naming(task.TasksDir))
		end := r.do(t.Context(), "1")
		met(t, held)
		h.Set(task.StatePath(tasks(t, h, 1)[0]), "done early")
		release()
		if e := r.wait(end...)[0]; e.err != nil || string(e.State.Text) != "early" {
			t.Error(e)
		}
	})
	t.Run("gets_results_that_come_the_moment_the_task_does", func(t *testing.T) {
		root := zktest.Connect(t)
		r := start(t, root)
		play(t, root, nil)
		var calls sync.WaitGroup
		for caller := range 8 {
			calls.Go(func() {
				for i := range 100 {
					payload := fmt.Sprint(caller, " ", i)
					e, err := r.Do(t.Context(), []byte(payload))
					if err != nil || string(e.State.Text) != payload {
						t.Error(ending{e, err})
						return
					}
				}
			})
		}
		calls.Wait()
		wantEmpty(t, zktest.Conn(t, root))
	})
	t.Run("waits_through_states_that_are_none_of_ours", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		session := r.session()
		end := r.do(t.Context(), "1")
		id := tasks(t, h, 1)[0]
		for i, state := range []string{"banana", "pending 1", "banana 2", "pending"} {
			h.Set(task.StatePath(id), state)
			zktest.Eventually(t, "state "+state+" is read", func() (bool, string) {
				// It warns of the first odd one, and watches again after each.
				n := watches(t, zktest.Shared(t), root, session)
				return n == 1 && strings.Contains(r.warned.String(), "banana"), fmt.Sprint(n, " watches, ", r.warned)
			})
			if n := strings.Count(r.warned.String(), "odd znode"); n != 1 {
				t.Errorf("%d warnings after state %d", n, i)
			}
		}
		h.Set(task.StatePath(id), "done 1")
		if e := r.wait(end...)[0]; e.err != nil || string(e.State.Text) != "1" {
			t.Error(e)
		}
	})
	t.Run("refuses_a_payload_that_is_too_large_and_takes_the_largest", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		s := r.session()
		others := r.do(t.Context(), payloads(10)...)
		tasks(t, h, 10)
		_, err := r.Do(t.Context(), make([]byte, MaxPayload+1))
		if !errors.Is(err, session.ErrTooLarge) || !strings.Contains(err.Error(), fmt.Sprint(MaxPayload+1)) || !strings.HasSuffix(err.Error(), fmt.Sprint(MaxPayload)) {
			t.Errorf("error %v", err)
		}
		tasks(t, h, 10)
		largest := strings.Repeat("x", MaxPayload)
		play(t, root, nil)
		large := r.do(t.Context(), largest, largest)
		wantEchoes(t, r.wait(large...), []string{largest, largest})
		wantEchoes(t, r.wait(others...), payloads(10))
		if _, suspended := s.Suspended(); s.Err() != nil || suspended || len(r.sessions) > 0 {
			t.Errorf("session: %v, suspended %t", s.Err(), suspended)
		}
	})
	t.Run("makes_missing_directories_again", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		for range 3 {
			// Many at once find them missing.
			ps := payloads(500)
			ends := r.do(t.Context(), ps...)
			tasks(t, h, len(ps))
			for _, dir := range task.Dirs() {
				if _, ok := h.Stat(dir); !ok {
					t.Errorf("no %s", dir)
				}
			}
			p := play(t, root, nil)
			wantEchoes(t, r.wait(ends...), ps)
			p.stop()
			for _, dir := range task.Dirs() {
				h.DeleteAll(dir)
			}
		}
	})
}

func TestRemoval(t *testing.T) {
	t.Parallel()
	t.Run("by_hand_of_an_unfinished_task_ends_it_and_deletes_its_payload", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		ends := r.do(t.Context(), "a", "b")
		ids := tasks(t, h, 2)
		h.Delete(task.StatePath(ids[0]))
		if e := r.wait(ends[0])[0]; !errors.Is(e.err, ErrRemoved) || e.err.Error() != "task "+ids[0]+" was removed before it finished" || e.ID != ids[0] {
			t.Error(e)
		}
		if got := h.Children(task.DataDir); !slices.Equal(got, ids[1:]) {
			t.Errorf("payloads %q, want %q", got, ids[1:])
		}
		h.Set(task.StatePath(ids[1]), "done b")
		wantEchoes(t, r.wait(ends[1]), []string{"b"})
		wantEmpty(t, h)
		if r.warned.String() != "" {
			t.Errorf("warned: %s", r.warned)
		}
	})
	t.Run("by_hand_of_1000_tasks_with_their_directory", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		ends := r.do(t.Context(), payloads(1000)...)
		tasks(t, h, 1000)
		h.DeleteAll(task.TasksDir)
		for _, e := range r.wait(ends...) {
			if !errors.Is(e.err, ErrRemoved) {
				t.Fatal(e)
			}
		}
		wantEmpty(t, h)
	})
	t.Run("by_hand_of_500_payloads_does_not_hold_up_the_clean_up", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		ends := r.do(t.Context(), payloads(500)...)
		tasks(t, h, 500)
		h.DeleteAll(task.DataDir)
		s := open(t, root)
		var ops []session.Op
		for _, id := range h.Children(task.TasksDir) {
			ops = append(ops, session.Set(task.StatePath(id), []byte("done 1"), 0))
		}
		if _, err := s.Multi(ops...); err != nil {
			t.Fatal(err)
		}
		for _, e := range r.wait(ends...) {
			if e.err != nil || string(e.State.Text) != "1" {
				t.Fatal(e)
			}
		}
		wantEmpty(t, h)
	})

	// What someone else has removed when the client comes to clean up.
	for name, paths := range map[string]func(id string) []string{
		"the_payload":        func(id string) []string { return []string{task.DataPath(id)} },
		"the_state":          func(id string) []string { return []string{task.StatePath(id)} },
		"both":               func(id string) []string { return []string{task.DataPath(id), task.StatePath(id)} },
		"the_directories":    func(string) []string { return []string{task.DataDir, task.TasksDir} },
		"the_data_directory": func(string) []string { return []string{task.DataDir} },
	} {
		t.Run("of_"+name+"_by_a_rival_leaves_the_rest_to_clean_up", func(t *testing.T) {
			root := zktest.Connect(t)
			h := zktest.Conn(t, root)
			proxy, through := zktest.Via(t, root)
			r := start(t, through)
			end := r.do(t.Context(), "1")
			id := tasks(t, h, 1)[0]
			held, release := proxy.Hold(zktest.OpMulti, 1, zktest.Naming(id))
			h.Set(task.StatePath(id), "done 1")
			met(t, held)
			for _, path := range paths(id) {
				h.DeleteAll(path)
			}
			release()
			if e := r.wait(end...)[0]; e.err != nil || string(e.State.Text) != "1" {
				t.Error(e)
			}
			if got := append(h.Children(task.TasksDir), h.Children(task.DataDir)...); len(got) > 0 {
				t.Errorf("left behind: %q", got)
			}
			if r.warned.String() != "" {
				t.Errorf("warned: %s", r.warned)
			}
		})
	}
	t.Run("that_is_refused_is_warned_of_and_holds_up_nothing", func(t *testing.T) {
		root := zktest.Connect(t)
		_, chroot, _ := strings.Cut(root, "/")
		chroot = "/" + chroot
		h, r := zktest.Conn(t, root), start(t, root)
		all := zk.WorldACL(zk.PermAll)

		// Someone has put a znode with a child in the place of the task's.
		end := r.do(t.Context(), "1")
		id := tasks(t, h, 1)[0]
		path := chroot + task.StatePath(id)
		if _, err := h.Conn.Multi(&zk.DeleteRequest{Path: path, Version: -1}, &zk.CreateRequest{Path: path, Data: []byte("done 1"), Acl: all},
			&zk.CreateRequest{Path: path + "/child", Acl: all}); err != nil {
			t.Fatal(err)
		}
		if e := r.wait(end...)[0]; e.err != nil || string(e.State.Text) != "1" {
			t.Error(e)
		}
		if got := h.Children(task.DataDir); len(got) > 0 {
			t.Errorf("payloads %q", got)
		}
		if log := r.warned.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, id) {
			t.Errorf("warned: %q", log)
		}

		// Payloads may not be deleted: the state is all the same.
		h.DeleteAll(task.StatePath(id))
		if _, err := h.Conn.SetACL(chroot+task.DataDir, zk.WorldACL(zk.PermAll&^zk.PermDelete), -1); err != nil {
			t.Fatal(err)
		}
		play(t, root, nil)
		wantEchoes(t, r.wait(r.do(t.Context(), payloads(20)...)...), payloads(20))
		if got := h.Children(task.TasksDir); len(got) > 0 {
			t.Errorf("tasks %q", got)
		}
		if n := strings.Count(r.warned.String(), "not authenticated"); n != 20 {
			t.Errorf("%d warnings: %s", n, r.warned)
		}
	})
}

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
	t.Run("ends_the_reading_of_what_is_withdrawn", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		proxy, through := zktest.Via(t, root)
		r := start(t, through)
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
		root := zktest.Connect(t)
		proxy, through := zktest.Via(t, root)
		r := start(t, through)
		play(t, root, nil)
		wantEchoes(t, r.wait(r.do(t.Context(), "1")...), []string{"1"})
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
		r := &rig{Client: New(Config{}), t: t}
		ctx, cancel := context.WithCancelCause(t.Context())
		ends := r.do(ctx, "1")
		cancel(errTest)
		if e := r.wait(ends...)[0]; e.err != errTest {
			t.Error(e)
		}
	})
	t.Run("returns_soon_though_ZooKeeper_is_away", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		proxy, through := zktest.Via(t, root)
		r := start(t, through)
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
	t.Run("of_Serve_alone_withdraws_tasks_and_the_next_Serve_submits_them_under_new_ids", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		r := &rig{Client: New(Config{}), t: t}
		s := open(t, root)
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

// Here sessions are closed, which needs no reconnect.
func TestSession(t *testing.T) {
	t.Parallel()
	whenSessionEnds(t, (*session.Session).Close)
	t.Run("that_ends_amid_results_and_cancels_does_not_hold_Serve", func(t *testing.T) {
		root := zktest.Connect(t)
		play(t, root, nil)
		for range 10 {
			r := &rig{Client: New(Config{}), t: t}
			s := open(t, root)
			served := make(chan error, 1)
			go func() { served <- r.Serve(t.Context(), s) }()
			ctx, cancel := context.WithCancelCause(t.Context())
			ends := r.do(ctx, payloads(100)...)
			r.wait(ends[0])
			go cancel(errTest)
			s.Close()
			select {
			case <-served:
			case <-time.After(20 * time.Second):
				t.Fatal("Serve does not return")
			}
			r.wait(ends[1:]...)
		}
	})
}

// Whoever was answered need not be there any more to take another answer.
func TestWaiterAnswersOnceWhenTheSessionEndsAmidItsReads(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	proxy, through := zktest.Via(t, root)
	s := open(t, through)
	h.Create(task.TasksDir, "")
	w := newWaiter(s, slog.New(slog.DiscardHandler))
	var es []*waiting
	for i := range 2 * pipeline { // the last is read when others have been
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
		finished, err = w.read(es)
		open = w.stop()
	}()
	met(t, held)
	s.Close()
	release()
	select {
	case <-stopped:
	case <-time.After(20 * time.Second):
		t.Fatal("answers twice, and nobody takes it")
	}
	if !errors.Is(err, session.ErrOver) || finished < pipeline || finished+open != len(es) {
		t.Errorf("%d finished, %d open of %d; %v", finished, open, len(es), err)
	}
	for _, e := range es {
		if a := <-e.answer; a.err == nil && string(a.state.Text) != "1" || a.err != nil && !errors.Is(a.err, session.ErrOver) {
			t.Errorf("%s: %+v", e.id, a)
		}
	}
}

// whenSessionEnds has end end sessions.
func whenSessionEnds(t *testing.T, end func(*session.Session)) {
	t.Run("its_tasks_go_with_it", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		r := &rig{Client: New(Config{}), t: t}
		s := open(t, root)
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
	t.Run("only_open_tasks_are_submitted_again_and_under_new_ids", func(t *testing.T) {
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
	t.Run("again_and_again_each_call_returns_one_result", func(t *testing.T) {
		root := zktest.Connect(t)
		r := start(t, root)
		p := play(t, root, nil)
		stop := make(chan struct{})
		var done atomic.Int32
		var calls sync.WaitGroup
		for caller := range 40 {
			calls.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					payload := fmt.Sprint(caller, " ", i)
					e, err := r.Do(t.Context(), []byte(payload))
					if played, _ := p.payload(e.ID); err != nil || string(e.State.Text) != payload || played != payload {
						t.Error(ending{e, err})
						return
					}
					done.Add(1)
				}
			})
		}
		for range 5 {
			before := done.Load()
			zktest.Eventually(t, "results", func() (bool, string) { n := done.Load(); return n > before+50, fmt.Sprint(n - before) })
			end(r.session())
		}
		close(stop)
		calls.Wait()
		wantEmpty(t, zktest.Conn(t, root))
	})
}

func TestWatches(t *testing.T) {
	t.Parallel()
	submit := func(t *testing.T, n int) (server *zktest.Server, root string, h *zktest.Hand, r *rig, ends []<-chan ending, ids []string) {
		server, root = zktest.Shared(t), zktest.Connect(t)
		h, r = zktest.Conn(t, root), start(t, root)
		ends = r.do(t.Context(), payloads(n)...)
		ids = tasks(t, h, n)
		return server, root, h, r, ends, ids
	}
	finish := func(t *testing.T, root string, ids []string) {
		t.Helper()
		s := open(t, root)
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
	t.Run("are_few_at_first_and_grow_slowly_while_the_oldest_are_long", func(t *testing.T) {
		began := time.Now()
		server, root, h, r, ends, ids := submit(t, 1000)
		s := r.session()
		most := func() int { return few + few*(1+int(time.Since(began)/slow)) }
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
	t.Run("of_the_oldest_are_enough_when_all_are_finished_in_order", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		proxy, through := zktest.Via(t, root)
		r := start(t, through)
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
	t.Run("that_are_lost_cost_time_and_no_result", func(t *testing.T) {
		server, root, h, r, ends, ids := submit(t, 1)
		s := r.session()
		zktest.Eventually(t, "watch", func() (bool, string) { return watches(t, server, root, s) == 1, "none" })
		s.Forget(task.TasksDir + "/")
		h.Set(task.StatePath(ids[0]), "done 1")
		if e := r.wait(ends...)[0]; e.err != nil || string(e.State.Text) != "1" {
			t.Error(e)
		}
	})
	t.Run("of_many_long_tasks_do_not_slow_down_the_others", func(t *testing.T) {
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
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("2000 tasks took %s", took)
		}
		finish(t, root, h.Children(task.TasksDir))
		r.wait(ends...)
	})
}

// Not parallel: it counts goroutines.
func TestNoLeak(t *testing.T) {
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
