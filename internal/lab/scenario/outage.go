package scenario

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// outage is what befell some servers of the ensemble.
type outage struct {
	at      time.Time // of the signal
	ended   time.Time // by then the servers had
	servers []*zktest.Server
	led     bool              // one of them led the others
	left    map[string]string // by program: the sessions that had to find another server
}

// all are the servers of the ensemble.
func (p *play) all() []*zktest.Server {
	if p.err != nil || len(p.Servers) == 1 {
		return nil
	}
	return p.Servers
}

// mode is what a server is: "leader" or "follower"; "" while it does not serve.
func mode(s *zktest.Server) string {
	if s == nil { // a scene that has failed
		return ""
	}
	m, _ := s.Mode()
	return m
}

// modes are what all servers are.
func (p *play) modes() string {
	var modes []string
	for _, s := range p.all() {
		modes = append(modes, fmt.Sprintf("%s: %q", p.Name(s), mode(s)))
	}
	return strings.Join(modes, ", ")
}

// busiest is the server with the most sessions among the leader or the followers.
func (p *play) busiest(role string) (busiest *zktest.Server) {
	most := -1
	for _, s := range p.all() {
		if n := len(p.sessions(s)); mode(s) == role && n > most {
			busiest, most = s, n
		}
	}
	if busiest == nil {
		p.fail(fmt.Errorf("no server is a %s; %s", role, p.modes()))
	}
	return busiest
}

// sessions are those that are connected to a server, by program.
func (p *play) sessions(s *zktest.Server) map[string]string {
	ids, err := s.Sessions()
	p.fail(err)
	sessions := make(map[string]string)
	for _, e := range p.logged(did("", "connected")) {
		if slices.Contains(ids, e.Session) {
			sessions[e.From] = e.Session
		}
	}
	return sessions
}

// described is a server, with what it is and whose sessions are with it.
func (p *play) described(s *zktest.Server) string {
	sessions := p.sessions(s)
	who := strings.Join(slices.Sorted(maps.Keys(sessions)), ", ")
	return fmt.Sprintf("%s, %s, sessions with it: %d (%s)", p.Name(s), mode(s), len(sessions), who)
}

// down ends servers by a signal, and waits for their end.
func (p *play) down(sig syscall.Signal, servers ...*zktest.Server) outage {
	o := outage{servers: servers, left: make(map[string]string)}
	for _, s := range p.all() {
		o.led = o.led || slices.Contains(servers, s) && mode(s) == "leader"
	}
	var which []string
	for _, s := range p.all() {
		if slices.Contains(servers, s) {
			which = append(which, p.described(s))
		} else if !o.led { // without a leader nobody serves
			continue
		}
		maps.Copy(o.left, p.sessions(s))
	}
	o.at = time.Now()
	for _, w := range which {
		p.tell(o.at, "", "%s to %s", signals[sig], w)
	}
	for _, s := range servers {
		switch {
		case p.err != nil:
		case sig == syscall.SIGTERM:
			s.Terminate()
		default:
			s.Kill()
		}
	}
	o.ended = time.Now()
	return o
}

// poll waits until something is so of the servers; it fails with what it saw last.
func (p *play) poll(what string, look func() (ok bool, seen string)) (at time.Time) {
	ctx, cancel := context.WithTimeoutCause(p.ctx, p.patience, fmt.Errorf("not within %s", p.patience))
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for p.err == nil {
		ok, seen := look()
		if ok {
			break
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			p.fail(fmt.Errorf("wait until %s: %w; %s", what, context.Cause(ctx), seen))
		}
	}
	return time.Now()
}

// elects waits until a server leads the others, another one than some.
func (p *play) elects(but ...*zktest.Server) moment {
	var leader *zktest.Server
	at := p.poll("a server leads", func() (bool, string) {
		for _, s := range p.all() {
			if !slices.Contains(but, s) && mode(s) == "leader" {
				leader = s
			}
		}
		return leader != nil, p.modes()
	})
	return moment{at, p.Name(leader), "leads the servers"}
}

