package client

import (
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Check fails when one session may not hold so many tasks at that address.
func (b Batch) Check(a session.Address) error {
	id := task.NewID()
	return session.CheckEphemeral("window", b.Window, a, task.DataPath(id), task.StatePath(id))
}
