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
func TestReconnectServerWithoutPersistentWatches(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	m, x := newManual(t, root), newExecutor(t)
	proxy, through := zktest.Via(t, root)
	proxy.Unknown(zktest.OpAddWatch)
	s := harness.Open(t, through)
	host(t, s, 1, x.run)
	worker := m.worker()
	for _, id := range []string{"a", "b", "c"} {
		m.submit(id, id)
		m.assign(worker, id)
		m.state(id, "done "+id)
		m.free(worker)
	}
	m.submit("long", "wait")
	m.assign(worker, "long")
	x.began("a", "b", "c", "long")
	m.assign(worker)
	x.ended("long")
	m.submit("d", "d")
	m.assign(worker, "d")
	m.state("d", "done d")
	if got := m.worker(); got != worker || s.Err() != nil {
		t.Errorf("registered %s, then %s; %v", worker, got, s.Err())
	}
	if n := slices.Index(proxy.Seen(), zktest.OpAddWatch); n < 0 {
		t.Error("no watch was asked for")
	}
}
