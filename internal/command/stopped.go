package command

import (
	"context"
	"os"
	"syscall"
	"time"

	"taskkeeper/internal/task"
)

// look is how often a supervisor is looked at.
const look = time.Second

// watch warns once when the supervisor of an execution is stopped, as the command can
// do: it tells nothing then. One that is stopped again, and still, after ctx has ended
// is killed, and the command with it. The caller ends watch before it waits for the
// supervisor, whose number is its own until then.
func (c *Command) watch(ctx context.Context, e task.Execution, supervisor *os.Process, end <-chan struct{}) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	warned, late := false, 0
	for {
		select {
		case <-end:
			return
		case <-ticker.C:
		}
		switch {
		case !isStopped(supervisor.Pid):
		case ctx.Err() != nil:
			if late++; late > 1 { // it has got SIGCONT
				_ = supervisor.Signal(syscall.SIGKILL)
			}
		case !warned:
			warned = true
			c.cfg.Logger.Warn("the command's supervisor is stopped, so the command counts as running; kill -CONT continues it",
				"task", e.Task, "worker", e.Worker, "pid", supervisor.Pid)
		}
	}
}
