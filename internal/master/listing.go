package master

import (
	"context"
	"strconv"
	"time"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// A listing of /tasks may take a fifth of the time: at 100,000 tasks it is 4 MB. The
	// next one waits for four times as long as it took, but for no longer than
	// listPauseMost, whatever it took so long for; unless there was none for a
	// while: short ones then need not wait, up to listCredit.
	listShare     = 5
	listCredit    = 10 * time.Millisecond
	listPauseMost = time.Second
	// shortList is how many tasks are listed as fast as one is read.
	shortList = 100
	// manyWorkers is how many names under /workers are listed as often as one comes or
	// goes; more, by a mistake, for a fifth of the time.
	manyWorkers = 10_000
	// plenty is how often all workers could be given as much as they may with
	// what is queued, where listings are rare: they only serve to notice
	// withdrawn tasks then, which are to end within a second.
	plenty      = 2
	plentyPause = 500 * time.Millisecond
)

// ask is a request to list /tasks.
type ask struct {
	number int64
	watch  bool
	data   bool // list /data before
}

// listing is the answer.
type listing struct {
	number int64
	names  []string
	took   time.Duration
	alone  *payloads // if it was asked for
	err    error     // it was refused
}

// ask has /tasks listed, if that is due: by the lister, unless it is soon done.
func (l *leader) ask() error {
	if !l.tasksDirty || l.asking || time.Now().Before(l.askAt()) {
		return nil
	}
	l.asking, l.tasksDirty = true, false
	l.view.asked++
	a := ask{number: l.view.asked, watch: l.dirs.arm(task.TasksDir), data: l.sweepDue()}
	if a.data || !l.short {
		l.asks <- a
		return nil
	}
	answer, err := l.list(a)
	if err == nil {
		l.merge(answer)
	}
	return err
}

// askAt is when /tasks may be listed next.
func (l *leader) askAt() time.Time {
	if rare := l.listed.Add(plentyPause); l.view.queue.len() > plenty*l.view.appetite() && rare.After(l.listFrom) {
		return rare
	}
	return l.listFrom
}

// listAt is when a listing that is due may begin; the zero time if none is due.
func (l *leader) listAt() (at time.Time) {
	if l.tasksDirty && !l.asking {
		at = l.askAt()
	}
	if l.workersDirty && (at.IsZero() || l.workersFrom.Before(at)) {
		at = l.workersFrom
	}
	return at
}

func (l *leader) merge(a listing) {
	l.asking = false
	if a.alone != nil {
		pause := sweepPause
		if !a.alone.refused {
			pause = max(l.view.retention.period, sweepPause)
		}
		l.nextSweep = time.Now().Add(pause)
	}
	if a.err != nil {
		l.tasksDirty, l.listFrom = true, time.Now().Add(session.RefusedPause)
		return
	}
	l.short = len(a.names) <= shortList
	for _, name := range l.view.listTasks(a.names, a.number, time.Now()) {
		l.odd.tell(task.StatePath(name), "a task's name must be one line, without blanks around it, of at most "+strconv.Itoa(task.MaxID)+" bytes; left alone")
	}
	l.listed = time.Now()
	// How far listFrom lies back is the credit.
	if began := l.listed.Add(-a.took); began.Sub(l.listFrom) > listCredit {
		l.listFrom = began.Add(-listCredit)
	}
	l.listFrom = l.listFrom.Add(min(listShare*a.took, listPauseMost))
	if a.alone != nil && !a.alone.refused {
		l.view.mergePayloads(*a.alone)
	}
}

// lister lists /tasks when asked: a long listing must not hold the loop up.
func (l *leader) lister(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-l.asks:
			answer, err := l.list(a)
			if err != nil {
				return err
			}
			select {
			case l.listings <- answer:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func (l *leader) list(a ask) (listing, error) {
	answer := listing{number: a.number}
	var err error
	if a.data {
		if answer.alone, err = l.listData(); err != nil {
			return listing{}, err
		}
	}
	began := time.Now()
	answer.names, answer.err = l.dirs.list(task.TasksDir, a.watch)
	switch {
	case answer.err == nil:
		l.rights.Has(task.TasksDir, session.RightRead)
	case session.Refused(answer.err):
		l.rights.Lacks(task.TasksDir, session.RightRead, answer.err)
	default:
		return listing{}, answer.err
	}
	if back := l.s.Restored(); back.After(began) {
		began = back // to wait for the connection is not to list
	}
	answer.took = time.Since(began)
	if a.data {
		answer.alone.without(answer.names)
	}
	return answer, nil
}
