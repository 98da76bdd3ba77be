package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/command"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// reread is how often a slot reads its znode without a hint. It bounds the time that a
// lost watch can cost.
const reread = 10 * time.Second

// errGone means that the slot's znode is missing, or belongs to another session.
var errGone = errors.New("the worker's znode is gone")

// slot is one worker: one id, one znode, one execution at a time.
type slot struct {
	// Fixed at construction.
	s     *session.Session
	group *session.Group
	cfg   Config
	entry entry
	log   *slog.Logger
	id    string
	path  string
	hints *session.Hints

	// Owned by the goroutine of run.
	list    []*holding // the znode's content as last known
	version int32      // the znode's version as last known
	watch   watch      // on the znode
	stale   bool       // the znode must be read
	running *execution
	reading sync.WaitGroup // reads ahead of execution

	todo      chan job     // the executor's next task
	finished  chan outcome // the outcome of running
	written   chan receipt // the answer to the one write under way
	sent      []*holding   // the tasks that this write takes off the list, in list order; nil: no write is under way
	restUntil time.Time    // nothing is written before this time: see rest; zero: the last write succeeded
}

// watch is the watch on a slot's znode. Each change gives one event and raises the version
// by one. So the slot counts events, and reads its znode only when the count is higher than
// the version that it knows. An event that is counted twice costs one read.
type watch struct {
	set     bool
	stays   bool  // after an event: it is a persistent watch
	version int32 // of the znode, as counted by events
}

// receipt is the answer to a write.
type receipt struct {
	results []session.Result
	err     error
}

func newSlot(s *session.Session, group *session.Group, cfg Config, e entry) *slot {
	id := cfg.newName()
	return &slot{
		s: s, group: group, cfg: cfg, entry: e, id: id, path: task.WorkerPath(id),
		log:      cfg.Logger.With("worker", id),
		todo:     make(chan job, 1),
		finished: make(chan outcome, 1),
		written:  make(chan receipt, 1),
	}
}

// run registers the slot, and serves. When draining has ended, the slot leaves as soon as
// no task runs; when leaving has ended, at once. With errGone, or with
// command.ErrCannotStart (a task cannot be begun), the caller must start another slot.
func (sl *slot) run(draining, leaving context.Context) error {
	sl.hints = sl.s.Hints(sl.path)
	defer sl.s.Forget(sl.path)
	var executor sync.WaitGroup
	executor.Go(sl.executor)
	defer executor.Wait()
	defer close(sl.todo)
	err := sl.cfg.rights.RegisterPatiently(draining, task.WorkersDir, sl.register)
	switch {
	case err != nil && draining.Err() != nil && !errors.Is(err, session.ErrOver): // refused until the program stopped
		return nil
	case err != nil:
		return fmt.Errorf("register worker: %w", err)
	}
	sl.log.Info("registered")
	sl.cfg.Ready()
	defer sl.cfg.Metrics.Registered(sl.cfg.Queue)()

	err = sl.serve(draining, leaving)
	sl.stop()
	again := false
	switch {
	case errors.Is(err, errGone):
		sl.log.Warn("the worker's znode is gone, registering anew", "znode", sl.path)
		return errGone
	case errors.Is(err, command.ErrCannotStart):
		again = draining.Err() == nil
	case err != nil && !errors.Is(err, session.ErrOver) && draining.Err() == nil:
		// Someone changed its ACL, or wrote more into it than the slot can handle.
		sl.log.Warn("the worker's znode cannot be used, registering anew", "znode", sl.path, "err", err)
		if err := sl.abandon(); err != nil {
			return err
		}
		return errGone
	case err != nil && draining.Err() == nil:
		return err
	}
	switch err := sl.leave(); {
	case errors.Is(err, errStays) && again:
		sl.s.Close() // otherwise the tasks given back stay on its list
	case err != nil && !errors.Is(err, session.ErrOver) && !errors.Is(err, errStays):
		sl.log.Warn("some tasks were not given back", "err", err)
	case err == nil && !again:
		sl.log.Info("left")
	}
	if err := sl.s.Err(); err != nil || !again {
		return err
	}
	return command.ErrCannotStart
}

// abandon deletes the slot's znode, whatever its content: the leader counts a loss for the
// first task listed. Without the right to delete it ends the session, which deletes it.
func (sl *slot) abandon() error {
	for {
		_, err := sl.s.Multi(session.Delete(sl.path, session.AnyVersion))
		switch {
		case err == nil, errors.Is(err, zk.ErrNoNode):
			return nil
		case errors.Is(err, session.ErrUnknown): // again: NoNode means that the znode is deleted
		case session.Refused(err):
			sl.cfg.rights.Lacks(task.WorkersDir, session.RightDelete, err)
			sl.s.Close()
			return sl.s.Err()
		default:
			return err
		}
	}
}

