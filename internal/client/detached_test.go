package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// submit submits detached tasks and returns their ids.
func (r *runningClient) submit(payloads ...string) (ids []string) {
	r.t.Helper()
	for _, p := range payloads {
		id, err := r.Submit(r.t.Context(), task.NewID(), []byte(p))
		if err != nil {
			r.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// await calls Await for a task, and returns the channel of its ending.
func (r *runningClient) await(ctx context.Context, id string) <-chan ending {
	end := make(chan ending, 1)
	go func() {
		result, err := r.Await(ctx, id)
		end <- ending{result, err}
	}()
	return end
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	r := start(t, root)
	ids := r.submit("a", "")
	r.stop()
	for i, payload := range []string{"a", ""} {
		for path, want := range map[string]string{task.DataPath(ids[i]): payload, task.StatePath(ids[i]): "pending"} {
			stat, ok := h.Stat(path)
			if got, _ := h.Get(path); !ok || got != want || stat.EphemeralOwner != 0 {
				t.Errorf("%s: %q, %+v; want %q, kept by nobody's session", path, got, stat, want)
			}
		}
	}
	t.Run("refuses_what_is_too_large", func(t *testing.T) {
		r := start(t, zktest.Connect(t))
		if id, err := r.Submit(t.Context(), task.NewID(), make([]byte, MaxPayload+1)); id != "" || !errors.Is(err, session.ErrTooLarge) {
			t.Errorf("%q, %v", id, err)
		}
	})
	t.Run("without_a_session_ends_with_its_context", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("enough"))
		if id, err := New(Config{}).Submit(ctx, task.NewID(), nil); id != "" || err == nil || err.Error() != "enough" {
			t.Errorf("%q, %v", id, err)
		}
	})
}

func TestAwait(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	r := start(t, root)

	t.Run("fetches_a_result_and_leaves_it", func(t *testing.T) {
		id := r.submit("a")[0]
		end := r.await(t.Context(), id)
		h.Set(task.StatePath(id), "done 42")
		e := r.wait(end)[0]
		if e.err != nil || e.ID != id || e.State.Phase != task.Done || string(e.State.Text) != "42" || e.Attached {
			t.Error(e)
		}
		if got, _ := h.Get(task.StatePath(id)); got != "done 42" {
			t.Errorf("left %q", got)
		}
		stat, _ := h.Stat(task.StatePath(id))
		if want := stat.Mtime - stat.Ctime; e.Took.Milliseconds() != want {
			t.Errorf("took %v, want %d ms", e.Took, want)
		}
		if err := errors.Join(r.Collect(t.Context(), e.Result), r.Collect(t.Context(), e.Result)); err != nil {
			t.Errorf("collect, twice: %v", err)
		}
		wantEmpty(t, h)
	})
	t.Run("collects_no_task_that_was_made_pending_again", func(t *testing.T) {
		id := r.submit("a")[0]
		h.Set(task.StatePath(id), "failed so")
		e := r.wait(r.await(t.Context(), id))[0]
		if err := errors.Join(r.Retry(t.Context(), id), r.Collect(t.Context(), e.Result)); err != nil {
			t.Error(err)
		}
		if state, _ := h.Get(task.StatePath(id)); state != "pending" || len(h.Children(task.DataDir)) != 1 {
			t.Errorf("left %q, payloads %q", state, h.Children(task.DataDir))
		}
		if err := r.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
	})
	t.Run("collects_a_task_whose_payload_is_gone", func(t *testing.T) {
		id := r.submit("a")[0]
		h.Set(task.StatePath(id), "done 1")
		h.Delete(task.DataPath(id))
		if err := r.Collect(t.Context(), r.wait(r.await(t.Context(), id))[0].Result); err != nil {
			t.Error(err)
		}
		wantEmpty(t, h)
	})
	t.Run("marks_the_result_of_a_task_that_a_client_waits_for_as_attached", func(t *testing.T) {
		do := r.do(t.Context(), "a")
		id := tasks(t, h, 1)[0]
		other := start(t, root)
		s := other.session()
		end := other.await(t.Context(), id)
		zktest.Eventually(t, "both watch", func() (bool, string) {
			n := watches(t, zktest.Shared(t), root, s)
			return n == 1, fmt.Sprint(n)
		})
		h.Set(task.StatePath(id), "done 1")
		if e := other.wait(end)[0]; e.err != nil || !e.Attached {
			t.Errorf("%s, attached %v", e, e.Attached)
		}
		r.wait(do...)
		wantEmpty(t, h)
	})
	for name, when := range map[string]func(id string){
		"that_is_not_there": nil,
		"removed_meanwhile": func(id string) { h.Delete(task.StatePath(id)); h.Delete(task.DataPath(id)) },
		"collected_by_another": func(id string) {
			h.Set(task.StatePath(id), "done 1")
			h.DeleteAll(task.StatePath(id))
			h.Delete(task.DataPath(id))
		},
	} {
		t.Run("returns_ErrNotFound_for_a_task_"+name, func(t *testing.T) {
			id := task.NewID()
			if when != nil {
				id = r.submit("a")[0]
			}
			end := r.await(t.Context(), id)
			if when != nil {
				when(id)
			}
			// A result that was there for a moment may have been seen.
			if e := r.wait(end)[0]; !errors.Is(e.err, task.ErrNotFound) && (name != "collected_by_another" || e.err != nil) {
				t.Error(e)
			}
		})
	}
	t.Run("ends_with_its_context_and_leaves_the_task", func(t *testing.T) {
		id := r.submit("a")[0]
		ctx, cancel := context.WithCancelCause(t.Context())
		end := r.await(ctx, id)
		cancel(errors.New("enough"))
		if e := r.wait(end)[0]; e.err == nil || e.err.Error() != "enough" {
			t.Error(e)
		}
		if got, _ := h.Get(task.StatePath(id)); got != "pending" {
			t.Errorf("left %q", got)
		}
	})
	if got := r.warned.String(); got != "" {
		t.Errorf("warned of %s", got)
	}
}

func TestCancelAndRetry(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	r := start(t, root)
	cancel, retry := r.Cancel, r.Retry
	for name, c := range map[string]struct {
		do    func(ctx context.Context, id string) error
		state string // "-": no task
		want  error
		left  []string // state and payload
	}{
		"cancel_removes_a_task":              {cancel, "pending", nil, nil},
		"cancel_removes_a_task_in_any_state": {cancel, "potato", nil, nil},
		"cancel_removes_a_task_after_losses": {cancel, "pending 2", nil, nil},
		"cancel_leaves_a_result":             {cancel, "done 1", ErrFinished, []string{"done 1", "a"}},
		"cancel_leaves_a_failure":            {cancel, "failed so", ErrFinished, []string{"failed so", "a"}},
		"cancel_finds_no_task":               {cancel, "-", task.ErrNotFound, nil},
		"retry_makes_a_failed_task_pending":  {retry, "failed so", nil, []string{"pending", "a"}},
		"retry_keeps_what_was_asked_for":     {retry, "failed: kind=command worker=w exit=1 err=1\nsoE", nil, []string{"pending: kind=command", "a"}},
		"retry_leaves_a_pending_task":        {retry, "pending 1", ErrNotFailed, []string{"pending 1", "a"}},
		"retry_leaves_a_result":              {retry, "done 1", ErrNotFailed, []string{"done 1", "a"}},
		"retry_leaves_a_malformed_state":     {retry, "potato", ErrNotFailed, []string{"potato", "a"}},
		"retry_finds_no_task":                {retry, "-", task.ErrNotFound, nil},
	} {
		t.Run(name, func(t *testing.T) {
			id := task.NewID()
			if c.state != "-" {
				id = r.submit("a")[0]
				h.Set(task.StatePath(id), c.state)
			}
			if err := c.do(t.Context(), id); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			var left []string
			for _, path := range []string{task.StatePath(id), task.DataPath(id)} {
				if got, ok := h.Get(path); ok {
					left = append(left, got)
				}
			}
			if !slices.Equal(left, c.left) {
				t.Errorf("left %q, want %q", left, c.left)
			}
		})
	}
	t.Run("cancel_removes_a_task_whose_payload_is_gone", func(t *testing.T) {
		id := r.submit("a")[0]
		h.Delete(task.DataPath(id))
		if err := r.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
		if _, ok := h.Get(task.StatePath(id)); ok {
			t.Error("it is still there")
		}
	})
	t.Run("cancel_fails_as_a_whole_where_a_child_is_in_the_way", func(t *testing.T) {
		id := r.submit("a")[0]
		h.Create(task.StatePath(id)+"/child", "")
		if err := r.Cancel(t.Context(), id); err == nil || !slices.Contains(h.Children(task.TasksDir), id) {
			t.Errorf("%v", err)
		}
		if _, ok := h.Get(task.DataPath(id)); !ok {
			t.Error("half of it was removed")
		}
	})
	t.Run("cancel_ends_the_call_of_the_client_that_waits", func(t *testing.T) {
		h.DeleteAll(task.TasksDir)
		end := r.do(t.Context(), "a")
		id := tasks(t, h, 1)[0]
		if err := r.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
		if e := r.wait(end...)[0]; !errors.Is(e.err, ErrRemoved) {
			t.Error(e)
		}
	})
	t.Run("retry_leaves_a_task_to_the_client_that_waits_for_it", func(t *testing.T) {
		h.CreateEphemeral(task.StatePath("mine"), "failed so")
		if err := r.Retry(t.Context(), "mine"); !errors.Is(err, ErrAttached) {
			t.Error(err)
		}
	})
}

// A server may lag behind the one where a task was submitted: what it does not show
// is looked for once more after a Sync.
func TestTaskThatALaggingServerDoesNotShowYet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state string
		do    func(r *runningClient, ctx context.Context, id string) error
	}{
		"is_waited_for": {"done 1", func(r *runningClient, ctx context.Context, id string) error { _, err := r.Await(ctx, id); return err }},
		"is_cancelled":  {"pending", func(r *runningClient, ctx context.Context, id string) error { return r.Cancel(ctx, id) }},
		"is_retried":    {"failed so", func(r *runningClient, ctx context.Context, id string) error { return r.Retry(ctx, id) }},
	} {
		t.Run(name, func(t *testing.T) {
			root, h, proxy, r := startVia(t)
			play(t, root, nil).stop() // makes the directories
			held, release := proxy.Hold(zktest.OpSync, 1)
			defer release()
			id := task.NewID()
			got := make(chan error, 1)
			go func() { got <- c.do(r, t.Context(), id) }()
			select {
			case <-held: // the reads before it found no task
			case err := <-got:
				t.Fatalf("without a Sync: %v", err)
			}
			h.Create(task.DataPath(id), "a")
			h.Create(task.StatePath(id), c.state)
			release()
			if err := <-got; err != nil {
				t.Error(err)
			}
		})
	}
}

