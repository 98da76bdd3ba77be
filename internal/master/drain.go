package master

import (
	"errors"
	"slices"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// longestNote is how much of what a person wrote into a child of /drain is kept, in bytes.
const longestNote = 1000

// mergeDrains reads the children of /drain that a listing names.
func (l *leader) mergeDrains(a listing) error {
	if !l.drains.merge(a) {
		return nil
	}
	var drains []sched.Drain
	err := l.readAll(a.names, func(name string) answer {
		data, stat, err := l.s.Get(task.DrainPath(name))
		return answer{data, stat, err}
	}, func(name string, a answer) error {
		switch {
		case errors.Is(a.err, zk.ErrNoNode): // undrained meanwhile
		case errors.Is(a.err, session.ErrOver):
			return a.err
		case a.err != nil: // its name says enough
			l.odd.tell(task.DrainPath(name), a.err.Error())
			drains = append(drains, sched.Drain{Name: name, Drained: true})
		default:
			note := a.data[:min(len(a.data), longestNote)]
			drains = append(drains, sched.Drain{Name: name, Data: note, Version: a.stat.Version, Drained: task.IsDrained(a.data)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	before := l.sched.Drains()
	l.handle(sched.DrainsListed{Drains: drains})
	after := l.sched.Drains()
	for _, name := range after {
		if !slices.Contains(before, name) {
			l.log.Info("draining", "name", name)
		}
	}
	for _, name := range before {
		if !slices.Contains(after, name) {
			l.log.Info("takes tasks again", "name", name)
		}
	}
	return nil
}

// tellDrained writes that what each of the drains names is free. Nothing was assigned to
// it since the drain was read, and nothing will be: not by this leader, and not by a later
// one, which lists /drain before it decides.
func (l *leader) tellDrained(drains []sched.Drain) error {
	for _, d := range drains {
		path := task.DrainPath(d.Name)
		_, err := l.s.Multi(l.fence, session.Set(path, task.Drained(d.Data), d.Version))
		var refused *session.OpError
		switch {
		case err == nil:
			l.log.Info("drained", "name", d.Name)
		case errors.As(err, &refused) && refused.Index == 0:
			return l.deposed(refused)
		case errors.Is(err, session.ErrUnknown), errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNoNode):
			l.drains.due = true
		case errors.Is(err, session.ErrOver):
			return err
		default:
			l.odd.tell(path, err.Error())
		}
		l.handle(sched.DrainWritten{Name: d.Name})
	}
	return nil
}
