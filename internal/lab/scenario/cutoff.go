package scenario

import (
	"fmt"
	"time"
)

// longTasks has a task longer than both outages on each of two workers: one cancels
// it when it is cut off for the session timeout, the other lets it run on.
func longTasks(p *play) {
	const long = 40 * time.Second
	p.start("master-1", "leader")
	p.start("worker-1", "registered")
	p.start("worker-2", "registered", "--cut-off", "continue")
	began := p.submit("client-1", 2, fmt.Sprint(long.Seconds()))
	p.bothSay(began, "task started")

	p.away(0)
	p.check(p.count(did("worker", "cut off")) == 0 && p.Repeated() == 0, "a shorter outage cancels nothing: executions begun again: %d", p.Repeated())

	p.see(p.away(p.timeout+serverTick), did("worker-1", "task started"))
	p.exits("client-1", 0)
	p.told(did("worker", "task done"), 2)
	p.check(p.count(did("worker-1", "cut off")) == 1 && p.count(did("worker-2", "cut off")) == 1, "each was cut off once")
	p.check(p.count(did("worker-1", "task started")) == 2, "executions begun by worker-1, which cancels: %d", p.count(did("worker-1", "task started")))
	p.check(p.count(did("worker-2", "task started")) == 1, "executions begun by worker-2, which lets it run on: %d", p.count(did("worker-2", "task started")))
	p.check(p.Results() == 2, "results: %d of 2", p.Results())
	r := p.end()
	p.check(r.Expired == 0 && r.Losses == 0, "sessions that expired: %d, losses counted: %d", r.Expired, r.Losses)
	p.check(r.Created == 2 && r.Assigned == 2, "tasks submitted: %d, assigned: %d times", r.Created, r.Assigned)
}

// bothSay waits until both workers have logged a line, and tells both.
func (p *play) bothSay(since time.Time, msg string) {
	p.tellAll(heard(p.hear(since, did("worker-1", msg))), heard(p.hear(since, did("worker-2", msg))))
}

// away kills the only server and starts it again, at once, or after the workers have
// noticed that it is away for the session timeout. It returns when they had, or when
// the server was killed.
func (p *play) away(longer time.Duration) (noticed time.Time) {
	gone := time.Now()
	noticed = gone
	if p.err == nil {
		p.Servers[0].Kill()
	}
	p.tell(gone, "", "SIGKILL to the ZooKeeper server")
	p.see(gone, did("worker", "connection lost"))
	if longer > 0 {
		p.bothSay(gone, "cut off")
		noticed = time.Now()
		p.pass(longer - time.Since(gone))
	}
	p.restart()
	back := time.Now()
	than := "less"
	if longer > 0 {
		than = "more"
	}
	p.tell(back, "", "the server serves again, after %d ms: %s than the session timeout", back.Sub(gone).Milliseconds(), than)
	if longer == 0 { // a worker may have last heard the server a third of the timeout before
		p.check(back.Sub(gone) < p.timeout*2/3, "that is less than two thirds of it")
	}
	for _, w := range []string{"worker-1", "worker-2"} {
		p.hear(gone, did(w, "connected again"))
	}
	return noticed
}
