package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// longTask is how long a task takes there at most: the streams are to last.
const longTask = 500 * time.Millisecond

// syncLimit is how many ticks servers wait for each other; scripts/zookeeper sets it.
const syncLimit = 5

func partition(p *play) {
	const each = 100
	one, two := "master-1", "master-2"
	follower, leader := p.busiest("follower"), p.busiest("leader")
	p.startAt(follower, one, "leader")
	p.startAt(leader, two, "backup")
	p.workers("--slots", "2")
	p.streams(each, longTask)
	p.finished(each / 4)
	p.act("1. The leading master is cut off together with a server that follows.")
	p.isolated(one, two, follower, leader)
	p.more(each / 4)
	p.act("2. The other one leads now. It is cut off together with the server that leads the servers.")
	p.isolated(two, one, leader, leader)
	p.act("All are together again.")
	p.served(each)
	r := p.end()
	p.check(r.Expired == 2, "sessions that expired: %d, those of the masters when they were cut off", r.Expired)
	p.check(len(r.Terms) == 3, "leaders, one after the other: %d", len(r.Terms))
	p.check(r.Workers == 4 && r.WorkersLost == 0, "workers registered: %d, 2 by each program", r.Workers)
	p.check(r.Created == 2*each && r.Assigned == r.Created, "tasks submitted: %d; executions: %d", r.Created, r.Assigned)
}

// startAt starts a program that finds one of the servers alone, until it has.
func (p *play) startAt(s *zktest.Server, name, ready string) {
	if p.err != nil {
		return
	}
	var others []string
	for _, o := range p.all() {
		if o != s {
			others = append(others, p.Name(o))
		}
	}
	_, err := p.Network.Host(name)
	p.fail(err)
	p.fail(p.Network.Hide(name, others...))
	at := p.launch(name)
	e := p.hear(at, did(name, "connected"))
	p.fail(p.Network.Show(name, others...))
	p.tell(e.Time, name, "connected, to %s, %s", p.Name(s), mode(s))
	p.see(at, did(name, ready))
}

// isolated cuts the leading master off together with the server that it is
// connected to, until another one leads and work goes on. It stands still for a
// moment just before: so there is something that it will want to assign.
func (p *play) isolated(master, backup string, server, leader *zktest.Server) {
	led := server == leader
	stopped := p.send(master, syscall.SIGSTOP)
	tasks := p.waiting(len(clients))
	p.undisturbed(leader, server, master)
	cut, others := p.cut(master, server)
	woken := p.send(master, syscall.SIGCONT)
	p.within("it stood still, less than the session timeout", woken.Sub(stopped), p.timeout/2)

	bound, story := p.afterKill(), []moment(nil)
	if led {
		m := p.elects(server)
		bound += m.at.Sub(cut)
		story = append(story, m)
	}
	elected := p.hear(cut, did(backup, "leader"))
	lost := p.hear(cut, did(master, "connection lost"))
	story = append(story, heard(elected), heard(lost),
		heard(p.hear(cut, did(master, "no answer to a write"))))
	var last time.Time
	for _, id := range tasks {
		next := p.hear(cut, did(backup, "assigned").of(id))
		story = append(story, heard(next))
		last = next.Time
	}
	moved, same := p.again(cut, others)
	p.tellAll(append(story, moved...)...)
	p.check(same == len(others), "sessions that went on with another server: %d of %d", same, len(others))
	p.within("a new leader, after the cut", elected.Time.Sub(cut), bound)
	p.within("the tasks that waited are assigned", last.Sub(cut), bound)
	p.more(10)
	p.alone(server, master, led)

	healed := p.join(master, server)
	p.tellAll(append(p.joined(healed, server),
		heard(p.hear(healed, did(master, "starting over with a new session"))),
		heard(p.hear(healed, did(master, "backup"))))...)
	if !led {
		p.undisturbed(leader, leader, backup)
	}
	now := time.Now()
	// What it had assigned before it stood still it may tell only when it wakes.
	p.check(p.between(lost.Time, now, did(master, "assigned")) == 0, "%s has assigned nothing since it lost the connection", master)
	again := 0
	for _, id := range tasks {
		again += p.between(cut, now, did(master, "assigned").of(id))
	}
	p.check(again == 0, "%s has assigned nothing of what waited since it was cut off", master)
	p.within("from the cut on, the longest time without an assignment", p.without(cut, now, assigned("")), bound)
	p.within("the longest time without a result", p.without(cut, now, did("client", harness.Result)), bound+longTask)
	p.log()
}

