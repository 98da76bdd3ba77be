package main

import (
	"fmt"
	"syscall"
	"time"
)

func workerFails(p *play) {
	p.start("master-1", "leader")
	p.start("worker-1", "registered")
	// Before it executes: it is dead when the task comes.
	p.send("worker-1", syscall.SIGKILL)
	submitted := p.submit("client-1", 1, "0.5")
	p.see(submitted, did("master", "worker gone, its tasks are free again"))
	p.start("worker-2", "registered")
	p.see(submitted, did("worker-2", "task done"))
	p.exits("client-1", 0)
	p.check(p.st.Results() == 1, "the client has its result, after the worker came back")

	// While it executes.
	begun := p.see(p.submit("client-2", 1, "1"), did("worker-2", "task started"))
	killed := p.send("worker-2", syscall.SIGKILL)
	p.start("worker-3", "registered")
	again := p.see(killed, assigned(begun.Task))
	p.exits("client-2", 0)
	p.within("the task was assigned again after SIGKILL", again.Time.Sub(killed), p.afterKill())
	p.check(p.st.Results() == 2, "both tasks have one result each")
}

func oneOfTwoWorkersFails(p *play) {
	p.start("master-1", "leader")
	p.workers()
	for i, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		client := fmt.Sprintf("client-%d", i+1)
		begun := p.see(p.submit(client, 1, "1"), did("worker", "task started"))
		hit := p.send(begun.From, sig)
		again := p.see(hit, assigned(begun.Task))
		p.see(hit, did("worker", "task done").of(begun.Task))
		p.exits(client, 0)
		bound := p.afterKill()
		if sig == syscall.SIGTERM {
			bound = afterTerm
		}
		p.within("the task was assigned to the other worker after "+signals[sig], again.Time.Sub(hit), bound)
		p.start(fmt.Sprintf("worker-%d", i+3), "registered")
	}
	p.check(p.st.Results() == 2, "both tasks have one result each")
}

func compete(p *play) {
	const each = 20
	p.start("master-1", "leader")
	p.workers()
	began := time.Now()
	for _, c := range clients {
		p.submit(c, each, "0.1")
	}
	for _, c := range clients {
		p.exits(c, 0)
		p.tell(time.Now(), c, "has all its results")
	}
	took := time.Since(began)
	one, two := p.count(did("worker-1", "task done")), p.count(did("worker-2", "task done"))
	p.check(one+two == 2*each, "tasks executed: %d by worker-1, %d by worker-2", one, two)
	p.check(one >= each/2 && two >= each/2, "both workers had a good share")
	p.check(p.st.Twice() == 0, "executions begun again: %d", p.st.Twice())
	p.check(p.st.Results() == 2*each, "results: %d of %d", p.st.Results(), 2*each)
	p.check(took < each*2*100*time.Millisecond, "both worked at the same time: %d ms for %d tasks of 100 ms", took.Milliseconds(), 2*each)
}
