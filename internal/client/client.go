package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// MaxPayload is the most that a task carries, in bytes: what one request to
// ZooKeeper may hold, less its paths.
const MaxPayload = session.MaxPacket - 1000

// ErrRemoved means that someone removed the task before it was finished.
var ErrRemoved = errors.New("was removed before it finished")

// Config is how a client works. Its zero value is the default.
type Config struct {
	Queue  string       // of the tasks that it submits; default: the default queue
	Asks   task.Facts   // what it asks for each of them: task.FactKind, task.FactTimeout; default: nothing
	Logger *slog.Logger // default: none
}

// Client submits tasks through one session after the other: Serve is given
// each of them, Do uses the one of the moment.
//
// ZooKeeper must delete at once what a session held when it ends, so keep no
// more than 2000 calls of Do under way, and fewer below a long chroot: see
// Batch.Check. What is being cleaned up comes on top, for some milliseconds.
type Client struct {
	log    *slog.Logger
	queue  string
	ids    *task.Submitter
	fresh  []byte // the state of a task that it submits
	rights *session.Rights

	mu      sync.Mutex // guards the rest
	current *serving
	arrived chan struct{} // closed when there is a current one
}

// serving is the client's time on one session.
type serving struct {
	s      *session.Session
	group  *session.Group
	waiter *waiter
	users  sync.WaitGroup  // calls of Do that use it, and clean-ups
	ctx    context.Context // Serve's
	places chan struct{}   // one for each task of Do that is there
}

// mostTasks is how many tasks of Do there may be, with those that are being cleaned up:
// where that is not allowed, they are not to become ever more. Their session's end
// removes them at once.
const mostTasks = 2 * MaxWindow

// New returns a client that waits for Serve.
func New(cfg Config) *Client {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{
		log: cfg.Logger, queue: cfg.Queue, ids: task.NewSubmitter(cfg.Queue), fresh: task.State{Phase: task.Pending, Facts: cfg.Asks}.Bytes(),
		rights: session.NewRights(cfg.Logger), arrived: make(chan struct{}),
	}
}

// NewID returns a new task id in the client's queue. All that the client submits carries
// its mark, by which the leader tells it from other clients.
func (c *Client) NewID() string { return c.ids.NewID() }

// Serve lets Do use the session until ctx ends, or the session. It returns when
// every Do has let go of it: after the end of ctx alone, when each has withdrawn
// its task, and what was fetched is cleaned up. It serves one session at a time.
func (c *Client) Serve(ctx context.Context, s *session.Session) error {
	sv := &serving{
		s: s, group: s.NewGroup(), waiter: newWaiter(s, c.log),
		ctx: ctx, places: make(chan struct{}, mostTasks),
	}
	c.mu.Lock()
	c.current = sv
	close(c.arrived)
	c.mu.Unlock()

	err := sv.waiter.run(ctx)

	c.drop(sv) // first: those who are told look for the next session at once
	open := sv.waiter.stop()
	if over := s.Err(); over != nil && open > 0 {
		c.log.Warn("submitting unfinished tasks again, under new ids", "tasks", open, "err", over)
	}
	sv.users.Wait()
	return err
}

// drop sees to it that acquire does not return sv any more.
func (c *Client) drop(sv *serving) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == sv {
		c.current, c.arrived = nil, make(chan struct{})
	}
}

// acquire waits for a session.
func (c *Client) acquire(ctx context.Context) (*serving, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c.mu.Lock()
		sv, arrived := c.current, c.arrived
		if sv != nil {
			sv.users.Add(1)
		}
		c.mu.Unlock()
		if sv != nil {
			return sv, nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
		}
	}
}

// Result is what became of a submission.
type Result struct {
	ID    string        // under which it was finished
	State task.State    // Done or Failed
	Took  time.Duration // since it was submitted, for the last time

	// Of Await alone.
	Version  int32 // of the state
	Attached bool  // a client waits for it
}

// Do submits a task, waits until it is finished, and fetches the result; the task
// is cleaned up a little later, at the latest when Serve returns. A task that failed
// is no error: see Result.State. It fails
//
//   - with ctx's cause when ctx ends: the task has been withdrawn, which waits
//     for a lost connection as long as Serve does;
//   - with ErrRemoved when someone removed the task;
//   - when the payload is too large (session.ErrTooLarge), or its znodes may not be
//     read.
//
// Where nothing may be created in /tasks or /data, or deleted, it waits until it may.
func (c *Client) Do(ctx context.Context, payload []byte) (Result, error) {
	return c.DoAs(ctx, c.NewID(), payload)
}

