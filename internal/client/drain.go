package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// ErrNotDrained means that there is no drain of that name.
var ErrNotDrained = errors.New("is not drained")

// Drain makes the leader assign no more tasks to the workers of a host, of a process
// (<host>:<pid>), or to one worker, until Undrain. It also applies to workers that register
// later. It is no error if the name is drained already. When Drain fails, the drain may
// exist all the same.
func Drain(s *session.Session, name string) error {
	for {
		_, err := s.Multi(session.Create(task.DrainPath(name), nil))
		switch {
		case err == nil, errors.Is(err, zk.ErrNodeExists):
			return nil
		case errors.Is(err, session.ErrUnknown):
		case errors.Is(err, zk.ErrNoNode):
			if err := s.EnsureDirs(task.DrainDir); err != nil {
				return err
			}
		default:
			return fmt.Errorf("drain: %w", err)
		}
	}
}

// Undrain ends a drain. It fails with ErrNotDrained if there is none: perhaps because this
// very call was carried out, and its answer was lost.
func Undrain(s *session.Session, name string) error {
	for {
		_, err := s.Multi(session.Delete(task.DrainPath(name), session.AnyVersion))
		switch {
		case err == nil:
			return nil
		case errors.Is(err, session.ErrUnknown):
		case errors.Is(err, zk.ErrNoNode):
			return ErrNotDrained
		case errors.Is(err, zk.ErrNotEmpty):
			return fmt.Errorf("undrain: there are znodes below %s, made by hand: delete them first", task.DrainPath(name))
		default:
			return fmt.Errorf("undrain: %w", err)
		}
	}
}

// WaitDrained waits until the leader has written that the workers of that name are free.
// They get no tasks until Undrain. Without a leader WaitDrained waits for ever. It fails
// with ctx's cause, and with ErrNotDrained when someone ends the drain.
func WaitDrained(ctx context.Context, s *session.Session, name string) error {
	path := task.DrainPath(name)
	hints := s.Hints(path)
	defer s.Forget(path)
	for {
		data, stat, err := s.GetW(path)
		drained := false
		if err == nil {
			drained, _ = task.ParseDrain(data, stat.Version)
		}
		switch {
		case errors.Is(err, zk.ErrNoNode):
			return ErrNotDrained
		case err != nil:
			return err
		case drained:
			return nil
		}
		select {
		case <-hints.C:
			hints.Take()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Workers lists the names of the workers that are registered, in no order.
func Workers(s *session.Session) ([]string, error) {
	names, _, err := s.Children(task.WorkersDir)
	if errors.Is(err, zk.ErrNoNode) {
		return nil, nil
	}
	return names, err
}

// Taking counts the given workers that are not drained, and returns the names of the drains
// that apply to the others.
func Taking(s *session.Session, workers []string) (n int, drains []string, err error) {
	names, _, err := s.Children(task.DrainDir)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		return 0, nil, err
	}
	n, drains = taking(workers, names)
	return n, drains, nil
}

// taking is Taking with a listing of /drain.
func taking(workers, drains []string) (n int, of []string) {
	draining := task.NewDraining(drains)
	for _, w := range workers {
		by := draining.Of(w)
		if len(by) == 0 {
			n++
		}
		of = append(of, by...)
	}
	slices.Sort(of)
	return n, slices.Compact(of)
}
