package scenario

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"taskkeeper/internal/lab/history"
)

func masterFails(r *run) {
	const each = 150
	r.masters()
	r.workers("--slots", "2")
	r.submitBoth(each, "0.05")
	r.finished(each / 2)
	r.failover(syscall.SIGTERM)
	r.start("master-3", "backup")
	r.finished(each)
	r.failover(syscall.SIGKILL)
	r.served()
	r.check(r.Repeated() == 0, "executions begun again: %d", r.Repeated())
}

// masterFailover ends one leader after the other under a steady load. It keeps how many tasks
// were finished meanwhile, and which master led.
func masterFailover(r *run) {
	r.masters()
	r.start("master-3", "backup")
	r.workers("--slots", "4")
	r.submitBoth(1100, "0.05")
	r.pause(3 * time.Second)
	r.failover(syscall.SIGTERM)
	r.start("master-4", "backup")
	r.pause(3 * time.Second)
	r.failover(syscall.SIGKILL)
	r.pause(3 * time.Second)
	leader := r.failover(syscall.SIGSTOP)
	r.pause(time.Second)
	r.wait(r.signal(leader, syscall.SIGCONT), logs(leader, "backup"))
	r.served()
	r.check(r.Repeated() == 0, "executions begun again: %d", r.Repeated())
	r.series = r.finishes(r.end())
}

// failover stops the leader by a signal, and waits until the next leader assigns a task.
func (r *run) failover(sig syscall.Signal) (leader string) {
	leader = r.Leader()
	hit := r.signal(leader, sig)
	elected := r.wait(hit, logs("master", "leader"))
	first := r.wait(elected.Time, assigned)
	r.check(elected.From != leader && first.From == elected.From, "%s took over", elected.From)
	r.within("the next assignment after "+signals[sig], first.Time.Sub(hit), r.after(sig))
	return leader
}

// finishes is a CSV with a row for each step of the run: when the step began, how many tasks were
// finished in it by ZooKeeper's own log, which master led at its end, and how many results the
// clients had in it.
func (r *run) finishes(report history.Report) string {
	const step = 100 * time.Millisecond
	finished, results, last := make(map[int]int), make(map[int]int), 0
	count := func(in map[int]int, at time.Time) {
		i := int(at.Sub(r.began) / step)
		in[i]++
		last = max(last, i)
	}
	for _, at := range report.Finishes {
		count(finished, at)
	}
	for _, e := range r.logged(r.began, result) {
		count(results, e.Time)
	}
	leaders := r.logged(r.began, logs("master", "leader")) // one for each term
	var b strings.Builder
	fmt.Fprintln(&b, "ms,finished,leader,results")
	for i := range last + 1 {
		leader, end := "", r.began.Add(time.Duration(i+1)*step)
		for i, t := range report.Terms {
			if i < len(leaders) && !end.Before(t.Began) && (t.Ended.IsZero() || end.Before(t.Ended)) {
				leader = leaders[i].From
			}
		}
		fmt.Fprintf(&b, "%d,%d,%s,%d\n", i*int(step.Milliseconds()), finished[i], leader, results[i])
	}
	return b.String()
}
