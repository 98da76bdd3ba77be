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
	// few is how many of the oldest tasks are watched, of those that may be quick.
	few = 4
	// most is how many tasks are read at once while those read are finished.
	most = 256
	// slow is what is not quick, and how often some of those are watched as well.
	slow = 50 * time.Millisecond
	some = 16
	// reread is how often what is watched is read though nothing told to: what a
	// lost watch costs at most.
	reread = 10 * time.Second
)

// errStopped means that Serve ended while the session goes on.
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
	moved  time.Time // one was finished, or came while there was none

	mu    sync.Mutex // guards the rest
	added []*waiting
	left  []*waiting
	over  error // why there is nothing to wait for any more
}

// waiting is a task that someone waits for.
type waiting struct {
	id      string
	came    time.Time
	watched bool
	since   time.Time // that it has been watched
	fired   bool
	told    bool
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
		byID: make(map[string]*waiting),
	}
}

// wait returns the task's state when it is finished; ErrOver when the session is,
// ErrRemoved when it vanished, ctx's cause when ctx ends. No two may wait for the
// same task at a time.
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

// run serves wait until ctx ends or the session. Then stop must be called. It wakes up
// only for what it is told, and for tasks that are to be read though nothing told to.
func (w *waiter) run(ctx context.Context) error {
	defer w.s.Forget(task.TasksDir + "/")
	stall := newStall(w.s, w.log, w.queues)
	defer stall.end()
	var grow, resync <-chan time.Time // nil while nothing is to be done then
	for {
		w.merge()
		if err := w.look(0); err != nil {
			return err
		}
		if grow == nil && w.behind() {
			grow = time.After(slow)
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
			err = w.look(some)
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

// queues are those of the open tasks.
func (w *waiter) queues() map[string]bool {
	queues := make(map[string]bool)
	for _, e := range w.open {
		queue, _ := task.SplitQueue(e.id)
		queues[queue] = true
	}
	return queues
}

// stop tells all who wait, or come yet, that there is nothing to wait for any
// more. It returns how many were waiting.
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

// merge takes over who came and who left.
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
		if w.byID[e.id] == e { // not one that came since
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

// again has everything watched read again.
func (w *waiter) again() {
	for _, e := range w.open {
		e.fired = e.fired || e.watched
	}
}

// look reads what has fired and then the oldest, ever more at once while all that
// it reads are finished: where one is, so are others, most likely. Such reads are
// cheap together. In the end some are watched: a few of the oldest, without those
// that have been watched for so long that they must be long tasks; and up to more
// of those that nobody told of for long.
func (w *waiter) look(more int) error {
	next := w.fired()
	for n := len(next); ; {
		for len(next) > 0 {
			if _, suspended := w.s.Suspended(); suspended {
				return nil // a reconnect hints at all
			}
			finished, err := w.read(next, false)
			if err != nil {
				return err
			}
			if finished < len(next) {
				break
			}
			n = min(2*n, most)
			next = w.unwatched(n)
		}
		if _, suspended := w.s.Suspended(); suspended {
			return nil
		}
		finished, err := w.read(w.toWatch(more), true)
		if err != nil || finished == 0 {
			return err
		}
		n, more = 2*finished, 0 // it goes on meanwhile
		next = w.unwatched(n)
	}
}

// fired returns what is to be read because it changed, or may have.
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

// behind tells whether there are tasks to watch later. While the connection is lost
// nothing can be: a reconnect hints at all.
func (w *waiter) behind() bool {
	_, suspended := w.s.Suspended()
	return !suspended && len(w.unwatched(1)) > 0
}

// toWatch returns the oldest that are to be watched.
func (w *waiter) toWatch(more int) (es []*waiting) {
	long := time.Now().Add(-slow)
	quick := few
	for _, e := range w.open {
		if e.watched && e.since.After(long) {
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
		case e.came.After(long):
			return es
		default:
			more--
		}
		es = append(es, e)
	}
	return es
}

// read reads tasks, and may watch those that are not finished. It returns how many
// were.
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
	_ = w.chunks.Read(paths, read, func(_ string, r session.Read) error { // which goes to the end
		switch done, over := w.take(es[next], r, watch, now); {
		case over != nil:
			err = over // what others were answered is kept
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

// take takes what the read of a task came to, which may be watched since, and tells
// whoever waits for it if the task is finished. It fails when the session is over.
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
		if a.state.Phase == task.Malformed && !e.told {
			e.told = true
			w.log.Warn("malformed znode", "znode", task.StatePath(e.id), "err", fmt.Sprintf("%.40q is no state of a task; waiting on", a.state.Text))
		}
		return false, nil
	}
	delete(w.byID, e.id)
	e.answer <- a
	return true, nil
}
