package master

import (
	"testing"

	"taskkeeper/internal/task"
)

// TestLostWatchesCostTenSeconds loses all that a leader's watches tell: it finds new
// tasks, new workers and changed lists all the same.
func TestLostWatchesCostTenSeconds(t *testing.T) {
	t.Parallel()
	h, connect := tree(t)
	s := open(t, connect)
	run(t, s, Config{Retention: -1}) // else /tasks is listed for that as well
	h.CreateEphemeral("/workers/w1", "")
	settled(t, h)
	s.Forget(task.TasksDir, task.WorkersDir, task.WorkersDir+"/")

	submit(h, "t1")
	submit(h, "t2")
	h.CreateEphemeral("/workers/w2", "")
	expect(t, h, "/workers/w1", "t1")
	expect(t, h, "/workers/w2", "t2")
	finish(h, "w2", "t2")
	submit(h, "t3")
	expect(t, h, "/workers/w2", "t3")
}
