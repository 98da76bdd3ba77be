package scenario

import (
	"errors"
	"fmt"
	"maps"
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

// longTask is how long a task takes at most in a partition: the clients must have tasks to the end.
const longTask = 500 * time.Millisecond

func partition(r *run) {
	const each = 100
	one, two := "master-1", "master-2"
	follower, leader := r.busiest("follower"), r.busiest("leader")
	r.startAt(follower, one, "leader")
	r.startAt(leader, two, "backup")
	r.workers("--slots", "2")
	r.streams(each, longTask)
	r.finished(each / 4)
	r.section("1. The leading master is cut off together with a server that follows.")
	r.isolate(one, two, follower, "follower")
	r.more(each / 4)
	r.section("2. The other one leads now. It is cut off together with the server that leads the servers.")
	r.isolate(two, one, leader, "leader")
	r.section("All are together again.")
	r.served()
	report := r.end()
	r.check(report.Expired == 2, "sessions that expired: %d, those of the masters when they were cut off", report.Expired)
	r.check(len(report.Terms) == 3, "leaders, one after the other: %d", len(report.Terms))
	r.allOnce(report)
}

// startAt starts a program, and hides the other servers from it until it has connected to one.
func (r *run) startAt(s *zktest.Server, name, ready string) {
	var others []string
	for _, o := range r.Servers {
		if o != s {
			others = append(others, r.Name(o))
		}
	}
	_, err := r.Network.Host(name)
	r.must(err)
	r.must(r.Network.Hide(name, others...))
	at := r.launch(name)
	e := r.await(at, logs(name, "connected"))
	r.must(r.Network.Show(name, others...))
	r.note(e.Time, name, "connected, to %s, %s", r.Name(s), mode(s))
	r.wait(at, logs(name, ready))
}

// isolate cuts the leading master off together with the server that it is connected to, until
// another master leads and work goes on. The master stands still for a moment just before: so
// there are tasks that it will want to assign.
func (r *run) isolate(master, backup string, server *zktest.Server, role string) {
	stopped := r.signal(master, syscall.SIGSTOP)
	tasks := r.waiting(len(bothClients))
	cut, others := r.cut(master, server, role)
	woken := r.signal(master, syscall.SIGCONT)
	r.within("it stood still, less than the session timeout", woken.Sub(stopped), r.timeout/2)

	lost := r.wait(cut, logs(master, "connection lost"))
	r.wait(cut, logs(master, "no answer to a write"))
	bound := r.after(syscall.SIGSTOP)
	if role == "leader" {
		next, at := r.elects(server)
		r.note(at, r.Name(next), "leads the servers")
		bound += at.Sub(cut)
	}
	elected := r.wait(cut, logs(backup, "leader"))
	var last harness.Event
	for _, id := range tasks {
		last = r.wait(cut, logs(backup, "assigned").of(id))
	}
	same := r.reconnected(cut, others)
	r.check(same == len(others), "sessions that went on with another server: %d of %d", same, len(others))
	r.within("a new leader, after the cut", elected.Time.Sub(cut), bound)
	r.within("the tasks that waited are assigned", last.Time.Sub(cut), bound)
	r.more(10)
	r.loggedAlone(server, master, role)

	joined := time.Now()
	r.must(r.Network.Join(master, r.Name(server)))
	r.note(joined, "", "not cut off any more: %s and %s", master, r.Name(server))
	r.joins(joined, server)
	r.wait(joined, logs(master, startingOver))
	r.wait(joined, logs(master, "backup"))
	// The master may log only now what it had assigned before it stood still.
	r.check(len(r.logged(lost.Time, logs(master, "assigned"))) == 0, "%s has assigned nothing since it lost the connection", master)
	again := 0
	for _, id := range tasks {
		again += len(r.logged(cut, logs(master, "assigned").of(id)))
	}
	r.check(again == 0, "%s has assigned nothing of what waited since it was cut off", master)
	r.gap("from the cut on, the longest time without an assignment", cut, assigned, bound)
	r.gap("the longest time without a result", cut, result, bound+longTask)
	r.readLogs()
}

// waiting waits until there are n tasks and all wait for the leader: no worker has any.
func (r *run) waiting(n int) (ids []string) {
	var at time.Time
	r.admin(func(s *session.Session) {
		at = r.poll(fmt.Sprintf("%d tasks wait", n), func() (bool, string) {
			r.must(s.Sync())
			lists := r.contents(s, task.WorkersDir)
			states := r.contents(s, task.TasksDir) // afterwards: no task is assigned in between
			ids = slices.Sorted(maps.Keys(states))
			waits := len(ids) == n
			for _, list := range lists {
				waits = waits && list == ""
			}
			for _, state := range states {
				waits = waits && state == "pending"
			}
			return waits, fmt.Sprintf("tasks: %q, workers: %q", states, lists)
		})
	})
	r.note(at, "", "%d tasks wait, all workers are free", n)
	return ids
}

// contents reads all children of a znode.
func (r *run) contents(s *session.Session, dir string) map[string]string {
	contents := make(map[string]string)
	names, _, err := s.Children(dir)
	r.must(err)
	for _, name := range names {
		data, _, err := s.Get(dir + "/" + name)
		if errors.Is(err, zk.ErrNoNode) { // gone since
			continue
		}
		r.must(err)
		contents[name] = string(data)
	}
	return contents
}

// cut cuts a program and the server that the program is connected to off from all others. Among
// the others are programs whose sessions are with that server. cut fails if a busy machine has
// changed the server's role or the program's server: then the times would mean nothing.
func (r *run) cut(program string, server *zktest.Server, role string) (at time.Time, others map[string]string) {
	others = r.sessions(server)
	if mode(server) != role || others[program] == "" {
		r.must(fmt.Errorf("%s is to be a %s to which %s is connected, and is not: is the machine too busy? %s", r.Name(server), role, program, r.modes()))
	}
	what := r.describe(server)
	delete(others, program)
	at = time.Now()
	r.must(r.Network.Cut(program, r.Name(server)))
	r.note(at, "", "cut off: %s and %s", program, what)
	return at, others
}

// loggedAlone checks what a server that is cut off has logged and no other server has: nothing
// that is committed. A server that led has logged what the master asked for.
func (r *run) loggedAlone(server *zktest.Server, master, role string) {
	others := make(map[int64]bool)
	var alone []history.Txn
	for _, s := range r.Servers {
		records, err := history.Records(s.DataDir())
		r.must(err)
		if s == server {
			alone = records
			continue
		}
		for _, t := range records {
			others[t.Zxid] = true
		}
	}
	alone = slices.DeleteFunc(alone, func(t history.Txn) bool { return others[t.Zxid] })
	if role != "leader" {
		r.check(len(alone) == 0, "transactions that %s alone has logged: %d", r.Name(server), len(alone))
		return
	}
	asked := slices.ContainsFunc(alone, func(t history.Txn) bool {
		return r.owner(sessionID(t.Session)) == master && slices.ContainsFunc(t.Events, func(e history.Event) bool {
			return strings.HasPrefix(e.Path, chroot+task.WorkersDir+"/")
		})
	})
	r.check(asked, "%s alone has logged %d transactions, an assignment by %s among them; never committed", r.Name(server), len(alone), master)
}
