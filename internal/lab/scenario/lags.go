package scenario

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// masterLags shows what the leader's fence is for. Two things make it certain that ZooKeeper
// refuses a write for the fence, and for nothing else. The leader stands still while its Multi
// is on the way. The first assignment of the next leader is held as well: so every znode that the
// late Multi writes stays as it was.
func masterLags(r *run) {
	old, backup := "master-1", "master-2"
	for _, master := range []string{old, backup} {
		_, err := r.Proxy(master)
		r.must(err)
	}
	r.service(60)
	r.finished(15)

	r.section("1. It stands still for longer than its session lasts.")
	late := r.caught(r.hold(old))
	held := r.hold(backup)
	stopped := r.signal(old, syscall.SIGSTOP)
	r.timed("a new leader", syscall.SIGSTOP, stopped, logs(backup, "leader"))
	next := r.caught(held)
	// The old leader's connection ended with its session. Its write could arrive all the same: a
	// ZooKeeper client library may send what it has queued on the session that it opens next.
	r.deliver(late)
	r.unapplied(late)
	next.release()
	r.timed("work goes on", syscall.SIGSTOP, stopped, logs(backup, "assigned"))
	woken := r.signal(old, syscall.SIGCONT)
	r.wait(woken, logs(old, startingOver))
	r.wait(woken, logs(old, "backup"))

	r.section("2. It stands still for less than that, and leads no more: its candidate is removed.")
	old, backup = backup, old
	late = r.caught(r.hold(old))
	held = r.hold(backup)
	stopped = r.signal(old, syscall.SIGSTOP)
	r.admin(func(s *session.Session) {
		_, err := s.Multi(session.Delete(late.candidate, session.AnyVersion))
		r.must(err)
	})
	r.note(time.Now(), "", "%s is deleted by hand", briefly(late.candidate))
	r.wait(stopped, logs(backup, "leader"))
	next = r.caught(held)
	// The leader waits for this very answer. The answer comes before the leader can read what else
	// has happened: both come on the same connection.
	late.release()
	r.note(time.Now(), "", "the late write of %s goes on to ZooKeeper", old)
	woken = r.signal(old, syscall.SIGCONT)
	r.within("it stood still, less than the session timeout", woken.Sub(stopped), r.timeout*2/3)
	refused := r.wait(woken, logs(old, "write refused by ZooKeeper: this master no longer leads"))
	r.check(strings.HasPrefix(refused.Err, "check "+late.candidate), "the leader itself was refused, at operation 0, check %s", briefly(late.candidate))
	r.unapplied(late)
	next.release()
	first := r.wait(stopped, assigned)
	r.check(first.From == backup, "%s leads: its assignments are carried out", backup)
	r.wait(woken, logs(old, "backup"))
	r.check(r.count(logs(old, "starting over")) == 0, "%s has its session still", old)

	r.served()
	report := r.end()
	r.check(len(report.Terms) == 3, "leaders, one after the other: %d", len(report.Terms))
	r.check(report.Fenced == 2, "multis of %s refused because its candidate is gone: %d, the late one and its resignation", old, report.Fenced)
	r.check(report.MostAssigned == 1 && report.Assigned == report.Created, "executions: %d of %d tasks", report.Assigned, report.Created)
}

// heldWrite is an assignment of a master that the master's proxy holds.
type heldWrite struct {
	master  string
	frame   <-chan []byte
	release func()

	// Once it is caught.
	multi     []byte
	ops       []zktest.MultiOp
	candidate string // the leader's: operation 0 checks it
}

// hold has the next assignment of a master, now or when it leads, held on its way to ZooKeeper.
func (r *run) hold(master string) *heldWrite {
	proxy, err := r.Proxy(master)
	r.must(err)
	w := &heldWrite{master: master}
	w.frame, w.release = proxy.Catch(zktest.OpMulti, zktest.Naming(chroot+task.WorkersDir+"/"), zktest.Naming(chroot+task.TasksDir+"/"))
	return w
}

// caught waits until the assignment is held.
func (r *run) caught(w *heldWrite) *heldWrite {
	select {
	case w.multi = <-w.frame:
	case <-time.After(r.patience):
		r.must(fmt.Errorf("wait for an assignment of %s: not within %s", w.master, r.patience))
	}
	at := time.Now()
	var err error
	w.ops, err = zktest.MultiOps(w.multi)
	r.must(err)
	var tasks []string
	for i := range w.ops {
		w.ops[i].Path = strings.TrimPrefix(w.ops[i].Path, chroot)
		if id, ok := strings.CutPrefix(w.ops[i].Path, task.TasksDir+"/"); ok {
			tasks = append(tasks, "task "+harness.Short(id))
		}
	}
	led := r.logged(time.Time{}, logs(w.master, "leader"))
	w.candidate = led[len(led)-1].Candidate
	r.note(at, w.master, "assigns %s: its Multi is held on the way to ZooKeeper", strings.Join(tasks, ", "))
	return w
}

// deliver sends a held write on another session, and checks that ZooKeeper refuses it.
func (r *run) deliver(w *heldWrite) {
	at := time.Now()
	a, err := zktest.Deliver(r.Servers[0].Addr(), r.Servers[0].Identity("master"), w.multi)
	r.must(err)
	r.note(at, "", "the late write of %s reaches ZooKeeper, on another session", w.master)
	answer := "it was carried out"
	if a.Refused != nil {
		answer = fmt.Sprintf("%v at operation %d", a.Refused, a.RefusedAt)
	}
	r.check(a.RefusedAt == 0 && errors.Is(a.Refused, zk.ErrNoNode), "the late write is refused for the candidate's znode: %v, check %s", answer, briefly(w.candidate))
}

// unapplied checks that nothing of a held write was applied, and that operation 0 alone, the
// check of the candidate, was in the way: all other znodes are at the versions that it asks for.
func (r *run) unapplied(w *heldWrite) {
	r.admin(func(s *session.Session) {
		_, _, err := s.Get(w.candidate)
		unapplied := errors.Is(err, zk.ErrNoNode)
		for _, op := range w.ops[1:] {
			_, stat, err := s.Get(op.Path)
			r.must(err)
			unapplied = unapplied && stat.Version == op.Version
		}
		r.check(unapplied, "nothing of it was applied, and its operations 1 to %d would have passed", len(w.ops)-1)
	})
}
