package master

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/master/sched"
)

func TestDrain(t *testing.T) {
	// on is a worker on a host, as a program registers it.
	on := func(h *zktest.ManualClient, host, list string) string {
		path := "/workers/" + host + ":7-" + uuid.NewString()
		h.CreateEphemeral(path, list)
		return path
	}
	t.Run("a host finishes what it has, and gets no more until it is undrained", func(t *testing.T) {
		h, connect := tree(t)
		start(t, connect)
		node := on(h, "node", "")
		submit(h, "t1")
		expect(t, h, node, "t1")
		h.Create("/drain/node", "")
		submit(h, "t2")
		expect(t, h, "/drain/node", "")
		finish(h, node[len("/workers/"):], "t1")
		expect(t, h, "/drain/node", "drained")
		again := on(h, "node", "") // its worker was started again
		other := on(h, "other", "")
		expect(t, h, other, "t2")
		submit(h, "t3")
		finish(h, other[len("/workers/"):], "t2")
		expect(t, h, other, "t3")
		for _, path := range []string{node, again} {
			if got, _ := h.Get(path); got != "" {
				t.Errorf("%s is drained and has %q", path, got)
			}
		}
		submit(h, "t4")
		submit(h, "t5")
		h.Delete("/drain/node")
		zktest.Eventually(t, "both get a task", func() (bool, string) {
			a, _ := h.Get(node)
			b, _ := h.Get(again)
			return a != "" && b != "", a + " and " + b
		})
	})
	t.Run("a new leader drains what was drained, and keeps what a person wrote", func(t *testing.T) {
		h, connect := tree(t)
		h.Create("/drain/node", "disk full")
		node, other := on(h, "node", ""), on(h, "other", "")
		submit(h, "t1")
		start(t, connect)
		expect(t, h, other, "t1")
		expect(t, h, "/drain/node", "drained disk full")
		if got, _ := h.Get(node); got != "" {
			t.Errorf("assigned %q", got)
		}
	})
	t.Run("is written by the leader only, at the version that it read", func(t *testing.T) {
		h, connect := tree(t)
		l := still(harness.Open(t, connect), h, slog.New(slog.DiscardHandler))
		h.Create("/drain/node", "")
		h.Set("/drain/node", "why")
		h.Create("/drain/other", "")
		l.handle(sched.TasksListed{Number: 1})
		l.handle(sched.WorkersListed{})
		l.handle(sched.DrainsListed{Names: []string{"gone", "node", "other"}, Open: []sched.Drain{{Name: "gone"}, {Name: "node"}, {Name: "other"}}})
		l.drains.due = false
		for _, left := range []int{3, 2, 1, 0} { // one is refused in each turn, and then the rest is written
			open := l.sched.Decide(time.Now()).Drained
			if len(open) != left {
				t.Fatalf("%d are open, want %d", len(open), left)
			}
			if err := l.writeDrained(open); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, h, "/drain/other", "drained")
		if !l.drains.due {
			t.Error("does not list again what it did not write")
		}
		h.Delete(l.fence.Path)
		if err := l.writeDrained([]sched.Drain{{Name: "node", Version: 1}}); !errors.Is(err, errDeposed) {
			t.Errorf("deposed: %v", err)
		}
		expect(t, h, "/drain/node", "why")
	})
	t.Run("of the same name is written each time", func(t *testing.T) {
		h, connect := tree(t)
		start(t, connect)
		on(h, "node", "")
		for range 5 {
			h.Create("/drain/node", "")
			expect(t, h, "/drain/node", "drained")
			h.Delete("/drain/node")
		}
	})
}
