package master

import (
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// TestRequests counts what a task costs the leader.
func TestRequests(t *testing.T) {
	h, connect := tree(t)
	proxy, via := zktest.Via(t, connect)
	run(t, harness.Open(t, via), Config{Retention: -1})
	h.CreateEphemeral("/workers/w1", "")
	submitter := task.NewSubmitter("")
	do := func() {
		id := submitter.NewID()
		submit(h, id)
		expect(t, h, "/workers/w1", id)
		finish(h, "w1", id)
		h.Delete(task.DataPath(id))
		h.Delete(task.StatePath(id))
	}
	for range 3 {
		do()
	}
	proxy.Seen()
	const tasks = 20
	for range tasks {
		do()
	}
	seen := proxy.Seen()
	if n := count(seen, zktest.OpMulti); n != tasks {
		t.Errorf("%d Multis for %d tasks", n, tasks)
	}
	if n := count(seen, zktest.OpGetData); n > tasks+2 {
		t.Errorf("%d reads for %d tasks: its own writes are no cause to read", n, tasks)
	}
	if n := count(seen, zktest.OpGetChildren); n > 4 { // from time to time
		t.Errorf("%d listings for %d tasks: a watch tells of each that comes or goes", n, tasks)
	}
	t.Logf("requests: %d for %d tasks", len(seen), tasks)
}
