package scenario

import (
	"fmt"
	"syscall"
	"time"
)

func workerFails(r *run) {
	r.start("master-1", "leader")
	r.start("worker-1", "registered")
	// Before it executes: the worker is dead when the task comes.
	r.signal("worker-1", syscall.SIGKILL)
	submitted := r.submit("client-1", 1, "0.5")
	r.wait(submitted, logs("master", "worker gone, its tasks are free again"))
	r.start("worker-2", "registered")
	r.wait(submitted, logs("worker-2", "task done"))
	r.exits("client-1", 0)
	r.check(r.Results() == 1, "the client has its result, after the worker came back")

	// While it executes.
	begun := r.executes(r.submit("client-2", 1, "1"), "worker-2")
	killed := r.signal("worker-2", syscall.SIGKILL)
	r.start("worker-3", "registered")
	r.timed("the task was assigned again", syscall.SIGKILL, killed, assigned.of(begun.Task))
	r.exits("client-2", 0)
	r.check(r.Results() == 2, "both tasks have one result each")
}

func oneOfTwoWorkersFails(r *run) {
	r.start("master-1", "leader")
	r.workers()
	for i, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		client := fmt.Sprintf("client-%d", i+1)
		begun := r.executes(r.submit(client, 1, "1"), "worker")
		hit := r.signal(begun.From, sig)
		r.timed("the task was assigned to the other worker", sig, hit, assigned.of(begun.Task))
		r.wait(hit, logs("worker", "task done").of(begun.Task))
		r.exits(client, 0)
		r.start(fmt.Sprintf("worker-%d", i+3), "registered")
	}
	r.check(r.Results() == 2, "both tasks have one result each")
}

func compete(r *run) {
	const each = 20
	r.start("master-1", "leader")
	r.workers()
	began := time.Now()
	r.submitBoth(each, "0.1")
	r.served()
	took := time.Since(began)
	r.end()
	one, two := r.count(logs("worker-1", "task done")), r.count(logs("worker-2", "task done"))
	r.check(one+two == 2*each, "tasks executed: %d by worker-1, %d by worker-2", one, two)
	r.check(one >= each/2 && two >= each/2, "both workers had a good share")
	r.check(r.Repeated() == 0, "executions begun again: %d", r.Repeated())
	r.check(took < each*2*100*time.Millisecond, "both worked at the same time: %d ms for %d tasks of 100 ms", took.Milliseconds(), 2*each)
}

func workerLags(r *run) {
	const long = 6 * time.Second // the worker wakes up in the middle of it
	r.start("master-1", "leader")
	r.workers()
	begun := r.executes(r.submit("client-1", 1, fmt.Sprint(long.Seconds())), "worker")
	paused, task := begun.From, begun.Task
	stopped := r.signal(paused, syscall.SIGSTOP)
	r.timed("the task was assigned to the other worker", syscall.SIGSTOP, stopped, assigned.of(task))
	r.wait(stopped, logs("worker", "task started").of(task))

	woken := r.signal(paused, syscall.SIGCONT)
	r.wait(woken, logs(paused, startingOver))
	anew := r.wait(woken, logs(paused, "registered"))
	r.check(anew.Time.Before(begun.Time.Add(long)), "its execution was cancelled: it registered anew %d ms after it had begun to execute for %d ms",
		anew.Time.Sub(begun.Time).Milliseconds(), long.Milliseconds())
	r.wait(woken, logs("worker", "task done").of(task))
	r.exits("client-1", 0)
	r.check(r.count(logs(paused, "task done")) == 0, "%s has finished nothing", paused)

	r.submit("client-2", 2, "0.5")
	r.exits("client-2", 0)
	report := r.end()
	r.check(r.count(logs(paused, "task done")) == 1, "it executes again, as the other one does")
	r.check(r.Results() == 3 && report.Done == 3, "one result of each task")
	r.check(report.Losses == 1, "losses counted: %d", report.Losses)
}

func workerRestarts(r *run) {
	const restarts = 5
	r.start("master-1", "leader", "--max-losses", "3")
	r.start("worker-1", "registered")
	task := r.executes(r.submit("client-1", 1, "2"), "worker-1").Task
	for i := range restarts {
		old, next := fmt.Sprintf("worker-%d", i+1), fmt.Sprintf("worker-%d", i+2)
		r.pause(500 * time.Millisecond)
		left := r.signal(old, syscall.SIGTERM)
		r.exits(old, 0)
		ready := r.start(next, "registered")
		again := r.wait(left, assigned.of(task))
		r.within("assigned to "+next+" after it registered", again.Time.Sub(ready.Time), afterTerm)
		r.wait(left, logs(next, "task started"))
	}
	r.exits("client-1", 0)
	r.check(r.Results() == 1, "the client has its result")
	report := r.end()
	r.check(report.GivenBack == restarts && report.Assigned == 1+restarts, "given back %d times, assigned %d times", report.GivenBack, report.Assigned)
	r.check(report.Losses == 0 && report.Failed == 0, "losses counted: %d, at most 2 without failing it", report.Losses)
}

func workerPoison(r *run) {
	const losses = 3
	r.start("master-1", "leader", "--max-losses", fmt.Sprint(losses))
	r.start("worker-1", "registered")
	task := r.executes(r.submit("client-1", 1, "3600"), "worker-1").Task
	killed := r.signal("worker-1", syscall.SIGKILL)
	for n := 2; n <= losses; n++ {
		worker := fmt.Sprintf("worker-%d", n)
		r.start(worker, "registered")
		r.timed("the task was assigned again", syscall.SIGKILL, killed, assigned.of(task))
		r.wait(killed, logs(worker, "task started").of(task))
		killed = r.signal(worker, syscall.SIGKILL)
	}
	r.timed("the task failed", syscall.SIGKILL, killed, logs("master-1", "task failed").of(task))
	r.wait(killed, logs("client-1", `payload "3600": failed: lost with 3 workers`))
	r.exits("client-1", 1)
	r.check(r.Results() == 0, "the client says so, and ends with status 1")

	r.start("worker-4", "registered")
	r.submit("client-2", 1, "0.1")
	r.exits("client-2", 0)
	r.check(r.Results() == 1, "the next worker executes another task")
	report := r.end()
	r.check(report.Losses == losses && report.Failed == 1 && report.Done == 1, "losses counted: %d; tasks failed: %d", report.Losses, report.Failed)
}
