package scenario

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
	p.check(p.Results() == 1, "the client has its result, after the worker came back")

	// While it executes.
	begun := p.executes(p.submit("client-2", 1, "1"), "worker-2")
	killed := p.send("worker-2", syscall.SIGKILL)
	p.start("worker-3", "registered")
	again := p.see(killed, assigned(begun.Task))
	p.exits("client-2", 0)
	p.within("the task was assigned again after SIGKILL", again.Time.Sub(killed), p.afterKill())
	p.check(p.Results() == 2, "both tasks have one result each")
}

func oneOfTwoWorkersFails(p *play) {
	p.start("master-1", "leader")
	p.workers()
	for i, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		client := fmt.Sprintf("client-%d", i+1)
		begun := p.executes(p.submit(client, 1, "1"), "worker")
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
	p.check(p.Results() == 2, "both tasks have one result each")
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
	p.told(did("worker", "task done"), 2*each)
	one, two := p.count(did("worker-1", "task done")), p.count(did("worker-2", "task done"))
	p.check(one+two == 2*each, "tasks executed: %d by worker-1, %d by worker-2", one, two)
	p.check(one >= each/2 && two >= each/2, "both workers had a good share")
	p.check(p.Repeated() == 0, "executions begun again: %d", p.Repeated())
	p.check(p.Results() == 2*each, "results: %d of %d", p.Results(), 2*each)
	p.check(took < each*2*100*time.Millisecond, "both worked at the same time: %d ms for %d tasks of 100 ms", took.Milliseconds(), 2*each)
}

func workerLags(p *play) {
	const long = 6 * time.Second // the worker wakes up in the middle of it
	p.start("master-1", "leader")
	p.workers()
	begun := p.executes(p.submit("client-1", 1, fmt.Sprint(long.Seconds())), "worker")
	zombie, task := begun.From, begun.Task
	stopped := p.send(zombie, syscall.SIGSTOP)
	again := p.see(stopped, assigned(task))
	p.within("the task was assigned to the other worker after SIGSTOP", again.Time.Sub(stopped), p.afterKill())
	p.see(stopped, did("worker", "task started").of(task))

	woken := p.send(zombie, syscall.SIGCONT)
	p.see(woken, did(zombie, "starting over with a new session"))
	anew := p.see(woken, did(zombie, "registered"))
	p.check(anew.Time.Before(begun.Time.Add(long)), "its execution was cancelled: it registered anew %d ms after it had begun to execute for %d ms",
		anew.Time.Sub(begun.Time).Milliseconds(), long.Milliseconds())
	p.see(woken, did("worker", "task done").of(task))
	p.exits("client-1", 0)
	p.check(p.count(did(zombie, "task done")) == 0, "%s has finished nothing", zombie)

	p.submit("client-2", 2, "0.5")
	p.exits("client-2", 0)
	p.told(did("worker", "task done"), 3)
	p.check(p.count(did(zombie, "task done")) == 1, "it executes again, as the other one does")
	r := p.end()
	p.check(p.Results() == 3 && r.Done == 3, "one result of each task")
	p.check(r.Losses == 1, "losses counted: %d", r.Losses)
}

func workerRestarts(p *play) {
	const restarts = 5
	p.start("master-1", "leader", "--max-losses", "3")
	p.start("worker-1", "registered")
	begun := p.executes(p.submit("client-1", 1, "2"), "worker-1")
	for i := range restarts {
		old, next := fmt.Sprintf("worker-%d", i+1), fmt.Sprintf("worker-%d", i+2)
		p.pass(500 * time.Millisecond)
		left := p.send(old, syscall.SIGTERM)
		p.exits(old, 0)
		ready := p.start(next, "registered")
		again := p.see(left, assigned(begun.Task))
		p.within("assigned to "+next+" after it registered", again.Time.Sub(ready.Time), afterTerm)
		p.see(left, did(next, "task started"))
	}
	p.exits("client-1", 0)
	p.check(p.Results() == 1, "the client has its result")
	r := p.end()
	p.check(r.GivenBack == restarts && r.Assigned == 1+restarts, "given back %d times, assigned %d times", r.GivenBack, r.Assigned)
	p.check(r.Losses == 0 && r.Failed == 0, "losses counted: %d, at most 2 without failing it", r.Losses)
}

func workerPoison(p *play) {
	const losses = 3
	p.start("master-1", "leader", "--max-losses", fmt.Sprint(losses))
	var killed time.Time
	var task string
	for i := range losses {
		worker := fmt.Sprintf("worker-%d", i+1)
		p.start(worker, "registered")
		if i == 0 {
			task = p.executes(p.submit("client-1", 1, "3600"), worker).Task
		} else {
			again := p.see(killed, assigned(task))
			p.within("the task was assigned again after SIGKILL", again.Time.Sub(killed), p.afterKill())
			p.see(killed, did(worker, "task started").of(task))
		}
		killed = p.send(worker, syscall.SIGKILL)
	}
	failed := p.see(killed, did("master-1", "task failed").of(task))
	p.within("the task failed after the last SIGKILL", failed.Time.Sub(killed), p.afterKill())
	p.see(killed, did("client-1", `payload "3600": failed: lost with 3 workers`))
	p.exits("client-1", 1)
	p.check(p.Results() == 0, "the client says so, and ends with status 1")

	p.start("worker-4", "registered")
	p.submit("client-2", 1, "0.1")
	p.exits("client-2", 0)
	p.check(p.Results() == 1, "the next worker executes another task")
	r := p.end()
	p.check(r.Losses == losses && r.Failed == 1 && r.Done == 1, "losses counted: %d; tasks failed: %d", r.Losses, r.Failed)
}
