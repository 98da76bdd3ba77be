package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// awaited is a call of WaitForWorkers.
type awaited struct {
	t        *testing.T
	reported chan string
	ended    chan error
}

func (r *runningClient) waitFor(ctx context.Context, n int) *awaited {
	a := &awaited{r.t, make(chan string, 100), make(chan error, 1)}
	go func() {
		a.ended <- r.WaitForWorkers(ctx, n, func(c Crew) { a.reported <- fmt.Sprintf("%d taking, %d drained", c.Taking, c.Drained) })
	}()
	return a
}

func (a *awaited) reports(want string) {
	a.t.Helper()
	select {
	case got := <-a.reported:
		if got != want {
			a.t.Errorf("reported %q, want %q", got, want)
		}
	case err := <-a.ended:
		a.t.Fatalf("ended with %v, before it reported %q", err, want)
	case <-time.After(20 * time.Second):
		a.t.Fatalf("does not report %q", want)
	}
}

func (a *awaited) ends(want error) {
	a.t.Helper()
	if err := zktest.Receive(a.t, "end of WaitForWorkers", a.ended); !errors.Is(err, want) || want == nil && err != nil {
		a.t.Errorf("ended with %v, want %v", err, want)
	}
	select {
	case more := <-a.reported:
		a.t.Errorf("reported %q as well", more)
	default:
	}
}

func TestWaitForWorkers(t *testing.T) {
	t.Parallel()
	t.Run("returns_when_so_many_workers_of_the_queue_are_registered_and_not_drained", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		r := startIn(t, root, "gpu")
		a := r.waitFor(t.Context(), 2)
		a.reports("0 taking, 0 drained") // and the permanent znodes are there
		h.CreateEphemeral("/workers/gpu.a", "")
		a.reports("1 taking, 0 drained")
		h.CreateEphemeral("/workers/b", "")
		h.CreateEphemeral("/workers/cpu.c", "")
		h.Create("/drain/d", "")
		h.CreateEphemeral("/workers/gpu.d", "busy")
		a.reports("1 taking, 1 drained")
		h.Delete("/workers/gpu.a")
		a.reports("0 taking, 1 drained")
		h.Delete("/drain/d")
		a.reports("1 taking, 0 drained")
		h.Create("/drain/other", "")
		h.CreateEphemeral("/workers/gpu.e", "")
		a.ends(nil)
		r.waitFor(t.Context(), 2).ends(nil)
		r.waitFor(t.Context(), 0).ends(nil)
	})
	t.Run("counts_no_worker_that_was_drained_before_it_registered", func(t *testing.T) {
		t.Parallel()
		_, h, proxy, r := startVia(t)
		a := r.waitFor(t.Context(), 1)
		a.reports("0 taking, 0 drained")
		held, release := proxy.Hold(zktest.OpGetChildren, 1, zktest.Naming("/workers"))
		h.CreateEphemeral("/workers/other.w", "")
		zktest.Receive(t, "listing of /workers", held)
		h.Create("/drain/d", "")
		h.CreateEphemeral("/workers/d", "")
		release()
		a.reports("0 taking, 1 drained")
	})
	t.Run("reports_at_most_once_a_second", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		began := time.Now()
		a := start(t, root).waitFor(t.Context(), 100)
		a.reports("0 taking, 0 drained")
		for i := range 99 {
			h.CreateEphemeral(fmt.Sprint("/workers/w", i), "")
		}
		zktest.Eventually(t, "all workers are reported", func() (bool, string) {
			last := <-a.reported
			return last == "99 taking, 0 drained", last
		})
		if n, took := len(a.reported)+2, time.Since(began); took < reportPause || n > 2+int(took/reportPause) {
			t.Errorf("%d reports within %s", n, took)
		}
		h.CreateEphemeral("/workers/last", "")
		a.ends(nil)
	})
	t.Run("goes_on_with_another_session", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		r := start(t, root)
		a := r.waitFor(t.Context(), 1)
		a.reports("0 taking, 0 drained")
		zktest.Expire(t, root, r.session().ID())
		r.session()
		h.CreateEphemeral("/workers/w", "")
		a.ends(nil)
	})
	t.Run("ends_with_its_context_and_lets_Serve_end", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		r := start(t, root)
		ctx, cancel := context.WithCancel(t.Context())
		a := r.waitFor(ctx, 1)
		a.reports("0 taking, 0 drained")
		began := time.Now()
		r.stop()
		if took := time.Since(began); took > 5*time.Second { // half of the session timeout, when the session is closed
			t.Errorf("Serve ended after %s", took)
		}
		cancel()
		a.ends(context.Canceled)
	})
	t.Run("waits_for_the_right_to_list_the_workers", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		for _, dir := range task.Dirs() {
			h.Create(dir, "")
		}
		h.CreateEphemeral("/workers/w", "")
		h.SetACL(task.DrainDir, zk.WorldACL(zk.PermAll&^zk.PermRead))
		r := start(t, root)
		a := r.waitFor(t.Context(), 1)
		zktest.Eventually(t, "it says so", func() (bool, string) {
			said := r.warned.String()
			return strings.Contains(said, `msg="a right is missing" znode=/drain right=read`), said
		})
		h.SetACL(task.DrainDir, zk.WorldACL(zk.PermAll))
		a.ends(nil)
	})
	t.Run("does_not_take_the_watches_of_a_stall", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		h.Create(task.MasterDir, "")
		h.CreateEphemeral("/master/by-hand-0000000001", "")
		r := start(t, root)
		r.warned.stalls = true
		a := r.waitFor(t.Context(), 1)
		a.reports("0 taking, 0 drained")
		h.CreateEphemeral("/workers/w", "")
		a.ends(nil)
		go r.Do(t.Context(), []byte("1")) // ends with the client
		h.Delete("/workers/w")
		says := func(text string) {
			t.Helper()
			zktest.Eventually(t, text, func() (bool, string) { said := r.warned.String(); return strings.Contains(said, text), said })
		}
		says(`missing="a worker: start one"`)
		h.CreateEphemeral("/workers/w", "")
		says("tasks can be done again")
	})
}
