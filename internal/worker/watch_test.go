package worker

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// A request costs the servers more than anything that it asks for.
func TestATaskCostsThreeRequests(t *testing.T) {
	t.Parallel()
	m, _, _, worker, proxy := proxied(t)
	m.submit("first", "x")
	m.assign(worker, "first")
	m.free(worker) // by now its znode is watched
	const tasks = 20
	for i := range tasks {
		m.submit(fmt.Sprint(i), "x")
	}
	proxy.Seen()
	var want []zktest.Op
	for i := range tasks {
		m.assign(worker, fmt.Sprint(i))
		m.free(worker)
		want = append(want, zktest.OpGetData, zktest.OpMultiRead, zktest.OpMulti)
	}
	sent := slices.DeleteFunc(proxy.Seen(), func(op zktest.Op) bool { return op == zktest.OpPing })
	if !slices.Equal(sent, want) {
		t.Errorf("%d tasks cost %v", tasks, sent)
	}
}

func TestALostWatchCostsOnePeriodOfRereading(t *testing.T) {
	t.Parallel()
	root := zktest.Connect(t)
	m, x := newManual(t, root), newExecutor(t)
	proxy, through := zktest.Via(t, root)
	lost := make(chan struct{})
	once := sync.OnceFunc(func() { close(lost) })
	proxy.Hold(zktest.OpAddWatch, 1, func(request []byte) bool {
		request[len(request)-5]++ // the last byte of the path: another znode is watched
		once()
		return false
	})
	host(t, harness.Open(t, through), 1, x.run)
	worker := m.worker()
	zktest.Receive(t, "watch", lost)
	m.submit("t", "x")
	began := time.Now()
	m.assign(worker, "t")
	m.state("t", "done x")
	if took := time.Since(began); took > reread+time.Second || took < reread/2 {
		t.Errorf("took %v, want the period of %v", took, reread)
	}
}
