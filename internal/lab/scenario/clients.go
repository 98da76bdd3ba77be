package scenario

import (
	"syscall"
	"time"
)

func clientFails(r *run) {
	r.start("master-1", "leader")
	// Before its task is executed: there is no worker yet.
	r.start("client-1", "connected", "run", "1")
	r.tasks(1)
	killed := r.signal("client-1", syscall.SIGKILL)
	r.tasks(0)
	r.within("its task has vanished after SIGKILL", time.Since(killed), r.after(syscall.SIGKILL))
	r.start("worker-1", "registered")
	// While its task is executed.
	r.executes(r.submit("client-2", 1, "3600"), "worker-1")
	killed = r.signal("client-2", syscall.SIGKILL)
	r.timed("the worker is told to cancel the execution", syscall.SIGKILL, killed, logs("worker-1", "task was taken away, cancelling it"))
	// The worker is free for others.
	r.submit("client-3", 1, "0.1")
	r.exits("client-3", 0)
	r.check(r.Results() == 1, "another client has its result from the same worker")
}
