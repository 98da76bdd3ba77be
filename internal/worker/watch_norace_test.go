//go:build !race

package worker

import (
	"slices"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// A server before ZooKeeper 3.6 says that it knows no such operation, and closes the
// connection.
func TestReconnectOldServer(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	d, b := newDesk(t, root), newBench(t)
	proxy, through := zktest.Via(t, root)
	proxy.Unknown(zktest.OpAddWatch)
	s := harness.Open(t, through)
	host(t, s, 1, b.run)
	worker := d.worker()
	for _, id := range []string{"a", "b", "c"} {
		d.submit(id, id)
		d.assign(worker, id)
		d.state(id, "done "+id)
		d.free(worker)
	}
	d.submit("long", "wait")
	d.assign(worker, "long")
	b.began("a", "b", "c", "long")
	d.assign(worker)
	b.ended("long")
	d.submit("d", "d")
	d.assign(worker, "d")
	d.state("d", "done d")
	if got := d.worker(); got != worker || s.Err() != nil {
		t.Errorf("registered %s, then %s; %v", worker, got, s.Err())
	}
	if n := slices.Index(proxy.Seen(), zktest.OpAddWatch); n < 0 {
		t.Error("no watch was asked for")
	}
}
