package scenario

import (
	"fmt"
	"syscall"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
)

// startingOver is what a program logs whose session has ended.
const startingOver = "starting over with a new session"

// steadyBound is how long work may stand still once it has resumed.
const steadyBound = 2 * time.Second

func serverFails(r *run) {
	const each = 60
	r.service(each)
	var next time.Time
	// The server is away for as long as it takes to start, and then for three timeouts more.
	for i, longer := range []time.Duration{0, 3 * r.timeout} {
		r.finished(each / 2 * (i + 1))
		_, back := r.away(syscall.SIGKILL, longer)
		next = r.resumes(back, "after its return", afterReturn).Time
	}
	r.served()
	r.gap("the longest time without an assignment from then on", next, assigned, steadyBound)
	r.unharmed()
}

func serverFreezes(r *run) {
	r.service(40)
	r.finished(20)
	// A server that goes on may read the programs' packets before it ends their sessions. So it
	// stands still again until a client's session has expired.
	const most = 5
	var next harness.Event
	for n := 0; n < most && r.count(logs("client", startingOver)) == 0; n++ {
		_, woken := r.away(syscall.SIGSTOP, 2*r.timeout)
		next = r.resumes(woken, "after SIGCONT", afterReturn)
	}
	r.served()
	r.gap("the longest time without an assignment from then on", next.Time, assigned, steadyBound)
	anew := r.count(logs("", startingOver))
	r.note(time.Now(), "", "sessions that expired: %d", anew)
	report := r.end()
	r.check(report.Expired == anew, "each of the %d whose session expired started over", report.Expired)
	r.check(report.Losses == 0, "losses counted: %d, of %d tasks whose workers vanished", report.Losses, report.Orphans)
}

// longTasks has a task that is longer than both outages on each of two workers. One worker cancels
// its task when it is cut off for the session timeout, the other lets its task run on.
func longTasks(r *run) {
	const long = 40 * time.Second
	workers := []string{"worker-1", "worker-2"}
	r.start("master-1", "leader")
	r.start(workers[0], "registered")
	r.start(workers[1], "registered", "--cut-off", "continue")
	began := r.submit("client-1", 2, fmt.Sprint(long.Seconds()))
	r.waitEach(began, workers, "task started")

	gone, back := r.away(syscall.SIGKILL, 0)
	r.waitEach(gone, workers, "connected again")
	// A worker may have heard the server for the last time a third of the timeout before.
	r.check(back.Sub(gone) < r.timeout*2/3, "that is less than two thirds of it")
	r.check(r.count(logs("worker", "cut off")) == 0 && r.Repeated() == 0, "a shorter outage cancels nothing: executions begun again: %d", r.Repeated())

	gone, _ = r.away(syscall.SIGKILL, r.timeout+r.tick)
	r.waitEach(gone, workers, "cut off")
	r.wait(gone, logs("worker-1", "task started"))
	r.exits("client-1", 0)
	report := r.end()
	r.check(r.count(logs("worker-1", "cut off")) == 1 && r.count(logs("worker-2", "cut off")) == 1, "each was cut off once")
	begun := r.count(logs("worker-1", "task started"))
	r.check(begun == 2, "executions begun by worker-1, which cancels: %d", begun)
	begun = r.count(logs("worker-2", "task started"))
	r.check(begun == 1, "executions begun by worker-2, which lets it run on: %d", begun)
	r.check(r.Results() == 2, "results: %d of 2", r.Results())
	r.check(report.Expired == 0 && report.Losses == 0, "sessions that expired: %d, losses counted: %d", report.Expired, report.Losses)
	r.check(report.Created == 2 && report.Assigned == 2, "tasks submitted: %d, assigned: %d times", report.Created, report.Assigned)
}

// away kills or freezes the only server by a signal. After a while, and not before a program has
// noticed, the server serves again.
func (r *run) away(sig syscall.Signal, while time.Duration) (gone, back time.Time) {
	server, again := r.Servers[0], r.Servers[0].Restart
	gone = time.Now()
	if sig == syscall.SIGKILL {
		server.Kill()
	} else {
		server.Pause()
		again = func() error { server.Resume(); return nil }
	}
	r.note(gone, "", "%s to the ZooKeeper server", signals[sig])
	r.wait(gone, logs("", "connection lost"))
	r.pause(while)
	r.must(again())
	back = time.Now()
	than := "less"
	if back.Sub(gone) > r.timeout {
		than = "more"
	}
	r.note(back, "", "the server serves again, after %d ms: %s than the session timeout", back.Sub(gone).Milliseconds(), than)
	return gone, back
}

// unharmed ends the run, and checks that what happened to the servers has cost no session, and so
// nothing else either.
func (r *run) unharmed() {
	report := r.end()
	r.check(report.Expired == 0, "sessions that expired: %d", report.Expired)
	r.check(len(report.Terms) == 1, "leaders: %d", len(report.Terms))
	r.allOnce(report)
}

// allOnce checks that each worker registered once, and each task was executed once.
func (r *run) allOnce(report history.Report) {
	r.check(report.Workers == 4 && report.WorkersLost == 0, "workers registered: %d, 2 by each program", report.Workers)
	r.check(report.Created == r.submitted && report.Assigned == report.Created && r.Repeated() == 0, "tasks submitted: %d; executions: %d", report.Created, report.Assigned)
}
