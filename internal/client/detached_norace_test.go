//go:build !race

package client

import (
	"context"
	"errors"
	"slices"
	"testing"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// TestReconnectDetached loses the write of each call on detached tasks, before or
// after it was carried out; the client then goes on with the same session, or
// with another one.
func TestReconnectDetached(t *testing.T) {
	t.Parallel()
	type call struct {
		state string // of the task before; "" if there is none
		do    func(r *runningClient, ctx context.Context, id string) (string, error)
		left  string // its state then; "" if it is gone
	}
	calls := map[string]call{
		"submit": {"", func(r *runningClient, ctx context.Context, id string) (string, error) {
			return r.Submit(ctx, id, []byte("a"))
		}, "pending"},
		"collect": {"done 1", func(r *runningClient, ctx context.Context, id string) (string, error) {
			return id, r.Collect(ctx, Result{ID: id})
		}, ""},
		"cancel": {"pending 1", func(r *runningClient, ctx context.Context, id string) (string, error) { return id, r.Cancel(ctx, id) }, ""},
		"retry":  {"failed so", func(r *runningClient, ctx context.Context, id string) (string, error) { return id, r.Retry(ctx, id) }, "pending"},
	}
	for name, c := range calls {
		for form, cut := range map[string]func(*zktest.Proxy, zktest.Op, int, ...zktest.Match) <-chan struct{}{
			"request": (*zktest.Proxy).CutBefore,
			"reply":   (*zktest.Proxy).CutAfter,
		} {
			for _, ends := range []bool{false, true} {
				title := name + "_after_a_lost_" + form
				if ends {
					title += "_and_the_session's_end"
				}
				t.Run(title, func(t *testing.T) {
					root, h, proxy, r := startVia(t)
					s := r.session()
					play(t, root, nil).stop() // makes the directories
					id := task.NewID()
					if c.state != "" {
						h.Create(task.DataPath(id), "a")
						h.Create(task.StatePath(id), c.state)
					}
					var held <-chan struct{}
					release := func() {}
					if ends {
						held, release = proxy.Hold(zktest.OpSync, 1)
						defer release()
					}
					lost := cut(proxy, zktest.OpMulti, 1, zktest.Naming(task.StatePath(id)))
					type result struct {
						id  string
						err error
					}
					got := make(chan result, 1)
					go func() {
						id, err := c.do(r, t.Context(), id)
						got <- result{id, err}
					}()
					met(t, lost)
					if ends && name != "collect" { // which asks nothing: what is gone is refused
						met(t, held)
						proxy.Refuse(true) // else it may come back before the end, and sync again
						zktest.Expire(t, root, s.ID())
						proxy.Refuse(false)
						release()
					}
					res := <-got
					if res.err != nil {
						t.Fatal(res.err)
					}
					left := h.Children(task.TasksDir)
					if payloads := h.Children(task.DataDir); !slices.Equal(payloads, left) {
						t.Errorf("tasks %q, payloads %q", left, payloads)
					}
					if c.left == "" {
						if len(left) > 0 {
							t.Errorf("left %q", left)
						}
						return
					}
					if state, _ := h.Get(task.StatePath(res.id)); len(left) != 1 || state != c.left {
						t.Errorf("returned %s; left %q, its state %q", res.id, left, state)
					}
					if stat, _ := h.Stat(task.StatePath(res.id)); name == "retry" && stat.Version != 1 {
						t.Errorf("written %d times", stat.Version)
					}
					// Only what is known not to be there is submitted under another id.
					if again := res.id != id; again != (name == "submit" && ends && form == "request") {
						t.Errorf("submitted as %s, is %s", id, res.id)
					}
				})
			}
		}
	}
	t.Run("cancel_succeeds_once_when_its_reply_is_lost", func(t *testing.T) {
		_, h, proxy, r := startVia(t)
		id := r.submit("a")[0]
		lost := proxy.CutAfter(zktest.OpMulti, 1, zktest.Naming(task.StatePath(id)))
		if err := r.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
		met(t, lost)
		if err := r.Cancel(t.Context(), id); !errors.Is(err, task.ErrNotFound) {
			t.Error(err)
		}
		wantEmpty(t, h)
	})
	t.Run("await_goes_on_with_another_session", func(t *testing.T) {
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		r := start(t, root)
		s := r.session()
		id := r.submit("a")[0]
		end := r.await(t.Context(), id)
		zktest.Expire(t, root, s.ID())
		r.session()
		h.Set(task.StatePath(id), "done 1")
		if e := r.wait(end)[0]; e.err != nil || string(e.State.Text) != "1" {
			t.Error(e)
		}
	})
}
