package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

var (
	// ErrFinished means that a task is done or failed already.
	ErrFinished = errors.New("is finished")
	// ErrNotFailed means that a task has not failed.
	ErrNotFailed = errors.New("has not failed")
	// ErrAttached means that a task belongs to a client that waits for it.
	ErrAttached = errors.New("belongs to a client that waits for it")
)

// Submit submits a detached task: such a task outlives the client, and is collected by its
// id. It returns the given id, which NewID made; or a new id, if the session ended during
// the submission and the task did not exist. It never submits a payload twice. Submit fails
//
//   - with ctx's cause when ctx ends first. A request under way is not stopped: if Submit
//     also returns an id, that task may exist;
//   - with the other errors of Do.
func (c *Client) Submit(ctx context.Context, id string, payload []byte) (string, error) {
	sent := false
	err := c.on(ctx, func(sv *serving) error {
		if sent { // the last session has ended, so its request will not be carried out later
			if done, err := sv.submitted(id, payload, 0); done || err != nil {
				return err
			}
			id = c.NewID()
		}
		sent = true
		return c.submit(ctx, sv, id, payload, true)
	})
	switch {
	case session.Refused(err):
		return "", context.Cause(ctx)
	case err != nil && ctx.Err() != nil && sent:
		return id, fmt.Errorf("task %s may have been submitted: %w", id, err)
	case err != nil:
		return "", err
	}
	return id, nil
}

// Await waits until a task is finished, and fetches its result. Anyone may have submitted
// the task. Await does not remove it: see Collect. Took is the time from its submission to
// its end by ZooKeeper's clock. Attached means that the submitter waits for the task, and
// removes it. Await fails with task.ErrNotFound, with ctx's cause, or when the right to read
// the znode is missing. Two calls must not wait for the same task at the same time.
func (c *Client) Await(ctx context.Context, id string) (Result, error) {
	r := Result{ID: id}
	err := c.on(ctx, func(sv *serving) error {
		for {
			a := sv.waiter.wait(ctx, id)
			switch {
			case a.err == nil:
				r.State, r.Version, r.Attached = a.state, a.stat.Version, a.stat.EphemeralOwner != 0
				r.Took = time.Duration(a.stat.Mtime-a.stat.Ctime) * time.Millisecond
				return nil
			case !errors.Is(a.err, ErrRemoved):
				return a.err
			}
			if _, _, err := sv.find(id); err != nil {
				return err
			}
		}
	})
	return r, err
}

// Withdraw removes a task that Submit submitted, finished or not: for a caller that could
// not print the id. When ctx ends while ZooKeeper is away, the task may still exist.
func (c *Client) Withdraw(ctx context.Context, id string) error {
	return c.on(ctx, func(sv *serving) error { return sv.remove(id, false) })
}

// find reads a task's state, or fails with task.ErrNotFound. A server may lag behind the
// one where the task was submitted.
func (sv *serving) find(id string) ([]byte, *zk.Stat, error) {
	data, stat, err := sv.s.Get(task.StatePath(id))
	if !errors.Is(err, zk.ErrNoNode) {
		return data, stat, err
	}
	if err := sv.s.Sync(); err != nil {
		return nil, nil, err
	}
	data, stat, err = sv.s.Get(task.StatePath(id))
	if errors.Is(err, zk.ErrNoNode) {
		err = task.ErrNotFound
	}
	return data, stat, err
}

// Collect removes a task whose result Await fetched. It is no error if the task is gone
// already. A failed task that has been made pending again stays, which is no error either.
// When ctx ends while ZooKeeper is away, the task may still exist.
func (c *Client) Collect(ctx context.Context, r Result) error {
	return c.on(ctx, func(sv *serving) error {
		for {
			err := sv.removeAt(r.ID, r.Version)
			switch {
			case errors.Is(err, session.ErrUnknown): // again: NoNode means that it was carried out
			case errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrBadVersion):
				return nil
			default:
				return err
			}
		}
	})
}

// removeAt deletes a task, if its state is at that version, and its payload, if there is
// one.
func (sv *serving) removeAt(id string, version int32) error {
	state, payload := session.Delete(task.StatePath(id), version), session.Delete(task.DataPath(id), session.AnyVersion)
	_, err := sv.group.Multi(state, payload)
	var refused *session.OpError
	if errors.As(err, &refused) && refused.Index == 1 && errors.Is(err, zk.ErrNoNode) {
		_, err = sv.group.Multi(state)
	}
	return err
}

// Cancel removes a task that is not finished. If a worker runs the task, the leader revokes
// it, and the worker stops. Cancel fails with task.ErrNotFound, with ErrFinished, with ctx's
// cause when ctx ends while ZooKeeper is away (the task may be removed all the same), or
// when the right to read or delete the znodes is missing.
func (c *Client) Cancel(ctx context.Context, id string) error {
	sent := false // the request was sent, and its answer was lost
	return c.on(ctx, func(sv *serving) error {
		for {
			data, stat, err := sv.find(id)
			switch {
			case errors.Is(err, task.ErrNotFound) && sent:
				return nil
			case err != nil:
				return err
			}
			if s := task.ParseState(data); s.Finished() {
				return fmt.Errorf("%w: %s", ErrFinished, s.Phase)
			}
			err = sv.removeAt(id, stat.Version)
			switch {
			case err == nil:
				return nil
			case errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrBadVersion):
			case errors.Is(err, session.ErrUnknown):
				sent = true
				if err := sv.s.Sync(); err != nil {
					return err
				}
			default:
				sent = sent || errors.Is(err, session.ErrOver)
				return err
			}
		}
	})
}

// Retry makes a detached task that failed pending again; its payload still exists. Retry
// fails with task.ErrNotFound, ErrNotFailed, ErrAttached, with ctx's cause when ctx ends
// while ZooKeeper is away (the task may be pending all the same), or when the right to read
// or write the znode is missing.
func (c *Client) Retry(ctx context.Context, id string) error {
	sent := int32(-1) // the version in a request whose answer was lost
	return c.on(ctx, func(sv *serving) error {
		for {
			data, stat, err := sv.find(id)
			if err != nil {
				return err
			}
			s := task.ParseState(data)
			switch {
			case sent >= 0 && stat.Version > sent: // this client did, or another one retried it as well
				return nil
			case s.Phase != task.Failed:
				return fmt.Errorf("%w: %s", ErrNotFailed, s.Phase)
			case stat.EphemeralOwner != 0:
				return ErrAttached
			}
			_, err = sv.group.Multi(session.Set(task.StatePath(id), s.Again().Bytes(), stat.Version))
			switch {
			case err == nil:
				return nil
			case errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrBadVersion):
			case errors.Is(err, session.ErrUnknown):
				sent = stat.Version
				if err := sv.s.Sync(); err != nil {
					return err
				}
			default:
				if errors.Is(err, session.ErrOver) {
					sent = stat.Version
				}
				return err
			}
		}
	})
}
