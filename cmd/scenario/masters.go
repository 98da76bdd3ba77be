package main

import (
	"syscall"
)

func masterFails(p *play) {
	const each = 60
	p.masters()
	p.workers("--slots", "2")
	p.streams(each)
	for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		p.finished(each / 2 * (i + 1))
		leader := p.st.Leader()
		hit := p.send(leader, sig)
		elected := p.see(hit, did("master", "leader"))
		first := p.see(elected.Time, assigned(""))
		p.check(elected.From != leader && first.From == elected.From, "%s took over", elected.From)
		bound := afterTerm
		if sig == syscall.SIGKILL {
			bound = p.afterKill()
		}
		p.within("a new leader after "+signals[sig], elected.Time.Sub(hit), bound)
		p.tell(first.Time, "", "first assignment %d ms after the signal; the tasks under way take up to 200 ms", first.Time.Sub(hit).Milliseconds())
		if i == 0 {
			p.start("master-3", "backup")
		}
	}
	for _, c := range clients {
		p.exits(c, 0)
	}
	p.check(p.st.Results() == 2*each, "results: %d of %d", p.st.Results(), 2*each)
	p.check(p.st.Twice() == 0, "executions begun again: %d", p.st.Twice())
}
