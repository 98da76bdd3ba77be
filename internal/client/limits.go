package client

import (
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Check fails when one session may not hold so many tasks of a queue at that address.
func (b Batch) Check(a session.Address, queue string) error {
	id := task.NewSubmitter(queue).NewID()
	return session.CheckEphemeral("window", b.Window, a, task.DataPath(id), task.StatePath(id))
}
