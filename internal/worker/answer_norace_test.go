//go:build !race

package worker

import (
	"slices"
	"testing"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestReconnectAnswer(t *testing.T) {
	t.Parallel()
	for what, cut := range cuts {
		parallel(t, "is_settled_by_a_read_of_the_znode_when_the_"+what+"_is_lost", func(t *testing.T) {
			m, x, _, worker, proxy := proxied(t)
			begin(m, x, worker, "a", "b")
			met := cut(proxy, zktest.OpMulti, 1)
			held, release := proxy.Hold(zktest.OpSync, 1)
			m.assign(worker, "a", "-b")
			zktest.Receive(t, "lost "+what, met)
			proxy.Seen()
			zktest.Receive(t, "sync", held)
			if sent := slices.DeleteFunc(proxy.Seen(), func(op zktest.Op) bool { return op == zktest.OpSetWatches }); len(sent) > 0 {
				t.Errorf("before the sync: %v", sent)
			}
			release()
			m.holds(task.WorkerPath(worker), "a")
			x.end("a", "1")
			m.free(worker)
			m.state("a", "done 1")
			m.written("b", 0)
			x.began("a")
		})
	}
	parallel(t, "leaves_to_the_worker_what_is_unmarked_again_when_the_znode_is_read", func(t *testing.T) {
		m, x, _, worker, proxy := proxied(t)
		begin(m, x, worker, "a", "b")
		met := proxy.CutAfter(zktest.OpMulti, 1)
		held, release := proxy.Hold(zktest.OpSync, 1)
		m.assign(worker, "a", "-b")
		zktest.Receive(t, "lost reply", met)
		x.end("a", "1")
		zktest.Receive(t, "sync", held)
		m.holds(task.WorkerPath(worker), "a")
		m.assign(worker, "a", "b") // again
		release()
		x.began("a", "b")
		x.end("b", "2")
		m.state("b", "done 2")
		m.free(worker)
		m.written("a", 1)
		m.written("b", 1)
	})
}
