package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// quickWatches is how many of the oldest tasks are watched that may be short: their
	// watch was set within the last long.
	quickWatches = 4
	// maxRead is how many tasks one batch may read while all that it reads are finished.
	maxRead = 256
	// A task counts as long when it has been watched, or has waited, for this time. So
	// often longWatches more tasks are watched: 1,000 within about 3 s.
	long        = 50 * time.Millisecond
	longWatches = 16
	// reread is how often watched tasks are read without a hint. It bounds the time that a
	// lost watch can cost.
	reread = 10 * time.Second
)

// errStopped means that Serve ended although the session goes on.
var errStopped = fmt.Errorf("%w: the client stopped using it", session.ErrOver)

// waiter waits for many tasks with few watches.
type waiter struct {
	// Fixed at construction.
	s     *session.Session
	log   *slog.Logger
	hints *session.Hints
	wake  chan struct{}

	// Owned by run.
	open   []*waiting // unfinished, the oldest first
	byID   map[string]*waiting
	chunks session.Chunks
	moved  time.Time // when last a task finished, or was added while none was open

	mu    sync.Mutex // guards the rest
	added []*waiting
	left  []*waiting
	over  error // why nobody can wait any more
}

// waiting is a task that someone waits for.
type waiting struct {
	id      string
	came    time.Time
	watched bool
	since   time.Time   // when the watch was set
	fired   bool        // must be read
	warned  bool        // that its state is malformed
	answer  chan answer // receives once
}

type answer struct {
	state task.State
	stat  *zk.Stat // unless err is set
	err   error
}

func newWaiter(s *session.Session, log *slog.Logger) *waiter {
	return &waiter{
		s: s, log: log, hints: s.Hints(task.TasksDir + "/"), wake: make(chan struct{}, 1),
		byID: make(map[string]*waiting), chunks: session.Chunks{Most: 256},
	}
}

// wait returns the task's state when the task is finished; ErrOver when the session is
// over, ErrRemoved when the task vanished, ctx's cause when ctx ends. Two calls must not
// wait for the same task at the same time.
func (w *waiter) wait(ctx context.Context, id string) answer {
	e := &waiting{id: id, came: time.Now(), answer: make(chan answer, 1)}
	w.mu.Lock()
	if w.over != nil {
		w.mu.Unlock()
		return answer{err: w.over}
	}
	w.added = append(w.added, e)
	w.mu.Unlock()
	w.poke()
	select {
	case a := <-e.answer:
		return a
	case <-ctx.Done():
		w.mu.Lock()
		w.left = append(w.left, e)
		w.mu.Unlock()
		w.poke()
		return answer{err: context.Cause(ctx)}
	}
}

func (w *waiter) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run serves wait until ctx or the session ends. Then the caller must call stop. run has
// no regular timer: it wakes up for hints, calls of wait, and timers that are needed.
func (w *waiter) run(ctx context.Context) error {
	defer w.s.Forget(task.TasksDir + "/")
	stall := newStall(w.s, w.log, w.queues)
	defer stall.end()
	var grow, resync <-chan time.Time // nil while not needed
	for {
		w.merge()
		if err := w.look(0); err != nil {
			return err
		}
		if grow == nil && w.behind() {
			grow = time.After(long)
		}
		if resync == nil && len(w.open) > 0 {
			resync = time.After(reread)
		}
		stall.count(len(w.open), w.moved)
		var err error
		select {
		case <-ctx.Done():
			return w.s.Err()
		case <-w.s.Done():
			return w.s.Err()
		case <-w.wake:
		case <-w.hints.C:
			w.takeHints()
		case <-grow:
			grow = nil
			err = w.look(longWatches)
		case <-resync:
			resync = nil
			w.again()
		case <-stall.hints.C:
			err = stall.hinted(len(w.open))
		case <-stall.due:
			err = stall.dueNow(len(w.open), w.moved)
		}
		if err != nil {
			return err
		}
	}
}

// queues returns the queues of the open tasks.
func (w *waiter) queues() map[string]bool {
	queues := make(map[string]bool)
	for _, e := range w.open {
		queue, _ := task.SplitQueue(e.id)
		queues[queue] = true
	}
	return queues
}

// stop ends all current and later calls of wait with an error. It returns how many tasks
// were open.
func (w *waiter) stop() (open int) {
	over := w.s.Err()
	if over == nil {
		over = errStopped
	}
	w.mu.Lock()
	w.over = over
	w.mu.Unlock()
	w.merge()
	for _, e := range w.open {
		e.answer <- answer{err: over}
	}
	return len(w.open)
}

// merge takes over the tasks that calls of wait have added or left.
func (w *waiter) merge() {
	w.mu.Lock()
	added, left := w.added, w.left
	w.added, w.left = nil, nil
	w.mu.Unlock()
	if len(w.open) == 0 && len(added) > 0 {
		w.moved = time.Now()
	}
	for _, e := range added {
		w.open = append(w.open, e)
		w.byID[e.id] = e
	}
	for _, e := range left {
		if w.byID[e.id] == e { // the id may have been added anew
			delete(w.byID, e.id)
		}
	}
	if len(left) > 0 {
		w.shrink()
	}
}

