package client

import (
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Check fails when one session at that address cannot hold as many tasks of the queue as
// Window or Jobs allow.
func (b Batch) Check(a session.Address, queue string) error {
	n := b.Window
	if b.Jobs > 0 {
		n = min(n, b.Jobs)
	}
	id := task.NewSubmitter(queue).NewID()
	return session.CheckEphemeral("window", n, a, task.DataPath(id), task.StatePath(id))
}
