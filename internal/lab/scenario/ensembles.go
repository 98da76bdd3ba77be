package scenario

import (
	"syscall"
	"time"
)

func followerFails(p *play) {
	const each = 150
	p.service(each)
	p.finished(each / 2)
	follower := p.busiest("follower")
	o := p.down(syscall.SIGKILL, follower)
	p.recovers(o, o.ended, "after SIGKILL", afterReturn)
	lost := p.between(o.at, time.Now(), did("", "connection lost"))
	p.check(lost == len(o.left), "connections lost: %d, no others", lost)
	p.more(each / 4) // which it has to catch up with
	p.up(follower)
	p.more(each / 4)
	p.across(o, afterReturn)
	p.served(each)
	p.unharmed(each)
}

func leaderFails(p *play) {
	const each = 150
	p.service(each)
	p.finished(each / 2)
	leader := p.busiest("leader")
	o := p.down(syscall.SIGKILL, leader)
	bound := p.election(o) + p.timeout
	p.recovers(o, o.ended, "after SIGKILL", bound)
	p.more(each / 4)
	p.up(leader)
	p.more(each / 4)
	p.across(o, bound)
	p.served(each)
	p.unharmed(each)
}

func quorumLost(p *play) {
	const each = 80
	p.service(each)
	p.finished(each)
	o := p.down(syscall.SIGKILL, p.busiest("leader"), p.busiest("follower"))
	dark := p.dark(o)
	p.pass(2 * p.timeout)
	start := p.relaunch(o.servers...)
	p.check(start.Sub(dark) > p.timeout, "no server has served for %d ms, more than the session timeout", start.Sub(dark).Milliseconds())
	back := p.elects()
	p.tellAll(back)
	p.recovers(o, back.at, "after that", afterReturn)
	p.tellAll(p.joined(start, o.servers...)...)
	p.served(each)
	p.steady(back.at)
	p.unharmed(each)
	p.silent(dark, start)
}

func rollingRestart(p *play) {
	each := 150
	if p.tls {
		each = 300 // a server with TLS takes some five seconds to start
	}
	p.service(each)
	p.more(each / 5)
	for i, server := range p.all() {
		p.act("%d. %s is restarted.", i+1, p.Name(server))
		bound := afterReturn
		o := p.down(syscall.SIGTERM, server)
		if o.led {
			bound = p.election(o) + p.timeout
		}
		p.recovers(o, o.ended, "after its end", bound)
		p.up(server)
		p.more(each / 5)
		p.across(o, bound)
	}
	p.act("All servers are restarted.")
	p.served(each)
	p.unharmed(each)
}