// shrink drops from open what is no longer in byID.
func (w *waiter) shrink() {
	w.open = slices.DeleteFunc(w.open, func(e *waiting) bool { return w.byID[e.id] != e })
}

func (w *waiter) takeHints() {
	paths, all := w.hints.Take()
	for p := range paths {
		if e := w.byID[strings.TrimPrefix(p, task.TasksDir+"/")]; e != nil {
			e.watched, e.fired = false, true
		}
	}
	if all {
		w.again()
	}
}

// again marks all watched tasks to be read.
func (w *waiter) again() {
	for _, e := range w.open {
		e.fired = e.fired || e.watched
	}
}

// look reads the tasks whose watch fired, and then the oldest unwatched ones, in batches
// that double while all that they read are finished: if one task has finished, the next
// ones most likely have as well, and one request for many is cheap. At the end it sets
// watches: see toWatch.
func (w *waiter) look(more int) error {
	next := w.fired()
	for n := len(next); ; {
		for len(next) > 0 {
			if _, suspended := w.s.Suspended(); suspended {
				return nil // a reconnect hints at all paths
			}
			finished, err := w.read(next, false)
			if err != nil {
				return err
			}
			if finished < len(next) {
				break
			}
			n = min(2*n, maxRead)
			next = w.unwatched(n)
		}
		if _, suspended := w.s.Suspended(); suspended {
			return nil
		}
		finished, err := w.read(w.toWatch(more), true)
		if err != nil || finished == 0 {
			return err
		}
		n, more = 2*finished, 0 // some had finished before they were watched
		next = w.unwatched(n)
	}
}

// fired returns the tasks to read: they changed, or may have.
func (w *waiter) fired() (es []*waiting) {
	for _, e := range w.open {
		if e.fired {
			es = append(es, e)
		}
	}
	return es
}

// unwatched returns the oldest that are not watched, up to n.
func (w *waiter) unwatched(n int) (es []*waiting) {
	for _, e := range w.open {
		if len(es) == n {
			break
		}
		if !e.watched {
			es = append(es, e)
		}
	}
	return es
}

// behind reports whether there are tasks to watch later. While the connection is lost none
// can be watched, and a reconnect hints at all paths.
func (w *waiter) behind() bool {
	_, suspended := w.s.Suspended()
	return !suspended && len(w.unwatched(1)) > 0
}

// toWatch returns the tasks to watch: the oldest, until quickWatches have been watched for
// less than long; and up to more of the following ones that have waited for long.
func (w *waiter) toWatch(more int) (es []*waiting) {
	before := time.Now().Add(-long)
	quick := quickWatches
	for _, e := range w.open {
		if e.watched && e.since.After(before) {
			quick--
		}
	}
	for _, e := range w.open {
		switch {
		case quick <= 0 && more <= 0:
			return es
		case e.watched:
			continue
		case quick > 0:
			quick--
		case e.came.After(before):
			return es
		default:
			more--
		}
		es = append(es, e)
	}
	return es
}

// read reads tasks, and watches the unfinished ones if asked to. It returns how many were
// finished.
func (w *waiter) read(es []*waiting, watch bool) (finished int, err error) {
	now := time.Now()
	paths := make([]string, len(es))
	for i, e := range es {
		paths[i] = task.StatePath(e.id)
	}
	getAll := w.s.GetAll
	if watch {
		getAll = w.s.GetAllW
	}
	read := func(paths []string) []session.Read { return getAll(paths...) }
	next := 0
	_ = w.chunks.Read(paths, read, func(_ string, r session.Read) error { // never fails, so that all are read
		switch done, over := w.take(es[next], r, watch, now); {
		case over != nil:
			err = over // the answers to the other tasks count all the same
		case done:
			finished++
		}
		next++
		return nil
	})
	if finished > 0 {
		w.moved = now
		w.shrink()
	}
	return finished, err
}

// take handles the read of a task. If the task is finished or gone, it answers the call of
// wait. It fails when the session is over.
func (w *waiter) take(e *waiting, r session.Read, watch bool, now time.Time) (finished bool, err error) {
	e.fired = false
	a := answer{task.ParseState(r.Data), r.Stat, r.Err}
	switch {
	case errors.Is(a.err, session.ErrOver):
		return false, a.err
	case errors.Is(a.err, zk.ErrNoNode):
		a.err = fmt.Errorf("task %s %w", e.id, ErrRemoved)
	case a.err == nil && !a.state.Finished():
		if watch {
			e.watched, e.since = true, now
		}
		if a.state.Phase == task.Malformed && !e.warned {
			e.warned = true
			w.log.Warn("malformed znode", "znode", task.StatePath(e.id), "err", fmt.Sprintf("%.40q is no state of a task; still waiting", a.state.Text))
		}
		return false, nil
	}
	delete(w.byID, e.id)
	e.answer <- a
	return true, nil
}
