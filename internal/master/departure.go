package master

import (
	"fmt"
	"strings"
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

// trace is a task that a worker held which is gone.
type trace struct {
	of      *departure
	version int32 // of its state when it was assigned
	known   bool  // it is that; else a state that moved tells nothing
}

// gone takes it that a worker's znode is not there.
func (l *leader) gone(id string) {
	w := l.view.workers[id]
	d := &departure{worker: id, blamed: l.steady()}
	for _, t := range l.view.workerGone(id, d.blamed) {
		tv := l.view.tasks[t]
		if tv == nil || tv.phase != unread { // cleaned up already, or in another's list as well
			continue
		}
		l.retrace(t, fateNone)
		l.traces[t] = trace{d, tv.version, tv.read}
		d.open++
	}
	if w != nil && !w.ignored && d.open == 0 {
		l.tellDeparture(d)
	}
}

// fate is what a task's state tells of its worker.
type fate int

const (
	fateNone fate = iota // it is not there any more
	fateUntouched
	fateFinished
	fateReturned
)

// retrace takes a task's fate.
func (l *leader) retrace(task string, f fate) {
	t, ok := l.traces[task]
	if !ok {
		return
	}
	delete(l.traces, task)
	d := t.of
	switch {
	case f == fateUntouched:
		d.lost = append(d.lost, task)
	case f == fateFinished && t.known:
		d.finished++
	case f == fateReturned && t.known:
		d.returned++
	}
	if d.open--; d.open == 0 {
		l.tellDeparture(d)
	}
}

// trace takes what was read of a task.
func (l *leader) trace(task string, a answer) {
	t, ok := l.traces[task]
	switch {
	case !ok:
	case a.err != nil || a.same:
		l.retrace(task, fateNone)
	case a.stat.Version == t.version:
		l.retrace(task, fateUntouched)
	case a.state.Finished():
		l.retrace(task, fateFinished)
	default:
		l.retrace(task, fateReturned)
	}
}

// loseTraces drops those of tasks that will not be read.
func (l *leader) loseTraces() {
	for id := range l.traces {
		if t := l.view.tasks[id]; t == nil || t.phase != unread {
			l.retrace(id, fateNone)
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
		if d.finished+d.returned == 0 { // then both leave the same traces: none
			what = "worker left or lost its session, with no task"
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
