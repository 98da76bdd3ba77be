package scenario

import (
	"slices"
	"time"

	"taskkeeper/internal/lab/harness"
)

// afterReturn is how long it may take until work resumes when a server is
// back, or another one is there: clients dial twice a second.
const afterReturn = 3 * time.Second

func serverFails(p *play) {
	const each = 60
	p.service(each)
	var back time.Time
	// Away for as long as a server takes to start, then for three timeouts more.
	for i, longer := range []time.Duration{0, 3 * p.timeout} {
		p.finished(each / 2 * (i + 1))
		gone := time.Now()
		p.Servers[0].Kill()
		p.tell(gone, "", "SIGKILL to the ZooKeeper server")
		p.see(gone, did("master", "connection lost"))
		p.pass(longer)
		p.restart()
		back = time.Now()
		than := "less"
		if back.Sub(gone) > p.timeout {
			than = "more"
		}
		p.tell(back, "", "the server serves again, after %d ms: %s than the session timeout", back.Sub(gone).Milliseconds(), than)
		p.resumes(back, "after its return")
	}
	p.served(each)
	p.steady(back)
	p.unharmed(each)
}

// served waits until both clients of a service have all their results.
func (p *play) served(each int) {
	for _, c := range clients {
		p.exits(c, 0)
	}
	p.check(p.Results() == 2*each, "results: %d of %d", p.Results(), 2*each)
}

// unharmed checks that what befell the servers has cost no session, and so
// nothing else either.
func (p *play) unharmed(each int) {
	r := p.end()
	p.check(r.Expired == 0, "sessions that expired: %d", r.Expired)
	p.check(len(r.Terms) == 1, "leaders: %d", len(r.Terms))
	p.check(r.Workers == 4 && r.WorkersLost == 0, "workers registered: %d, 2 by each program", r.Workers)
	p.check(r.Created == 2*each && r.Assigned == r.Created && p.Repeated() == 0, "tasks submitted: %d; executions: %d", r.Created, r.Assigned)
}

func serverFreezes(p *play) {
	const each = 40
	p.service(each)
	p.finished(each / 2)
	frozen := time.Now()
	p.Servers[0].Pause()
	p.tell(frozen, "", "SIGSTOP to the ZooKeeper server")
	p.see(frozen, did("master", "connection lost"))
	p.pass(2 * p.timeout)
	woken := time.Now()
	p.Servers[0].Resume()
	p.tell(woken, "", "SIGCONT to the ZooKeeper server, after %d ms", woken.Sub(frozen).Milliseconds())
	p.resumes(woken, "after SIGCONT")
	for _, c := range clients {
		p.exits(c, 0)
	}
	p.steady(woken)
	p.check(p.Results() == 2*each, "results: %d of %d; both clients ended with status 0", p.Results(), 2*each)
	anew := p.count(did("", "starting over with a new session"))
	p.tell(time.Now(), "", "sessions that expired: %d of 6", anew)
	r := p.end()
	p.check(r.Expired == anew, "each of the %d whose session expired started over", r.Expired)
	p.check(r.Losses == 0, "losses counted: %d, of %d tasks whose workers vanished", r.Losses, r.Orphans)
}

func (p *play) restart() {
	if p.err == nil {
		p.fail(p.Servers[0].Restart())
	}
}

// resumes waits until work goes on: a task is assigned, and one is finished.
func (p *play) resumes(since time.Time, what string) {
	results := p.Results()
	next := p.see(since, assigned(""))
	p.within("an assignment "+what, next.Time.Sub(since), afterReturn)
	p.finished(results + 1)
	p.within("a result "+what, time.Since(since), afterReturn)
}

// steady checks that work went on without a break, once it did.
func (p *play) steady(since time.Time) {
	const most = 2 * time.Second
	went := slices.DeleteFunc(p.logged(assigned("")), func(e harness.Event) bool { return e.Time.Before(since) })
	p.within("the longest time without an assignment from then on", longest(went, since, time.Now()), most)
}

// longest is the longest time between two events, from the last one before
// since to the first one after until.
func longest(events []harness.Event, since, until time.Time) (longest time.Duration) {
	for i, e := range events {
		if i == 0 || e.Time.Before(since) {
			continue
		}
		longest = max(longest, e.Time.Sub(events[i-1].Time))
		if e.Time.After(until) {
			break
		}
	}
	return longest
}
