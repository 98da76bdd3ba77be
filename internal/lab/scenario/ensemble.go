package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/lab/zktest"
)

func followerFails(r *run) { oneServerFails(r, "follower") }

func leaderFails(r *run) { oneServerFails(r, "leader") }

func oneServerFails(r *run, mode string) {
	const each = 150
	r.service(each)
	r.finished(each / 2)
	r.outage(r.busiest(mode), syscall.SIGKILL, each/4)
	r.served()
	r.unharmed()
}

func rollingRestart(r *run) {
	each := 150
	if r.tls {
		each = 300 // a server with TLS takes some five seconds to start
	}
	r.service(each)
	r.more(each / 5)
	for i, server := range r.Servers {
		r.section("%d. %s is restarted.", i+1, r.Name(server))
		r.outage(server, syscall.SIGTERM, each/10)
	}
	r.section("All servers are restarted.")
	r.served()
	r.unharmed()
}

// outage ends a server by a signal, and starts the server again when work goes on without it. So
// many tasks at least are finished without the server, and as many after its return.
func (r *run) outage(server *zktest.Server, sig syscall.Signal, tasks int) {
	bound := afterReturn
	d := r.down(sig, server)
	if d.led {
		led, at := r.elects(server)
		took := at.Sub(d.at)
		r.note(at, r.Name(led), "leads the servers, after %d ms", took.Milliseconds())
		bound = took + r.timeout
	}
	r.recovers(d, d.ended, "after "+signals[sig], bound)
	if !d.led {
		lost := len(r.logged(d.at, logs("", "connection lost")))
		r.check(lost == len(d.sessions), "connections lost: %d, no others", lost)
	}
	r.more(tasks) // which the server has to catch up with
	r.joins(r.launchServers(server), server)
	r.more(tasks)
	r.gap("across it, the longest time without an assignment", d.at, assigned, bound)
	for _, c := range bothClients {
		r.gap("the longest time without a result of "+c, d.at, logs(c, harness.Result), bound)
	}
}

func quorumLost(r *run) {
	const each = 80
	r.service(each)
	r.finished(each)
	d := r.down(syscall.SIGKILL, r.busiest("leader"), r.busiest("follower"))
	dark := r.poll("no server serves", func() (bool, string) {
		return !slices.ContainsFunc(r.Servers, func(s *zktest.Server) bool { return mode(s) != "" }), r.modes()
	})
	r.note(dark, "", "no server serves, %d ms later", dark.Sub(d.at).Milliseconds())
	r.pause(2 * r.timeout)
	started := r.launchServers(d.servers...)
	r.check(started.Sub(dark) > r.timeout, "no server has served for %d ms, more than the session timeout", started.Sub(dark).Milliseconds())
	leader, back := r.elects()
	r.note(back, r.Name(leader), "leads the servers")
	next := r.recovers(d, back, "after that", afterReturn)
	r.joins(started, d.servers...)
	r.served()
	r.gap("the longest time without an assignment from then on", next.Time, assigned, steadyBound)
	r.unharmed()
	written := slices.ContainsFunc(r.txns, func(t history.Txn) bool { return t.Time.After(dark) && t.Time.Before(started) })
	r.check(!written, "while no server served, nothing was written in ZooKeeper's own log")
}

// downtime is what happened to some servers of the ensemble.
type downtime struct {
	at       time.Time // of the signal
	ended    time.Time // by then the servers had
	servers  []*zktest.Server
	led      bool              // one of them led the others
	sessions map[string]string // by program: those that have to find another server
}

// down ends servers by a signal, and waits for their end.
func (r *run) down(sig syscall.Signal, servers ...*zktest.Server) downtime {
	d := downtime{servers: servers, sessions: make(map[string]string)}
	d.led = slices.ContainsFunc(servers, func(s *zktest.Server) bool { return mode(s) == "leader" })
	for _, s := range r.Servers {
		if d.led || slices.Contains(servers, s) { // without a leader no server serves
			maps.Copy(d.sessions, r.sessions(s))
		}
	}
	var described []string
	for _, s := range servers {
		described = append(described, r.describe(s))
	}
	d.at = time.Now()
	for i, s := range servers {
		r.note(d.at, "", "%s to %s", signals[sig], described[i])
		if sig == syscall.SIGTERM {
			s.Terminate()
		} else {
			s.Kill()
		}
	}
	d.ended = time.Now()
	return d
}

