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
	// ErrFinished means that a task has its result or its failure already.
	ErrFinished = errors.New("is finished")
	// ErrNotFailed means that a task is not one that failed.
	ErrNotFailed = errors.New("has not failed")
	// ErrAttached means that a task belongs to a client that waits for it.
	ErrAttached = errors.New("belongs to a client that waits for it")
)

// Submit submits a detached task: one that outlives the client and is collected
// by its id. It returns the id: the given one, which NewID made, or another
// where the session ended meanwhile and the task was not there. The same payload
// is never submitted twice. It fails with
//
//   - ctx's cause when ctx ended before it was submitted; what is on its way is
//     not called back. With an id, that task may be there;
//   - what Do fails with as well.
func (c *Client) Submit(ctx context.Context, id string, payload []byte) (string, error) {
	sent := false
	err := c.on(ctx, func(sv *serving) error {
		if sent { // the session before has ended: what it sent is there, or never will be
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

// Await waits until a task is finished, whoever submitted it, and fetches its
// result. It leaves the task where it is: see Collect. Took is the time from its
// submission to its end by ZooKeeper's clock, Attached whether a client waits for
// it that cleans it up. It fails with task.ErrNotFound, with ctx's cause, or when the
// znode may not be read. No two calls may wait for the same task at a time.
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

// Withdraw removes a task that Submit submitted, finished or not: for who can tell its
// id to nobody. When ctx ends while ZooKeeper is away it may still be there.
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

// Collect removes a task whose result Await fetched. It is no error when someone
// else did, or when the task failed and has been made pending again: then it stays.
// When ctx ends while ZooKeeper is away it may still be there.
func (c *Client) Collect(ctx context.Context, r Result) error {
	return c.on(ctx, func(sv *serving) error {
		for {
			err := sv.removeAt(r.ID, r.Version)
			switch {
			case errors.Is(err, session.ErrUnknown): // what was removed is refused now
			case errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrBadVersion):
				return nil
			default:
				return err
			}
		}
	})
}

// removeAt deletes a task whose state is at a version, and its payload if there
// is one.
func (sv *serving) removeAt(id string, version int32) error {
	state, payload := session.Delete(task.StatePath(id), version), session.Delete(task.DataPath(id), session.AnyVersion)
	_, err := sv.group.Multi(state, payload)
	var refused *session.OpError
	if errors.As(err, &refused) && refused.Index == 1 && errors.Is(err, zk.ErrNoNode) {
		_, err = sv.group.Multi(state)
	}
	return err
}

// Cancel removes a task that is not finished; if a worker runs it, the leader has
// it stopped. It fails with task.ErrNotFound, with ErrFinished, with ctx's cause when
// ctx ends while ZooKeeper is away (it may have been carried out), or when the
// znodes may not be read or deleted.
func (c *Client) Cancel(ctx context.Context, id string) error {
	sent := false // and no answer came
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

// Retry makes a detached task that failed pending again; its payload is still
// there. It fails with task.ErrNotFound, ErrNotFailed, ErrAttached, with ctx's cause when
// ctx ends while ZooKeeper is away (it may have been carried out), or when the
// znode may not be read or written.
func (c *Client) Retry(ctx context.Context, id string) error {
	sent := int32(-1) // the version at which it was sent, and no answer came
	return c.on(ctx, func(sv *serving) error {
		for {
			data, stat, err := sv.find(id)
			if err != nil {
				return err
			}
			s := task.ParseState(data)
			switch {
			case sent >= 0 && stat.Version > sent: // by us, or by a rival that did the same
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