// election waits until the others have a leader, and tells how long that took.
func (p *play) election(o outage) time.Duration {
	m := p.elects(o.servers...)
	took := m.at.Sub(o.at)
	m.what += fmt.Sprintf(", after %d ms", took.Milliseconds())
	p.tellAll(m)
	return took
}

// recovers waits until work goes on after an outage: the sessions that were left
// have found another server, a task is assigned, and a client has a result. The
// times are since then, the outage or its end.
func (p *play) recovers(o outage, since time.Time, what string, bound time.Duration) {
	next, result := p.hear(since, assigned("")), p.hear(since, did("client", harness.Result))
	story, same := p.again(o.at, o.left)
	p.tellAll(append(story, heard(next), heard(result))...)
	p.check(same == len(o.left), "sessions that went on with another server: %d of %d", same, len(o.left))
	p.within("an assignment "+what, next.Time.Sub(since), bound)
	p.within("a result "+what, result.Time.Sub(since), bound)
}

// again waits until programs are connected again, and counts those that have the
// same session still.
func (p *play) again(since time.Time, sessions map[string]string) (story []moment, same int) {
	for name, session := range sessions {
		e := p.hear(since, did(name, "connected again"))
		if e.Session == session {
			same++
		}
		m := heard(e)
		to := slices.IndexFunc(p.all(), func(s *zktest.Server) bool { return s.Addr() == e.Server })
		m.what += fmt.Sprintf(", to %s, after %d ms", harness.ServerName(to), e.Time.Sub(since).Milliseconds())
		story = append(story, m)
	}
	return story, same
}

// between is how many such lines there were between two moments.
func (p *play) between(from, to time.Time, l line) (n int) {
	for _, e := range p.logged(l) {
		if e.Time.After(from) && e.Time.Before(to) {
			n++
		}
	}
	return n
}

// dark waits until no server serves.
func (p *play) dark(o outage) time.Time {
	at := p.poll("no server serves", func() (bool, string) {
		return !slices.ContainsFunc(p.all(), func(s *zktest.Server) bool { return mode(s) != "" }), p.modes()
	})
	p.tell(at, "", "no server serves, %d ms later", at.Sub(o.at).Milliseconds())
	return at
}

// relaunch starts the servers that are down.
func (p *play) relaunch(servers ...*zktest.Server) (at time.Time) {
	at = time.Now()
	if p.err == nil {
		p.fail(p.Ensemble.Launch())
		for _, s := range servers {
			p.tell(at, p.Name(s), "is started")
		}
	}
	return at
}

// joined waits until servers have joined the others again.
func (p *play) joined(since time.Time, servers ...*zktest.Server) (story []moment) {
	for _, s := range servers {
		at := p.poll(p.Name(s)+" has joined the others", func() (bool, string) { return mode(s) != "", p.modes() })
		what := fmt.Sprintf("has joined the others, as %s, after %d ms", mode(s), at.Sub(since).Milliseconds())
		story = append(story, moment{at, p.Name(s), what})
	}
	return story
}

// up starts a server again, and waits until it has joined the others.
func (p *play) up(s *zktest.Server) { p.tellAll(p.joined(p.relaunch(s), s)...) }

// across checks for how long there was nothing, at most, from an outage until now.
func (p *play) across(o outage, bound time.Duration) {
	now := time.Now()
	p.within("across it, the longest time without an assignment", longest(p.logged(assigned("")), o.at, now), bound)
	p.within("the longest time without a result", longest(p.logged(did("client", harness.Result)), o.at, now), bound)
	var waited time.Duration
	for _, c := range clients {
		waited = max(waited, longest(p.logged(did(c, harness.Result)), o.at, now))
	}
	p.within("the longest time without one for one client", waited, bound)
}

// silent checks that nothing was decided, nor written, in a time that is over.
func (p *play) silent(from, to time.Time) {
	for _, l := range []line{assigned(""), did("worker", "task done"), did("client", harness.Result)} {
		n := p.between(from, to, l)
		p.check(n == 0, "while no server served, %q of a %s: %d", l.msg, l.from, n)
	}
	n := 0
	for _, t := range p.written {
		if t.Time.After(from) && t.Time.Before(to) {
			n++
		}
	}
	p.check(n == 0, "while no server served, transactions in ZooKeeper's own log: %d", n)
}