// undisturbed fails a scene where the servers have another leader, or a program has gone to
// another server, with nobody cut off. So it is on a machine that lets a server stand still for
// longer than the others wait. The cut would be another one, and its times would tell nothing.
func (p *play) undisturbed(leader, server *zktest.Server, program string) {
	leads, with := p.elects().who, p.sessions(server)
	if p.err != nil {
		return
	}
	const why = "is the machine too busy? Servers that hear nothing of each other for %s elect a leader"
	if leads != p.Name(leader) {
		p.fail(fmt.Errorf("%s leads the servers, and nothing was done to %s, which did: "+why, leads, p.Name(leader), syncLimit*serverTick))
	} else if with[program] == "" {
		p.fail(fmt.Errorf("%s has left %s, and nothing was done to them: "+why, program, p.Name(server), syncLimit*serverTick))
	}
}

// without is the longest time without such a line from one moment to another.
func (p *play) without(from, to time.Time, l line) time.Duration {
	events := slices.DeleteFunc(p.logged(l), func(e harness.Event) bool { return e.Time.Before(from) })
	return longest(slices.Insert(events, 0, harness.Event{Time: from}), from, to)
}

// waiting waits until there are n tasks and all wait for the leader: no worker has
// any.
func (p *play) waiting(n int) (ids []string) {
	var at time.Time
	p.byHand(func(s *session.Session) (err error) {
		at = p.poll(fmt.Sprintf("%d tasks wait", n), func() (bool, string) {
			var states, lists []string
			if err = s.Sync(); err == nil {
				_, lists, err = contents(s, task.WorkersDir)
			}
			if err == nil { // afterwards: nobody is assigned a task in between
				ids, states, err = contents(s, task.TasksDir)
			}
			waits := len(ids) == n && strings.Join(lists, "") == "" &&
				!slices.ContainsFunc(states, func(s string) bool { return s != "pending" })
			return waits || err != nil, fmt.Sprintf("tasks: %q, workers: %q", states, lists)
		})
		return err
	})
	var short []string
	for _, id := range ids {
		short = append(short, "task "+harness.Short(id))
	}
	p.tell(at, "", "%s wait, all workers are free", strings.Join(short, " and "))
	return ids
}

// contents reads all children of a znode.
func contents(s *session.Session, dir string) (names, data []string, err error) {
	listed, _, err := s.Children(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range listed {
		d, _, err := s.Get(dir + "/" + name)
		if errors.Is(err, zk.ErrNoNode) { // gone since
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		names, data = append(names, name), append(data, string(d))
	}
	return names, data, nil
}

// cut cuts a program and a server off from all others, among them other programs
// whose sessions are with that server.
func (p *play) cut(program string, server *zktest.Server) (at time.Time, others map[string]string) {
	if p.err != nil {
		return at, nil
	}
	which := p.described(server)
	others = p.sessions(server)
	delete(others, program)
	at = time.Now()
	p.fail(p.Network.Cut(program, p.Name(server)))
	p.tell(at, "", "cut off: %s and %s", program, which)
	return at, others
}

// join ends the cut.
func (p *play) join(program string, server *zktest.Server) (at time.Time) {
	at = time.Now()
	if p.err == nil {
		p.fail(p.Network.Join(program, p.Name(server)))
		p.tell(at, "", "not cut off any more: %s and %s", program, p.Name(server))
	}
	return at
}

// alone tells what a server that is cut off has logged and no other one has: if it
// led, it has proposed what the master asked for.
func (p *play) alone(server *zktest.Server, master string, led bool) {
	if p.err != nil {
		return
	}
	others := make(map[int64]bool)
	for _, s := range p.all() {
		if s != server {
			for _, t := range p.records(s) {
				others[t.Zxid] = true
			}
		}
	}
	var alone, assignments int
	for _, t := range p.records(server) {
		if others[t.Zxid] {
			continue
		}
		alone++
		if t.Session == p.session(master) && slices.ContainsFunc(t.Events, func(e history.Event) bool {
			return e.Op == history.Set && strings.HasPrefix(e.Path, chroot+task.WorkersDir+"/")
		}) {
			assignments++
		}
	}
	if led {
		p.check(assignments > 0, "%s alone has logged %d transactions, assignments by %s among them: %d; none is committed", p.Name(server), alone, master, assignments)
	} else {
		p.check(alone == 0, "transactions that %s alone has logged: %d", p.Name(server), alone)
	}
}

func (p *play) records(s *zktest.Server) []history.Txn {
	records, err := history.Records(s.DataDir())
	p.fail(err)
	return records
}

// session is the one that a program had last.
func (p *play) session(program string) int64 {
	var id uint64
	if connected := p.logged(did(program, "connected")); len(connected) > 0 {
		_, err := fmt.Sscanf(connected[len(connected)-1].Session, "0x%x", &id)
		p.fail(err)
	}
	return int64(id)
}