// launchServers starts the servers that are down.
func (r *run) launchServers(servers ...*zktest.Server) (at time.Time) {
	at = time.Now()
	r.must(r.Ensemble.Launch())
	for _, s := range servers {
		r.note(at, r.Name(s), "is started")
	}
	return at
}

// joins waits until servers have joined the others again.
func (r *run) joins(since time.Time, servers ...*zktest.Server) {
	for _, s := range servers {
		at := r.poll(r.Name(s)+" has joined the others", func() (bool, string) { return mode(s) != "", r.modes() })
		r.note(at, r.Name(s), "has joined the others, as %s, after %d ms", mode(s), at.Sub(since).Milliseconds())
	}
}

// elects waits until a server leads the others, another one than some.
func (r *run) elects(but ...*zktest.Server) (leader *zktest.Server, at time.Time) {
	at = r.poll("a server leads", func() (bool, string) {
		for _, s := range r.Servers {
			if !slices.Contains(but, s) && mode(s) == "leader" {
				leader = s
			}
		}
		return leader != nil, r.modes()
	})
	return leader, at
}

// recovers waits until the sessions have found another server and work goes on, from a moment on.
func (r *run) recovers(d downtime, since time.Time, what string, bound time.Duration) (next harness.Event) {
	same := r.reconnected(d.at, d.sessions)
	next = r.resumes(since, what, bound)
	r.check(same == len(d.sessions), "sessions that went on with another server: %d of %d", same, len(d.sessions))
	return next
}

// reconnected waits until programs are connected again, and counts those that have the same
// session still.
func (r *run) reconnected(since time.Time, sessions map[string]string) (same int) {
	for name, session := range sessions {
		e := r.await(since, logs(name, "connected again"))
		if e.Session == session {
			same++
		}
		to := slices.IndexFunc(r.Servers, func(s *zktest.Server) bool { return s.Addr() == e.Server })
		r.note(e.Time, name, "connected again, to %s, after %d ms", harness.ServerName(to), e.Time.Sub(since).Milliseconds())
	}
	return same
}

// mode is what a server is: "leader" or "follower"; "" while it does not serve.
func mode(s *zktest.Server) string {
	m, _ := s.Mode()
	return m
}

// modes are what all servers are.
func (r *run) modes() string {
	var modes []string
	for _, s := range r.Servers {
		modes = append(modes, fmt.Sprintf("%s: %q", r.Name(s), mode(s)))
	}
	return strings.Join(modes, ", ")
}

// busiest is the server with the most sessions among the leader or the followers.
func (r *run) busiest(role string) *zktest.Server {
	servers := slices.DeleteFunc(slices.Clone(r.Servers), func(s *zktest.Server) bool { return mode(s) != role })
	if len(servers) == 0 {
		r.must(fmt.Errorf("no server is a %s; %s", role, r.modes()))
	}
	return slices.MaxFunc(servers, func(a, b *zktest.Server) int { return len(r.sessions(a)) - len(r.sessions(b)) })
}

// sessions are those that are connected to a server, by program.
func (r *run) sessions(s *zktest.Server) map[string]string {
	ids, err := s.Sessions()
	r.must(err)
	sessions := make(map[string]string)
	for _, e := range r.logged(time.Time{}, logs("", "connected")) {
		if slices.Contains(ids, e.Session) {
			sessions[e.From] = e.Session
		}
	}
	return sessions
}

// describe is a server, with what it is and whose sessions are with it.
func (r *run) describe(s *zktest.Server) string {
	sessions := r.sessions(s)
	who := strings.Join(slices.Sorted(maps.Keys(sessions)), ", ")
	return fmt.Sprintf("%s, %s, sessions with it: %d (%s)", r.Name(s), mode(s), len(sessions), who)
}