// DoAs is Do under an id that NewID made: what is submitted at the same
// time by several calls is assigned in the order of the ids. It is the caller's
// to use an id once. Submitted again, the task has an id of its own.
func (c *Client) DoAs(ctx context.Context, id string, payload []byte) (r Result, err error) {
	err = c.on(ctx, func(sv *serving) (err error) {
		if r, err = c.do(ctx, sv, id, payload); errors.Is(err, session.ErrOver) {
			c.log.Debug("submitting again under a new id", "task", id, "err", err)
			id = c.NewID()
		}
		return err
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return r, err
}

// on has something done on the session of the moment, and again on the next one
// when that is over. It returns ctx's cause when ctx ends before there is one.
func (c *Client) on(ctx context.Context, do func(*serving) error) error {
	for {
		sv, err := c.acquire(ctx)
		if err != nil {
			return err
		}
		err = do(sv)
		sv.users.Done()
		if !errors.Is(err, session.ErrOver) {
			return err
		}
		c.drop(sv)
	}
}

func (c *Client) do(ctx context.Context, sv *serving, id string, payload []byte) (Result, error) {
	r := Result{ID: id}
	began := time.Now()
	select {
	case sv.places <- struct{}{}:
	case <-ctx.Done():
		return r, context.Cause(ctx)
	case <-sv.s.Done():
		return r, sv.s.Err()
	}
	if err := c.submit(ctx, sv, id, payload, false); err != nil {
		<-sv.places
		return r, err
	}
	c.log.Debug("submitted", "task", id)
	a := sv.waiter.wait(ctx, id)
	r.State, r.Took = a.state, time.Since(began)
	if a.err == nil {
		c.cleanUp(sv, id)
	} else {
		c.remove(sv, id, errors.Is(a.err, ErrRemoved))
	}
	return r, a.err
}

// submit is serving.submit, and waits until it may.
func (c *Client) submit(ctx context.Context, sv *serving, id string, payload []byte, detached bool) error {
	return c.rights.Patiently(ctx, task.DataDir, session.RightCreate, func() error {
		return sv.submit(id, payload, c.fresh, detached)
	})
}

// cleanUp removes a task whose result is there. Nobody waits for that but Serve.
func (c *Client) cleanUp(sv *serving, id string) {
	sv.users.Add(1)
	sv.group.Later(func(_ []session.Result, err error) {
		if err == nil {
			<-sv.places
			sv.users.Done()
			return
		}
		go func() {
			defer sv.users.Done()
			c.remove(sv, id, false)
		}()
	}, removal(id)...)
}

// remove removes a task of Do, after which there is a place for another. Where it may
// not, it goes on trying for as long as Serve lasts; nobody waits for that.
func (c *Client) remove(sv *serving, id string, gone bool) {
	err := sv.remove(id, gone)
	if !session.Refused(err) {
		<-sv.places
		if err != nil && !errors.Is(err, session.ErrOver) {
			c.log.Warn("not cleaned up", "task", id, "err", err)
		}
		return
	}
	sv.users.Go(func() {
		_ = c.rights.Patiently(sv.ctx, task.DataDir, session.RightDelete, func() error { return sv.remove(id, gone) })
		<-sv.places
	})
}

func removal(id string) []session.Op {
	return []session.Op{
		session.Delete(task.DataPath(id), session.AnyVersion),
		session.Delete(task.StatePath(id), session.AnyVersion),
	}
}

// submit creates the task's two znodes: for as long as the session lasts, or
// detached, for good.
func (sv *serving) submit(id string, payload, state []byte, detached bool) error {
	if len(payload) > MaxPayload {
		return TooLarge(int64(len(payload)))
	}
	create := session.CreateEphemeral
	owner := sv.s.ID()
	if detached {
		create, owner = session.Create, 0
	}
	ops := []session.Op{
		create(task.DataPath(id), payload),
		create(task.StatePath(id), state),
	}
	for {
		_, err := sv.group.Multi(ops...)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, zk.ErrNoNode):
			if err := sv.s.EnsureDirs(task.Dirs()...); err != nil {
				return err
			}
		case errors.Is(err, session.ErrUnknown):
			if done, err := sv.submitted(id, payload, owner); done || err != nil {
				return err
			}
		case errors.Is(err, session.ErrTooLarge):
			return fmt.Errorf("payload of %d bytes: %w for these servers, see their jute.maxbuffer", len(payload), session.ErrTooLarge)
		default:
			return fmt.Errorf("submit: %w", err)
		}
	}
}

// submitted tells whether a submission was carried out whose answer was lost: its
// znodes are there, the owner's (of a detached one nobody's), with its payload.
// Either znode tells: someone may have removed the other meanwhile.
func (sv *serving) submitted(id string, payload []byte, owner int64) (bool, error) {
	if err := sv.s.Sync(); err != nil {
		return false, err
	}
	data, stat, err := sv.s.Get(task.DataPath(id))
	if !errors.Is(err, zk.ErrNoNode) {
		return err == nil && stat.EphemeralOwner == owner && bytes.Equal(data, payload), err
	}
	_, stat, err = sv.s.Get(task.StatePath(id))
	if errors.Is(err, zk.ErrNoNode) {
		return false, nil
	}
	return err == nil && stat.EphemeralOwner == owner, err
}

// remove deletes the task's two znodes, or the payload alone when the state is
// known to be gone. It serves to clean up and to withdraw. What cannot be
// deleted does not keep the other from it.
func (sv *serving) remove(id string, gone bool) error {
	ops := removal(id)
	if gone {
		ops = ops[:1]
	}
	var kept error
	for len(ops) > 0 {
		_, err := sv.group.Multi(ops...)
		var refused *session.OpError
		switch {
		case err == nil:
			return kept
		case errors.Is(err, session.ErrUnknown): // what was deleted is refused now
		case !errors.As(err, &refused):
			return err
		default:
			if !errors.Is(refused, zk.ErrNoNode) { // someone else removed it
				kept = err
			}
			ops = slices.Delete(ops, refused.Index, refused.Index+1)
		}
	}
	return kept
}
