package scenario

import (
	"syscall"
	"time"
)

func clientFails(p *play) {
	p.start("master-1", "leader")
	// Before its task is executed: there is no worker yet.
	p.start("client-1", "connected", "run", "1")
	p.tasks(1)
	killed := p.send("client-1", syscall.SIGKILL)
	p.tasks(0)
	p.within("its task has vanished after SIGKILL", time.Since(killed), p.afterKill())
	p.start("worker-1", "registered")
	// While it is executed.
	since := p.submit("client-2", 1, "3600")
	p.executes(since, "worker-1")
	killed = p.send("client-2", syscall.SIGKILL)
	ended := p.see(killed, did("worker-1", "task was taken away, cancelling it"))
	p.within("the execution was cancelled after SIGKILL", ended.Time.Sub(killed), p.afterKill())
	// The worker is free for others.
	p.submit("client-3", 1, "0.1")
	p.exits("client-3", 0)
	p.check(p.Results() == 1, "another client has its result from the same worker")
}
