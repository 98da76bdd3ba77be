package master

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// longestNote is how much of what a person wrote into a child of /drain is kept, in bytes.
const longestNote = 1000

// mostDrains is of how many children of /drain the data are read. The names of more are
// enough to drain what they name, and nobody is told when it is drained.
const mostDrains = 1000

// listDrains lists /drain and reads its children. It does so within the loop, because a
// listing that began before "drained" was written, and was merged after that, might lack
// what was created in between.
func (l *leader) listDrains() error {
	began := time.Now()
	names, err := l.dirs.list(task.DrainDir, true)
	switch {
	case err == nil:
		l.rights.Has(task.DrainDir, session.RightRead)
	case session.Refused(err):
		l.rights.Lacks(task.DrainDir, session.RightRead, err)
		l.drains.pace.from = began.Add(session.RefusedPause)
		return nil
	default:
		return err
	}
	l.drains.due = false
	names = slices.DeleteFunc(names, func(name string) bool {
		if len(name) <= task.MaxID {
			return false
		}
		l.odd.tell(task.DrainPath(name), "drains nothing: its name is too long; left alone")
		return true
	})
	open, err := l.openDrains(names)
	if err != nil {
		return err
	}
	before := l.sched.Drains()
	l.handle(sched.DrainsListed{Names: names, Open: open})
	after := l.sched.Drains()
	l.tellWithout(after, before, "draining")
	l.tellWithout(before, after, "takes tasks again")
	l.drains.pace.listed(began, time.Now())
	return nil
}

// tellWithout logs the names of the first sorted list that the other lacks.
func (l *leader) tellWithout(names, known []string, what string) {
	for _, name := range names {
		if _, there := slices.BinarySearch(known, name); !there {
			l.log.Info(what, "name", name)
		}
	}
}

// openDrains reads children of /drain, and returns those that do not say "drained".
func (l *leader) openDrains(names []string) (open []sched.Drain, err error) {
	if len(names) > mostDrains {
		l.odd.tell(task.DrainDir, fmt.Sprintf("more than %d children: what they name gets no tasks, and is not said to be drained", mostDrains))
		return nil, nil
	}
	err = l.readAll(names, func(name string) answer {
		data, stat, err := l.s.Get(task.DrainPath(name))
		return answer{data, stat, err}
	}, func(name string, a answer) error {
		switch {
		case errors.Is(a.err, zk.ErrNoNode): // undrained meanwhile
		case errors.Is(a.err, session.ErrOver):
			return a.err
		case a.err != nil: // its name is enough to drain it
			l.odd.tell(task.DrainPath(name), a.err.Error())
		default:
			if drained, note := task.ParseDrain(a.data, a.stat.Version); !drained {
				open = append(open, sched.Drain{Name: name, Note: note[:min(len(note), longestNote)], Version: a.stat.Version})
			}
		}
		return nil
	})
	return open, err
}

// drainsPerTurn is how many drains are written in one turn.
const drainsPerTurn = 100

// tellDrained writes that what drains name is free. Nothing was assigned to that since the
// drain was read, and nothing will be: not by this leader, and not by a later one, which
// lists /drain before it decides.
func (l *leader) tellDrained(drains []sched.Drain) error {
	if len(drains) == 0 {
		return nil
	}
	drains = drains[:min(len(drains), drainsPerTurn)]
	ops := []session.Op{l.fence}
	for _, d := range drains {
		ops = append(ops, session.Set(task.DrainPath(d.Name), task.Drained(d.Note), d.Version))
	}
	_, err := l.s.Multi(ops...)
	var refused *session.OpError
	switch {
	case err == nil:
		for _, d := range drains {
			l.log.Info("drained", "name", d.Name)
		}
	case errors.Is(err, session.ErrUnknown):
		// Without a Sync the next listing may be older than this write, if it was one.
		if err := l.s.Sync(); err != nil {
			return err
		}
		l.drains.due = true
	case errors.Is(err, session.ErrTooLarge) && len(drains) > 1:
		return l.tellDrained(drains[:len(drains)/2])
	case errors.Is(err, session.ErrTooLarge):
		l.odd.tell(task.DrainPath(drains[0].Name), err.Error())
	case !errors.As(err, &refused):
		return err
	case refused.Index == 0:
		return l.deposed(refused)
	default: // the others are decided again
		drains = drains[refused.Index-1 : refused.Index]
		if errors.Is(err, zk.ErrBadVersion) || errors.Is(err, zk.ErrNoNode) {
			l.drains.due = true
		} else {
			l.odd.tell(refused.Op.Path, refused.Err.Error())
		}
	}
	for _, d := range drains {
		l.handle(sched.DrainWritten{Name: d.Name})
	}
	return nil
}
