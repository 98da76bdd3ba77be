package worker

import (
	"fmt"
	"slices"
	"testing"

	"taskkeeper/internal/zktest"
)

// A request costs the servers more than anything that it asks for.
func TestRequestsOfATask(t *testing.T) {
	t.Parallel()
	d, _, _, worker, proxy := proxied(t)
	d.submit("first", "x")
	d.assign(worker, "first")
	d.free(worker) // by now its znode is watched
	const tasks = 20
	for i := range tasks {
		d.submit(fmt.Sprint(i), "x")
	}
	proxy.Seen()
	var want []zktest.Op
	for i := range tasks {
		d.assign(worker, fmt.Sprint(i))
		d.free(worker)
		want = append(want, zktest.OpGetData, zktest.OpGetData, zktest.OpMulti)
	}
	sent := slices.DeleteFunc(proxy.Seen(), func(op zktest.Op) bool { return op == zktest.OpPing })
	if !slices.Equal(sent, want) {
		t.Errorf("%d tasks cost %v", tasks, sent)
	}
}
