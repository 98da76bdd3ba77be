package master

import (
	"fmt"
	"strings"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/task"
)

// departure is a worker that is gone. Whether it left or its session was lost the states
// of what it held tell, which are read anyway: who leaves writes each of them, as
// finished or as pending, in the same Multi that deletes its znode.
type departure struct {
	worker   string
	blamed   bool // a loss is counted
	open     int  // states to be read
	finished int  // tasks that it has finished,
	returned int  // or given back
	lost     []string
}

// awaitedState is a state that is to be read: of a task that a worker held which is gone.
type awaitedState struct {
	of      *departure
	version int32 // of its state when it was assigned
	known   bool  // it is that; else a state that moved tells nothing
}

// gone merges that a worker's znode is not there.
func (l *leader) gone(id string) {
	held := l.sched.Holds(id)
	d := &departure{worker: id, blamed: l.steady(), open: len(held)}
	l.handle(sched.WorkerGone{ID: id, Blame: d.blamed})
	for _, k := range held { // they are to be read now
		l.settle(k.ID, fateNone)
		l.awaited[k.ID] = awaitedState{d, k.Version, k.Version >= 0}
	}
	if len(held) == 0 {
		l.idle = append(l.idle, id)
	}
}

// tellIdle tells of the workers that are gone and had no task. One process may have
// had thousands. Whether they left or their session was lost leaves no trace.
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

// fate is what a task's state tells of its worker.
type fate int

const (
	fateNone fate = iota // it is not there any more, or does not tell
	fateUntouched
	fateFinished
	fateReturned
)

// settle takes a task's fate.
func (l *leader) settle(id string, f fate) {
	t, ok := l.awaited[id]
	if !ok {
		return
	}
	delete(l.awaited, id)
	d := t.of
	switch {
	case f == fateUntouched:
		d.lost = append(d.lost, id)
	case f == fateFinished && t.known:
		d.finished++
	case f == fateReturned && t.known:
		d.returned++
	}
	if d.open--; d.open == 0 {
		l.tellDeparture(d)
	}
}

// stateRead takes what was read of a task.
func (l *leader) stateRead(id string, a answer) {
	t, ok := l.awaited[id]
	finished := task.ParseState(a.Data).Finished()
	switch {
	case !ok:
	case a.Err != nil, finished && a.Stat.Version == t.version: // by another hand
		l.settle(id, fateNone)
	case finished:
		l.settle(id, fateFinished)
	case a.Stat.Version == t.version:
		l.settle(id, fateUntouched)
	default:
		l.settle(id, fateReturned)
	}
}

// dropAwaited drops those of tasks that will not be read.
func (l *leader) dropAwaited() {
	for id := range l.awaited {
		if !l.sched.ToVerify(id) {
			l.settle(id, fateNone)
		}
	}
}

// mostNamed is how many tasks a line of the log names.
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
		if d.finished+d.returned == 0 { // its tasks are not there any more
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
		what += "; no loss is counted, so soon after an outage"
	}
	l.log.Warn(what, "worker", d.worker, "tasks", names)
}
