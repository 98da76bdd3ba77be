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

// The other slots of the process go on.
func TestSlotRegistersAnewWhenItsZnodeIsSpoiled(t *testing.T) {
	for name, spoil := range map[string]func(m manual, x *executor, worker string){
		"by_a_list_too_large_for_a_commit": func(m manual, _ *executor, worker string) {
			var ids []string
			for range 960_000 / 37 {
				ids = append(ids, task.NewID())
			}
			m.Set(task.WorkerPath(worker), strings.Join(ids, "\n"))
		},
		"by_an_ACL_that_forbids_to_write_it": func(m manual, x *executor, worker string) {
			m.submit("t1", "wait")
			m.assign(worker, "t1")
			m.SetACL(task.WorkerPath(worker), zk.WorldACL(zk.PermRead|zk.PermAdmin))
			x.end("t1", "0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			connect := zktest.Connect(t)
			m, x := newManual(t, connect), newExecutor(t)
			host(t, harness.Open(t, connect), 2, x.run)
			before := m.workers(2)
			spoil(m, x, before[0])
			zktest.Eventually(t, "another worker in its place", func() (bool, string) {
				now := m.Children(task.WorkersDir)
				gone := true
				for _, w := range now {
					gone = gone && w != before[0]
				}
				return gone && len(now) == 2, fmt.Sprint(now)
			})
			if _, ok := m.Get(task.WorkerPath(before[1])); !ok {
				t.Error("the other slot is gone too")
			}
		})
	}
}