// register creates the slot's znode.
func (sl *slot) register() error {
	for {
		_, err := sl.group.Multi(session.CreateEphemeral(sl.path, nil))
		switch {
		case err == nil:
			sl.stale = true
			return nil
		case errors.Is(err, zk.ErrNoNode):
			if err := sl.s.EnsureDirs(task.Dirs()...); err != nil {
				return err
			}
		case errors.Is(err, session.ErrUnknown):
			if err := sl.s.Sync(); err != nil {
				return err
			}
			if err := sl.read(); err == nil {
				return nil
			} else if !errors.Is(err, errGone) {
				return err
			}
		default:
			return err
		}
	}
}

// serve is the slot's loop. A slot that drains does not commit its last task here: the
// commit would make it free, and it would get more tasks. The Multi of leave commits it.
func (sl *slot) serve(draining, leaving context.Context) error {
	ticker := time.NewTicker(reread)
	defer ticker.Stop()
	drain := draining.Done()
	for {
		for sl.sent == nil && (sl.stale || !sl.watch.set || sl.version < sl.watch.version) {
			if err := sl.read(); err != nil {
				return err
			}
		}
		if draining.Err() == nil {
			sl.start(leaving)
		} else if sl.running == nil && sl.sent == nil {
			return nil
		}
		sl.write()
		select {
		case <-drain:
			drain = nil
			if sl.running != nil && sl.cfg.Drain > 0 {
				sl.log.Info("draining", "task", sl.running.task.id)
			}
		case <-leaving.Done():
			sl.logCancelled()
			return nil
		case <-sl.hints.C:
			paths, all := sl.hints.Take()
			sl.watch.hinted(paths[sl.path].Times)
			if all {
				sl.stale = true
				sl.watch.set = sl.watch.set && !sl.watch.stays // a persistent watch is lost with the connection
			}
		case <-ticker.C:
			sl.stale = true
		case o := <-sl.finished:
			if o.ended && leaving.Err() != nil { // select may prefer finished
				sl.logCancelled()
			}
			if err := sl.finish(o); err != nil {
				return err
			}
		case r := <-sl.written:
			if err := sl.settle(r); err != nil {
				return err
			}
		}
	}
}

// logCancelled logs that the slot leaves in the middle of a task.
func (sl *slot) logCancelled() {
	if sl.running != nil && sl.s.Err() == nil {
		sl.log.Info("leaving, cancelling the task to give it back", "task", sl.running.task.id)
	}
}

func (w *watch) hinted(n int) {
	w.version += int32(n)
	w.set = w.set && (n == 0 || w.stays)
}

// read reads the slot's znode and adopts its content. It waits while the connection is
// lost.
func (sl *slot) read() error {
	var data []byte
	var stat *zk.Stat
	var err error
	w := watch{set: true, stays: sl.watch.stays}
	if sl.watch.set {
		data, stat, err = sl.s.Get(sl.path)
	} else {
		data, stat, w.stays, err = sl.s.GetPersistentW(sl.path)
	}
	if errors.Is(err, zk.ErrNoNode) {
		return errGone
	}
	if err != nil {
		return err
	}
	if stat.EphemeralOwner != sl.s.ID() {
		return errGone
	}
	list, err := task.ParseList(data)
	if err != nil {
		return err
	}
	// An event that arrives meanwhile may predate this read; then the znode is read once too often.
	w.version = stat.Version
	sl.watch, sl.stale = w, false
	sl.version = stat.Version
	var gone []*holding
	sl.list, gone = merge(sl.list, list)
	for _, h := range gone {
		switch h.phase {
		case ready:
			sl.log.Warn("task was taken away, or the answer to its commit was lost", "task", h.id)
		case running:
			sl.log.Warn("task was taken away, cancelling it", "task", h.id)
			sl.running.cancel()
		}
	}
	return nil
}

// stop cancels the execution, and waits for it, for reads, and for the write under way.
func (sl *slot) stop() {
	defer sl.reading.Wait()
	if sl.running != nil {
		sl.running.cancel()
		_ = sl.finish(<-sl.finished) // leave gives back a task that could not be begun
	}
	if sl.sent != nil {
		_ = sl.settle(<-sl.written) // leave reads the znode if the outcome is unknown
	}
}
