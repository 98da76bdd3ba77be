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

// longestNote is how many bytes of a person's note in a child of /drain are kept.
const longestNote = 1000

// mostDrains is how many children of /drain are read at most. If there are more, none is
// read: they still drain what they name, but "drained" is not written.
const mostDrains = 1000

// listDrains lists /drain and reads its children. The loop waits for the listing. A listing
// beside the loop could begin before the leader writes "drained", be merged after it, and
// lack a znode that was made in between.
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
		l.malformed.warn(task.DrainPath(name), "drains nothing: its name is too long; left alone")
		return true
	})
	open, err := l.openDrains(names)
	if err != nil {
		return err
	}
	before := l.sched.Drains()
	l.handle(sched.DrainsListed{Names: names, Open: open})
	after := l.sched.Drains()
	l.logOthers(after, before, "draining")
	l.logOthers(before, after, "takes tasks again")
	l.drains.pace.listed(began, time.Now())
	return nil
}

// logOthers logs the names that are not among known. Both lists are sorted.
func (l *leader) logOthers(names, known []string, what string) {
	for _, name := range names {
		if _, there := slices.BinarySearch(known, name); !there {
			l.log.Info(what, "name", name)
		}
	}
}

// openDrains reads children of /drain, and returns those that do not say "drained".
func (l *leader) openDrains(names []string) (open []sched.Drain, err error) {
	if len(names) > mostDrains {
		l.malformed.warn(task.DrainDir, fmt.Sprintf("more than %d children: what they name gets no tasks, but \"drained\" is not written", mostDrains))
		return nil, nil
	}
	err = l.short.Read(names, l.together(task.DrainPath), func(name string, a answer) error {
		switch {
		case errors.Is(a.Err, zk.ErrNoNode): // deleted since the listing
		case errors.Is(a.Err, session.ErrOver):
			return a.Err
		case a.Err != nil: // its name alone drains
			l.malformed.warn(task.DrainPath(name), a.Err.Error())
		default:
			if drained, note := task.ParseDrain(a.Data, a.Stat.Version); !drained {
				open = append(open, sched.Drain{Name: name, Note: note[:min(len(note), longestNote)], Version: a.Stat.Version})
			}
		}
		return nil
	})
	return open, err
}

// drainsPerTurn is how many drains are written in one turn at most, so that it stays short.
const drainsPerTurn = 100

// writeDrained writes "drained" into drains whose workers are free. This leader has assigned
// nothing to these workers since it read the drains. Neither this nor a later leader will:
// each lists /drain before it decides.
func (l *leader) writeDrained(drains []sched.Drain) error {
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
		// Without a Sync the next listing may be older than this write.
		if err := l.s.Sync(); err != nil {
			return err
		}
		l.drains.due = true
	case errors.Is(err, session.ErrTooLarge) && len(drains) > 1:
		return l.writeDrained(drains[:len(drains)/2])
	case errors.Is(err, session.ErrTooLarge):
		l.malformed.warn(task.DrainPath(drains[0].Name), err.Error())
	case !errors.As(err, &refused):
		return err
	case refused.Index == 0:
		return l.deposed(refused)
	default: // the others are decided again
		drains = drains[refused.Index-1 : refused.Index]
		if errors.Is(err, zk.ErrBadVersion) || errors.Is(err, zk.ErrNoNode) {
			l.drains.due = true
		} else {
			l.malformed.warn(refused.Op.Path, refused.Err.Error())
		}
	}
	for _, d := range drains {
		l.handle(sched.DrainWritten{Name: d.Name})
	}
	return nil
}
