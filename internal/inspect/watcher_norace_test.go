//go:build !race

package inspect

import (
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestReconnectWatcher(t *testing.T) {
	t.Run("reads_all_again", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		dirs(h)
		h.Create(task.StatePath("a"), "pending")
		h.Create(task.StatePath("b"), "pending")
		proxy, through := zktest.Via(t, connect)
		s := harness.Open(t, connect, noCreate)
		w := NewWatcher(harness.Open(t, through, noCreate))
		sameAsRead(t, w, s)
		proxy.Refuse(true)
		h.Set(task.StatePath("a"), "done")
		h.Delete(task.StatePath("b"))
		proxy.Refuse(false)
		sameAsRead(t, w, s)
		h.Set(task.StatePath("a"), "failed") // the watches are set anew
		sameAsRead(t, w, s)
	})
	t.Run("reads_all_each_time_where_the_servers_know_no_persistent_watch", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		dirs(h)
		h.Create(task.StatePath("a"), "pending")
		proxy, through := zktest.Via(t, connect)
		proxy.Unknown(zktest.OpAddWatch)
		s := harness.Open(t, connect, noCreate)
		w := NewWatcher(harness.Open(t, through, noCreate))
		for _, state := range []string{"pending 1", "pending 2", "done"} {
			h.Set(task.StatePath("a"), state)
			sameAsRead(t, w, s)
		}
	})
}
