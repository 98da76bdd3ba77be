package master

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

// during does something while a request of a janitor's is held back, and waits until the
// janitor is done.
func during(t *testing.T, proxy *zktest.Proxy, op zktest.Op, path string, janitor, something func()) {
	t.Helper()
	held, release := proxy.Hold(op, 1, zktest.Naming(path))
	done := make(chan struct{})
	go func() { defer close(done); janitor() }()
	zktest.Receive(t, fmt.Sprintf("%s of %s", op, path), held)
	something()
	release()
	<-done
}

// TestJanitorAmidOthersWrites has others write what a janitor is about to remove.
func TestJanitorAmidOthersWrites(t *testing.T) {
	for _, tt := range []struct {
		name      string
		alone     bool      // a payload without a task; else a result
		op        zktest.Op // what is held back,
		path      string    // of this znode
		meanwhile func(h *zktest.ManualClient)
		left      string
		warnings  int
	}{
		{"leaves a result that is retried", false, zktest.OpMulti, "/tasks/t",
			func(h *zktest.ManualClient) { h.Set("/tasks/t", "pending") }, "[t] [t]", 0},
		{"says nothing of a result that is collected before it is read", false, zktest.OpGetData, "/tasks/t",
			func(h *zktest.ManualClient) { h.Delete("/tasks/t"); h.Delete("/data/t") }, "[] []", 0},
		{"says nothing of a result that is collected before it is removed", false, zktest.OpMulti, "/tasks/t",
			func(h *zktest.ManualClient) { h.Delete("/tasks/t"); h.Delete("/data/t") }, "[] []", 0},
		{"complains about a result that gets a znode below it", false, zktest.OpMulti, "/tasks/t",
			func(h *zktest.ManualClient) { h.Create("/tasks/t/below", "") }, "[t] [t]", 1},
		{"leaves a payload that is written", true, zktest.OpMulti, "/data/t",
			func(h *zktest.ManualClient) { h.Set("/data/t", "1") }, "[] [t]", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, h, proxy, log := keeper(t)
			if tt.alone {
				h.Create("/data/t", "0")
				j.lone = map[string]bool{"t": true}
			} else {
				finished(h, "t", "failed so")
			}
			during(t, proxy, tt.op, tt.path, func() { sweep(t, j, 2*hour) }, func() { tt.meanwhile(h) })
			if got := left(h); got != tt.left {
				t.Errorf("left %s, want %s", got, tt.left)
			}
			if n := strings.Count(log.String(), "WARN"); n != tt.warnings {
				t.Errorf("%d warnings:\n%s", n, log)
			}
		})
	}
	t.Run("leaves a result that is written anew before it is read", func(t *testing.T) {
		j, h, proxy, _ := keeper(t)
		j.retention = 2 * time.Second
		finished(h, "t", "failed so")
		stat, _ := h.Stat("/tasks/t")
		zktest.Eventually(t, "the result is old", func() (bool, string) { return j.old(stat.Mtime), j.now().String() })
		during(t, proxy, zktest.OpGetData, "/tasks/t", func() { sweep(t, j, 0) }, func() { h.Set("/tasks/t", "failed again") })
		if got := left(h); got != "[t] [t]" {
			t.Errorf("left %s", got)
		}
	})
	t.Run("keeps what a person writes into the candidate while it signs", func(t *testing.T) {
		j, h, proxy, log := keeper(t)
		var err error
		during(t, proxy, zktest.OpMulti, j.fence.Path, func() { err = j.sign() }, func() { h.Set(j.fence.Path, "mine") })
		stat, _ := h.Stat(j.fence.Path)
		if got, _ := h.Get(j.fence.Path); err != nil || got != "mine" || j.signed.UnixMilli() != stat.Mtime {
			t.Errorf("sign: %v; holds %q; signed at %v, written at %d ms", err, got, j.signed, stat.Mtime)
		}
		if strings.Contains(log.String(), "WARN") {
			t.Errorf("it says:\n%s", log)
		}
	})
	t.Run("takes the candidate's end while it signs for the end of the term", func(t *testing.T) {
		j, h, proxy, _ := keeper(t)
		var err error
		during(t, proxy, zktest.OpMulti, j.fence.Path, func() { err = j.sign() }, func() { h.Delete(j.fence.Path) })
		if !errors.Is(err, errDeposed) {
			t.Errorf("sign: %v", err)
		}
	})
}

// TestJanitorEnds ends its work in several ways.
func TestJanitorEnds(t *testing.T) {
	t.Run("before it begins where nothing is to be removed, ever", func(t *testing.T) {
		j, h, _, _ := keeper(t)
		finished(h, "t", "done 1")
		j.retention = 0
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := j.run(ctx); err != nil || ctx.Err() != nil {
			t.Errorf("run: %v, %v", err, ctx.Err())
		}
		if got := left(h); got != "[t] [t]" {
			t.Errorf("left %s", got)
		}
	})
	t.Run("amid a sweep when its term ends", func(t *testing.T) {
		j, h, _, _ := keeper(t)
		finished(h, "t", "done 1")
		j.signed = j.signed.Add(2 * hour)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := j.sweep(ctx); err != nil {
			t.Error(err)
		}
		if got := left(h); got != "[t] [t]" {
			t.Errorf("left %s", got)
		}
	})
	t.Run("with its session", func(t *testing.T) {
		j, _, _, log := keeper(t)
		j.s.Close()
		for name, call := range map[string]func() error{
			"sign":       j.sign,
			"sweep":      func() error { return j.sweep(t.Context()) },
			"removeTask": func() error { return j.removeTask("t") },
			"removeLone": func() error { return j.removeLone("t") },
			"remove":     func() error { return j.remove("t", "", []session.Op{j.fence, session.Delete("/data/t", 0)}) },
		} {
			if err := call(); !errors.Is(err, session.ErrOver) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if log.Len() > 0 {
			t.Errorf("it says:\n%s", log)
		}
	})
}

// TestJanitorMayNotList takes the right to list a directory away: what it does not see is
// not taken for absent, and no leader ends by it.
func TestJanitorMayNotList(t *testing.T) {
	for _, dir := range []string{"/tasks", "/data"} {
		t.Run(dir[1:], func(t *testing.T) {
			j, h, _, log := keeper(t)
			permit := func(perms int32) {
				t.Helper()
				if err := j.s.SetACL(dir, zk.WorldACL(perms), -1); err != nil {
					t.Fatal(err)
				}
			}
			submit(h, "pending")
			finished(h, "done", "done 1")
			h.Create("/data/alone", "")
			before := left(h)
			permit(zk.PermAll &^ zk.PermRead)
			for range 3 {
				sweep(t, j, 2*hour)
			}
			permit(zk.PermAll)
			if got := left(h); got != before {
				t.Errorf("left %s of %s", got, before)
			}
			if n := strings.Count(log.String(), "WARN"); n != 1 || !strings.Contains(log.String(), "znode="+dir+" right=read") {
				t.Errorf("it says:\n%s", log)
			}
			for range 2 {
				sweep(t, j, 2*hour)
			}
			if got := left(h); got != "[pending] [pending]" {
				t.Errorf("left %s", got)
			}
			if !strings.Contains(log.String(), "the right is back") {
				t.Errorf("it says:\n%s", log)
			}
		})
	}
}
