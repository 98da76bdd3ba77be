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
		parallel(t, "is_settled_by_the_znode_when_the_"+what+"_is_lost", func(t *testing.T) {
			d, b, _, worker, proxy := proxied(t)
			begin(d, b, worker, "a", "b")
			met := cut(proxy, zktest.OpMulti, 1)
			held, release := proxy.Hold(zktest.OpSync, 1)
			d.assign(worker, "a", "-b")
			happened(t, "lost "+what, met)
			proxy.Seen()
			happened(t, "sync", held)
			if sent := slices.DeleteFunc(proxy.Seen(), func(op zktest.Op) bool { return op == zktest.OpSetWatches }); len(sent) > 0 {
				t.Errorf("before the sync: %v", sent)
			}
			release()
			d.reads(task.WorkerPath(worker), "a")
			b.end("a", "1")
			d.free(worker)
			d.state("a", "done 1")
			d.written("b", 0)
			b.began("a")
		})
	}
	parallel(t, "leaves_what_is_listed_unmarked_by_then_to_the_worker", func(t *testing.T) {
		d, b, _, worker, proxy := proxied(t)
		begin(d, b, worker, "a", "b")
		met := proxy.CutAfter(zktest.OpMulti, 1)
		held, release := proxy.Hold(zktest.OpSync, 1)
		d.assign(worker, "a", "-b")
		happened(t, "lost reply", met)
		b.end("a", "1")
		happened(t, "sync", held)
		d.reads(task.WorkerPath(worker), "a")
		d.assign(worker, "a", "b") // again
		release()
		b.began("a", "b")
		b.end("b", "2")
		d.state("b", "done 2")
		d.free(worker)
		d.written("a", 1)
		d.written("b", 1)
	})
}
