package scenario

import (
	"strings"
	"syscall"
	"time"
)

func masterFails(p *play) {
	const each = 150
	p.masters()
	p.workers("--slots", "2")
	for _, c := range clients {
		p.submit(c, each, "0.05")
	}
	for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		p.finished(each / 2 * (i + 1))
		leader := p.Leader()
		hit := p.send(leader, sig)
		elected := p.see(hit, did("master", "leader"))
		first := p.see(elected.Time, assigned(""))
		p.check(elected.From != leader && first.From == elected.From, "%s took over", elected.From)
		bound := afterTerm
		if sig == syscall.SIGKILL {
			bound = p.afterKill()
		}
		p.within("the next assignment after "+signals[sig], first.Time.Sub(hit), bound)
		if i == 0 {
			p.start("master-3", "backup")
		}
	}
	for _, c := range clients {
		p.exits(c, 0)
	}
	p.check(p.Results() == 2*each, "results: %d of %d", p.Results(), 2*each)
	p.check(p.Repeated() == 0, "executions begun again: %d", p.Repeated())
}

// masterLags shows what the leader's fence is for. Two things make it certain
// that ZooKeeper refuses for the fence, and for nothing else: the leader stands
// still while its Multi is on the way, and its successor's first assignment is
// held as well, so that whatever the late one is about stays as it was.
func masterLags(p *play) {
	const each = 60
	old, backup := "master-1", "master-2"
	p.proxy(old)
	p.proxy(backup)
	p.service(each)
	p.finished(each / 4)

	p.act("1. It stands still for longer than its session lasts.")
	late := p.hold(old)
	p.caught(late)
	next := p.hold(backup)
	stopped := p.send(old, syscall.SIGSTOP)
	elected := p.see(stopped, did(backup, "leader"))
	p.within("a new leader after SIGSTOP", elected.Time.Sub(stopped), p.afterKill())
	p.caught(next)
	// What remains of the old leader's connection ended with its session. This
	// is how its write could arrive all the same: a ZooKeeper client library may
	// send what it has queued on the session that it opens next.
	p.deliver(late)
	p.unapplied(late)
	next.release()
	first := p.see(elected.Time, assigned(""))
	p.within("work goes on after SIGSTOP", first.Time.Sub(stopped), p.afterKill())
	woken := p.send(old, syscall.SIGCONT)
	p.see(woken, did(old, "starting over with a new session"))
	p.see(woken, did(old, "backup"))

	p.act("2. It stands still for less than that, and leads no more: its candidate is removed.")
	old, backup = backup, old
	late = p.hold(old)
	p.caught(late)
	next = p.hold(backup)
	stopped = p.send(old, syscall.SIGSTOP)
	p.remove(late.candidate)
	p.see(stopped, did(backup, "leader"))
	p.caught(next)
	// The leader waits for this very answer, so it gets it, and before it can
	// read what else has happened: that comes on the same connection.
	late.release()
	p.tell(time.Now(), "", "the late write of %s goes on to ZooKeeper", old)
	woken = p.send(old, syscall.SIGCONT)
	p.within("it stood still, less than the session timeout", woken.Sub(stopped), p.timeout*2/3)
	refused := p.see(woken, did(old, "write refused by ZooKeeper: this master no longer leads"))
	p.check(strings.HasPrefix(refused.Err, "check "+late.candidate), "the leader itself was refused, at operation 0, check %s", brief(late.candidate))
	p.unapplied(late)
	next.release()
	first = p.see(stopped, assigned(""))
	p.check(first.From == backup, "%s leads: its assignments are carried out", backup)
	p.see(woken, did(old, "backup"))
	p.check(p.count(did(old, "starting over")) == 0, "%s has its session still", old)

	for _, c := range clients {
		p.exits(c, 0)
	}
	p.check(p.Results() == 2*each, "results: %d of %d", p.Results(), 2*each)
	r := p.end()
	p.check(len(r.Terms) == 3, "leaders, one after the other: %d", len(r.Terms))
	p.check(r.Fenced == 2, "multis of %s refused because its candidate is gone: %d, the late one and its resignation", old, r.Fenced)
	p.check(r.MostAssigned == 1 && r.Assigned == r.Created, "executions: %d of %d tasks", r.Assigned, r.Created)
}