// The task moves on between the read of a retry and its write.
func TestCancelLeavesATaskThatWasFinishedMeanwhile(t *testing.T) {
	t.Parallel()
	_, h, proxy, r := startVia(t)
	id := r.submit("a")[0]
	held, release := proxy.Hold(zktest.OpMulti, 1, zktest.Naming(task.StatePath(id)))
	defer release()
	got := make(chan error, 1)
	go func() { got <- r.Cancel(t.Context(), id) }()
	met(t, held)
	h.Set(task.StatePath(id), "done 42")
	release()
	if err := zktest.Receive(t, "end of Cancel", got); !errors.Is(err, ErrFinished) {
		t.Errorf("%v, want %v", err, ErrFinished)
	}
	if state, _ := h.Get(task.StatePath(id)); state != "done 42" {
		t.Errorf("left %q", state)
	}
}

func TestRetryLeavesATaskThatMovedOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		states []string // that it goes through meanwhile
		want   error
		left   string
	}{
		"to_pending_by_another_retry": {[]string{"pending"}, ErrNotFailed, "pending"},
		"to_a_result":                 {[]string{"pending", "done 42"}, ErrNotFailed, "done 42"},
		"to_a_loss":                   {[]string{"pending", "pending 1"}, ErrNotFailed, "pending 1"},
		"to_another_failure":          {[]string{"pending", "failed again"}, nil, "pending"},
		"by_being_removed":            {nil, task.ErrNotFound, ""},
		"to_a_result_typed_by_hand":   {[]string{"done 7"}, ErrNotFailed, "done 7"},
	} {
		t.Run(name, func(t *testing.T) {
			_, h, proxy, r := startVia(t)
			id := r.submit("a")[0]
			h.Set(task.StatePath(id), "failed so")
			held, release := proxy.Hold(zktest.OpMulti, 1, zktest.Naming(task.StatePath(id)))
			defer release()
			got := make(chan error, 1)
			go func() { got <- r.Retry(t.Context(), id) }()
			met(t, held)
			for _, state := range c.states {
				h.Set(task.StatePath(id), state)
			}
			if c.states == nil {
				h.Delete(task.StatePath(id))
			}
			release()
			if err := <-got; !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if state, _ := h.Get(task.StatePath(id)); state != c.left {
				t.Errorf("left %q, want %q", state, c.left)
			}
		})
	}
}
