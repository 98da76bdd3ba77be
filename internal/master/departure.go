package master

import (
	"fmt"
	"strings"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/task"
)

// departure is a worker that is gone. The states of its tasks show whether the worker left
// or lost its session, and the leader reads them anyway. A worker that leaves writes each of
// them, as finished or as pending, in the Multi that deletes its znode.
type departure struct {
	worker   string
	blamed   bool // a loss is counted
	open     int  // states that must still be read
	finished int  // tasks that it finished
	returned int  // tasks that it gave back
	lost     []string
}

// awaitedState is a state that must be read: its task was in the list of a gone worker.
type awaitedState struct {
	of      *departure
	version int32 // of the task's state when it was assigned
	known   bool  // version is known; if not, another version shows nothing
}

// gone merges that a worker is gone: its znode does not exist.
func (l *leader) gone(id string) {
	held := l.sched.Holds(id)
	d := &departure{worker: id, blamed: l.steady(), open: len(held)}
	l.handle(sched.WorkerGone{ID: id, Blame: d.blamed})
	for _, k := range held { // their states must be read again
		l.settle(k.ID, outcomeUnknown)
		l.awaited[k.ID] = awaitedState{d, k.Version, k.Version >= 0}
	}
	if len(held) == 0 {
		l.idle = append(l.idle, id)
	}
}

// tellIdle logs the workers that are gone and had no task, in one line: a process may have
// had thousands. Nothing in ZooKeeper shows whether they left or lost their session.
func (l *leader) tellIdle() {
	switch len(l.idle) {
	case 0:
	case 1:
		l.log.Info("worker left or lost its session, with no task", "worker", l.idle[0])
	default:
		l.log.Info("workers left or lost their sessions, with no task", "workers", len(l.idle), "among", l.idle[0])
	}
	l.idle = nil
}

// outcome is what a task's state shows of the worker that had it.
type outcome int

const (
	outcomeUnknown outcome = iota // the task is gone, or its state shows nothing
	outcomeUntouched
	outcomeFinished
	outcomeReturned
)

// settle merges the outcome of a task that a gone worker had.
func (l *leader) settle(id string, o outcome) {
	t, ok := l.awaited[id]
	if !ok {
		return
	}
	delete(l.awaited, id)
	d := t.of
	switch {
	case o == outcomeUntouched:
		d.lost = append(d.lost, id)
	case o == outcomeFinished && t.known:
		d.finished++
	case o == outcomeReturned && t.known:
		d.returned++
	}
	if d.open--; d.open == 0 {
		l.tellDeparture(d)
	}
}

// stateRead derives the outcome of a task from a read of its state.
func (l *leader) stateRead(id string, a answer) {
	t, ok := l.awaited[id]
	finished := task.ParseState(a.Data).Finished()
	switch {
	case !ok:
	case a.Err != nil, finished && a.Stat.Version == t.version: // not finished by this worker
		l.settle(id, outcomeUnknown)
	case finished:
		l.settle(id, outcomeFinished)
	case a.Stat.Version == t.version:
		l.settle(id, outcomeUntouched)
	default:
		l.settle(id, outcomeReturned)
	}
}

// dropAwaited gives up the states that will not be read any more.
func (l *leader) dropAwaited() {
	for id := range l.awaited {
		if !l.sched.ToVerify(id) {
			l.settle(id, outcomeUnknown)
		}
	}
}

// mostNamed is how many tasks one log line names at most: a list can hold 10,000.
const mostNamed = 20

func (l *leader) tellDeparture(d *departure) {
	if len(d.lost) == 0 {
		attrs := []any{"worker", d.worker}
		if d.finished > 0 {
			attrs = append(attrs, "finished", d.finished)
		}
		if d.returned > 0 {
			attrs = append(attrs, "returned", d.returned)
		}
		what := "worker left"
		if d.finished+d.returned == 0 { // its tasks no longer exist, or show nothing
			what = "worker left or lost its session"
		}
		l.log.Info(what, attrs...)
		return
	}
	names := strings.Join(d.lost[:min(len(d.lost), mostNamed)], " ")
	if more := len(d.lost) - mostNamed; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	what := "worker gone, its tasks are free again"
	if !d.blamed {
		what += "; no loss is counted so soon after an outage"
	}
	l.log.Warn(what, "worker", d.worker, "tasks", names)
}
