package scenario

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"taskkeeper/internal/lab/harness"
)

// step is what the series of a failover counts by.
const step = 100 * time.Millisecond

// masterFailover ends one leader after the other under a steady load, and keeps
// how many tasks were finished meanwhile, and who led.
func masterFailover(p *play) {
	const each = 1100
	p.masters()
	p.start("master-3", "backup")
	p.workers("--slots", "4")
	for _, c := range clients {
		p.submit(c, each, "0.05")
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGSTOP} {
		p.pass(3 * time.Second)
		leader := p.Leader()
		hit := p.send(leader, sig)
		elected := p.see(hit, did("master", "leader"))
		first := p.see(elected.Time, assigned(""))
		bound := p.afterKill()
		if sig == syscall.SIGTERM {
			bound = afterTerm
		}
		p.within("the next assignment after "+signals[sig], first.Time.Sub(hit), bound)
		switch sig {
		case syscall.SIGTERM:
			p.start("master-4", "backup")
		case syscall.SIGSTOP:
			p.pass(time.Second)
			p.send(leader, syscall.SIGCONT)
			p.see(first.Time, did(leader, "backup"))
		}
	}
	for _, c := range clients {
		p.exits(c, 0)
	}
	p.check(p.Results() == 2*each, "results: %d of %d", p.Results(), 2*each)
	p.check(p.Repeated() == 0, "executions begun again: %d", p.Repeated())
	p.end()
	p.series = p.finishedBy()
}

// finishedBy is a line for each step of the run: when it began, how many tasks were
// finished in it by ZooKeeper's own log, who led at its end, and how many results the
// clients had.
func (p *play) finishedBy() string {
	if p.err != nil {
		return ""
	}
	var leaders []string // in the order of their terms
	var results []time.Time
	for _, e := range p.logged(did("", "")) {
		switch {
		case did("master", "leader").is(e):
			leaders = append(leaders, e.From)
		case e.Msg == harness.Result:
			results = append(results, e.Time)
		}
	}
	leading := func(at time.Time) string {
		for i, t := range p.report.Terms {
			if i < len(leaders) && !at.Before(t.Began) && (t.Ended.IsZero() || at.Before(t.Ended)) {
				return leaders[i]
			}
		}
		return ""
	}
	finishes := p.report.Finishes
	var b strings.Builder
	fmt.Fprintln(&b, "ms,finished,leader,results")
	for at := p.began; len(finishes)+len(results) > 0; at = at.Add(step) {
		fmt.Fprintf(&b, "%d,%d,%s,%d\n", at.Sub(p.began).Milliseconds(), take(&finishes, at.Add(step)), leading(at.Add(step)), take(&results, at.Add(step)))
	}
	return b.String()
}

// take removes the times before a moment, and counts them.
func take(times *[]time.Time, before time.Time) (n int) {
	for n < len(*times) && (*times)[n].Before(before) {
		n++
	}
	*times = (*times)[n:]
	return n
}
