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

// ErrNotDrained means that nothing of that name is drained.
var ErrNotDrained = errors.New("is not drained")

// Drain has the leader give no more tasks to the workers of a host, to those of a process,
// <host>:<pid>, or to one worker, until Undrain; workers that come later are meant as
// well. What was drained before stays so. It may have been carried out though it fails.
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

// Undrain ends Drain. It fails with ErrNotDrained where there is nothing to end, which may
// be so because this call was carried out and its answer lost.
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
			return fmt.Errorf("undrain: there are znodes below %s, and no program of ours makes any: delete them first", task.DrainPath(name))
		default:
			return fmt.Errorf("undrain: %w", err)
		}
	}
}

// WaitDrained waits until the leader says that the workers of that name are free: they
// get no more tasks until Undrain. Without a leader that is never. It fails with ctx's
// cause, and with ErrNotDrained when somebody undrains them.
func WaitDrained(ctx context.Context, s *session.Session, name string) error {
	path := task.DrainPath(name)
	hints := s.Hints(path)
	defer s.Forget(path)
	for {
		data, stat, err := s.GetW(path)
		told := false
		if err == nil {
			told, _ = task.ParseDrain(data, stat.Version)
		}
		switch {
		case errors.Is(err, zk.ErrNoNode):
			return ErrNotDrained
		case err != nil:
			return err
		case told:
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

// Taking counts those of some workers that are not drained, and lists the drains of the
// others.
func Taking(s *session.Session, workers []string) (n int, drains []string, err error) {
	names, _, err := s.Children(task.DrainDir)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		return 0, nil, err
	}
	n, drains = taking(workers, names)
	return n, drains, nil
}

// taking is Taking, of a listing of /drain.
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
