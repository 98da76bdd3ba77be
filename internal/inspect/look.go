package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Limits keep a look small. The zero value sets no limits.
type Limits struct {
	NoPayload bool // the payload is not read
	Tasks     int  // the tasks ahead are counted only if /tasks has at most this many; 0: always
}

var errNoPayload = errors.New("payloads are not read under a policy")

// Look reads one task, and all that decides why it waits. If all workers are busy, the states
// of the tasks ahead of it are read as well.
func Look(ctx context.Context, s *session.Session, id string, limits Limits) (*Case, error) {
	c := &Case{Tree: new(Tree)}
	if err := s.Sync(); err != nil {
		return nil, err
	}
	var err error
	if c.Tree.Access, err = readAccess(s); err != nil {
		return nil, err
	}
	// The workers before the task: after a commit between the two reads the task is seen as
	// finished, not as lost.
	if err := c.Tree.readRoles(ctx, s, new(known)); err != nil {
		return nil, err
	}
	var payload []byte
	if err = errNoPayload; !limits.NoPayload {
		payload, _, err = s.Get(task.DataPath(id))
	}
	switch {
	case err == nil:
		text := newText(payload)
		c.Payload = &text
	case errors.Is(err, session.ErrOver):
		return nil, err
	case !errors.Is(err, zk.ErrNoNode):
		c.PayloadErr = err
	}
	switch c.Task, err = getTask(s, id); {
	case errors.Is(err, zk.ErrNoNode):
		return nil, c.gone(id)
	case err != nil:
		return nil, err
	}
	switch c.why(c.holders(c.Task.Modified)) {
	case waitBusy:
		c.Ahead, err = c.ahead(ctx, s, limits.Tasks)
	case waitSoon:
		err = c.rival(ctx, s)
	}
	return c, err
}

// rival looks for the reason that keeps a task from free workers: each of their processes
// executes another task that was lost as often.
func (c *Case) rival(ctx context.Context, s *session.Session) error {
	if c.Task.Losses == 0 {
		return nil
	}
	var names []string
	process := make(map[string]int64) // session of the process that executes a task
	free := make(map[int64]bool)      // processes with a worker that is free, and not drained
	draining := c.Tree.draining()
	for i := range c.Tree.Workers {
		switch w := &c.Tree.Workers[i]; {
		case !w.usable() || w.queue() != c.Task.queue():
		case len(w.Tasks) == 0:
			if len(draining.Of(w.Name)) == 0 {
				free[w.Owner] = true
			}
		default:
			names = append(names, w.Tasks[0])
			process[w.Tasks[0]] = w.Owner
		}
	}
	executed, err := readAll(ctx, names, func(name string) (Task, error) { return getTask(s, name) })
	if err != nil {
		return err
	}
	var rival *Task
	for i, x := range executed {
		if p := process[x.Name]; free[p] && x.wellFormed() && x.Losses >= c.Task.Losses {
			delete(free, p)
			rival = &executed[i]
		}
	}
	if len(free) == 0 {
		c.Rival = rival
	}
	return nil
}

// gone is task.ErrNotFound, with the leftovers of the task.
func (c *Case) gone(id string) error {
	err := fmt.Errorf("%s: %w", name(id), task.ErrNotFound)
	if c.Payload != nil {
		err = fmt.Errorf("%w; its payload exists: %s", err, name(task.DataPath(id)))
	}
	for _, w := range c.Tree.holders()[id] {
		err = fmt.Errorf("%w; worker %s lists it", err, name(w.Name))
	}
	return err
}

// ahead counts the pending tasks that are assigned before this one. It returns 0 if /tasks has
// more than most children; most 0 is no limit.
func (c *Case) ahead(ctx context.Context, s *session.Session, most int) (n int, err error) {
	if most > 0 {
		switch stat, err := s.Stat(task.TasksDir); {
		case errors.Is(err, session.ErrOver):
			return 0, err
		case err != nil, int(stat.NumChildren) > most:
			return 0, nil
		}
	}
	names, err := c.Tree.list(s, task.TasksDir)
	if err != nil {
		return 0, err
	}
	held := c.Tree.holders()
	names = slices.DeleteFunc(names, func(other string) bool { return len(held[other]) > 0 || !task.ValidID(other) })
	ahead, err := readAll(ctx, sched.Before(names, c.Task.Name), func(other string) (bool, error) {
		x, err := getTask(s, other)
		return x.wellFormed() && x.Phase == task.Pending, err
	})
	for _, waits := range ahead {
		if waits {
			n++
		}
	}
	return n, err
}
