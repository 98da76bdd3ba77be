package worker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// TestUnusable spoils the znode of one slot: that slot registers anew, and the
// process with its other slots goes on.
func TestUnusable(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, d desk, b *bench, worker string){
		"by_a_list_too_large_for_a_commit": func(_ *testing.T, d desk, _ *bench, worker string) {
			var ids []string
			for range 960_000 / 37 {
				ids = append(ids, task.NewID())
			}
			d.Set(task.WorkerPath(worker), strings.Join(ids, "\n"))
		},
		"by_an_ACL_that_forbids_to_write_it": func(t *testing.T, d desk, b *bench, worker string) {
			d.submit("t1", "wait")
			d.assign(worker, "t1")
			acl := zk.WorldACL(zk.PermRead | zk.PermAdmin)
			if _, err := d.Conn.SetACL(d.full(task.WorkerPath(worker)), acl, -1); err != nil {
				t.Fatal(err)
			}
			b.end("t1", "0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			connect := zktest.Connect(t)
			d, b := newDesk(t, connect), newBench(t)
			host(t, harness.Open(t, connect), 2, b.run)
			before := d.workers(2)
			spoil(t, d, b, before[0])
			zktest.Eventually(t, "another worker in its place", func() (bool, string) {
				now := d.Children(task.WorkersDir)
				gone := true
				for _, w := range now {
					gone = gone && w != before[0]
				}
				return gone && len(now) == 2, fmt.Sprint(now)
			})
			if _, ok := d.Get(task.WorkerPath(before[1])); !ok {
				t.Error("the other slot is gone too")
			}
		})
	}
}
