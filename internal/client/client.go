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

// MaxPayload is the largest payload of a task, in bytes: one request to ZooKeeper, less
// its paths.
const MaxPayload = session.MaxPacket - 1000

// ErrRemoved means that someone removed the task before it was finished.
var ErrRemoved = errors.New("was removed before it finished")

// Config configures a client. Its zero value means the defaults.
type Config struct {
	Queue  string       // of the tasks that it submits; default: the default queue
	Asks   task.Facts   // what each task asks for: task.FactKind, task.FactTimeout; default: nothing
	Logger *slog.Logger // default: nothing is logged
}

// Client submits tasks through one session after the other. Serve gets each session; Do
// uses the current one.
//
// When a session ends, ZooKeeper deletes all its znodes in one transaction. So keep no more
// than 2000 calls of Do under way, and fewer below a long chroot: see Batch.Check. Tasks
// that are being cleaned up come on top, for some milliseconds.
type Client struct {
	log    *slog.Logger
	queue  string
	ids    *task.Submitter
	fresh  []byte // the state of a task when it is submitted
	rights *session.Rights

	mu      sync.Mutex // guards the rest
	current *serving
	arrived chan struct{} // closed when current is set
}

// serving is the client's time on one session.
type serving struct {
	s      *session.Session
	group  *session.Group
	waiter *waiter
	users  sync.WaitGroup  // calls of Do that use it, and clean-ups
	ctx    context.Context // Serve's
	places chan struct{}   // one for each task of Do whose znodes exist
}

// mostTasks is how many tasks of Do may exist, including those that are being cleaned up.
// Without it their number would grow without limit while the right to delete is missing,
// and the end of the session must delete all of them at once.
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

// NewID returns a new task id in the client's queue. All ids of a client have the same
// mark, so the leader can share the workers among clients.
func (c *Client) NewID() string { return c.ids.NewID() }

// Serve lets Do use the session until ctx or the session ends. It returns when no Do uses
// the session any more. If only ctx has ended, each Do has withdrawn its task by then, and
// finished tasks are cleaned up. No two calls of Serve may overlap.
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

	c.drop(sv) // before stop: callers that stop releases ask for the next session at once
	open := sv.waiter.stop()
	if over := s.Err(); over != nil && open > 0 {
		c.log.Warn("submitting unfinished tasks again, under new ids", "tasks", open, "err", over)
	}
	sv.users.Wait()
	return err
}

// drop makes sure that acquire does not return sv any more.
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

// Result is the outcome of a submission.
type Result struct {
	ID    string        // of the last submission
	State task.State    // Done or Failed
	Took  time.Duration // since the last submission

	// Set by Await only.
	Version  int32 // of the state
	Attached bool  // a client waits for the task
}

// Do submits a task, waits until it is finished, and fetches the result. The task is
// deleted some milliseconds later, at the latest before Serve returns. A task that failed
// is no error: see Result.State. Do fails
//
//   - with ctx's cause when ctx ends. By then the task is withdrawn; while the connection
//     is lost that waits, as long as Serve does;
//   - with ErrRemoved when someone removed the task;
//   - when the payload is too large (session.ErrTooLarge), or the right to read the task's
//     znodes is missing.
//
// Do waits while the right to create in /tasks or /data, or to delete, is missing.
func (c *Client) Do(ctx context.Context, payload []byte) (Result, error) {
	return c.DoAs(ctx, c.NewID(), payload)
}

// DoAs is Do with an id that NewID made. Tasks that several calls submit at the same time
// are assigned in the order of their ids. The caller must use an id once. When a session
// ends and DoAs submits the task again, it takes a new id.
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

// on calls do with the current session, and again with the next one when do fails because
// the session is over. It returns ctx's cause when ctx ends while there is no session.
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

// submit is serving.submit, and waits while the right to create is missing.
func (c *Client) submit(ctx context.Context, sv *serving, id string, payload []byte, detached bool) error {
	return c.rights.Patiently(ctx, task.DataDir, session.RightCreate, func() error {
		return sv.submit(id, payload, c.fresh, detached)
	})
}

// cleanUp removes a task whose result was fetched. Only Serve waits for the removal.
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

// remove removes a task of Do, and then frees its place. While the right to delete is
// missing, it tries again in the background, for as long as Serve lasts.
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

// submit creates the task's two znodes: ephemeral, or persistent if the task is detached.
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

// submitted reports whether a submission was carried out after its answer was lost. It was
// if the payload's znode has the right owner (0 for a detached task) and payload, or if the
// state's znode has the right owner: someone may have removed the payload meanwhile.
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

// remove deletes the task's two znodes; only the payload if the state is known to be gone.
// It is used to clean up and to withdraw. If one znode cannot be deleted, remove still
// deletes the other, and then fails.
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
		case errors.Is(err, session.ErrUnknown): // again: NoNode means that it was carried out
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
