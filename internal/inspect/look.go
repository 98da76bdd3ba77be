package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Look reads one task, and what decides what becomes of it. Where that is how many
// tasks are ahead of it, their states are read as well.
func Look(ctx context.Context, s *session.Session, id string) (*Case, error) {
	c := &Case{Tree: new(Tree)}
	// The workers before the task: whoever commits meanwhile is seen to have
	// finished it, not to have lost it.
	if err := c.Tree.readRoles(ctx, s); err != nil {
		return nil, err
	}
	payload, _, err := s.Get(task.DataPath(id))
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
	if c.why(c.holders(c.Task.Modified)) == waitBusy {
		c.Ahead, err = c.ahead(ctx, s)
	}
	return c, err
}

// gone is task.ErrNone, with what is left of the task.
func (c *Case) gone(id string) error {
	err := fmt.Errorf("%s: %w", name(id), task.ErrNone)
	if c.Payload != nil {
		err = fmt.Errorf("%w; its payload is there: %s", err, name(task.DataPath(id)))
	}
	for _, w := range c.Tree.holders()[id] {
		err = fmt.Errorf("%w; worker %s lists it", err, name(w.Name))
	}
	return err
}

// ahead counts the tasks that are assigned before this one.
func (c *Case) ahead(ctx context.Context, s *session.Session) (n int, err error) {
	names, err := c.Tree.list(s, task.TasksDir)
	if err != nil {
		return 0, err
	}
	held := c.Tree.holders()
	names = slices.DeleteFunc(names, func(other string) bool { return !before(other, c.Task.Name) || len(held[other]) > 0 })
	ahead, err := readAll(ctx, names, func(other string) (bool, error) {
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
