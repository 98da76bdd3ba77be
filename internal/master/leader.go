package master

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// tick is the leader's slow clock.
	tick = time.Second
	// resync is how many ticks pass until everything is read again though
	// nothing told to: what a lost watch costs at most.
	resync = 10
	// rereads is how many of the tasks set aside are read again in a tick.
	rereads = 500
	// readTime is how long tasks are read until the loop turns.
	readTime = 50 * time.Millisecond
	// pipeline is how many reads are under way at once.
	pipeline = 64
	// mostTogether is how many znodes are read until the loop looks how long that
	// took, and leastTogether how many at first: each may hold a megabyte. There are
	// more while they come to no more than someBytes, and fewer again else.
	leastTogether = 16
	mostTogether  = 256
	someBytes     = 1 << 20
	// reconsidered is how many names under /workers that are no workers are read
	// again in a resync.
	reconsidered = 1000
)

// leader is a master for one term. Its loop owns all state; the lister and the
// watchdog only send to it, or look at beat.
type leader struct {
	// Fixed at construction.
	s      *session.Session
	fence  session.Op
	who    string // what the candidate's znode says
	log    *slog.Logger
	rights *session.Rights
	hints  *session.Hints
	stuck  func(error) // see Config

	// Owned by the loop.
	view         *view
	dirs         *dirs
	workersDirty bool
	tasksDirty   bool
	asking       bool      // a listing is under way
	listed       time.Time // when /tasks was listed last
	listFrom     time.Time // when it may be again
	short        bool      // there was little in it
	nextSweep    time.Time // when /data is listed as well
	workersFrom  time.Time // when /workers may be listed next
	together     int       // how many znodes are read at once: see readAll
	odd          *complaints
	traces       map[string]trace // by task
	signed       bool             // see sign

	// Shared.
	asks     chan ask
	listings chan listing
	beat     atomic.Int64 // turns of the loop
}

// lead assigns tasks until ctx ends, the term with it, or until ZooKeeper
// refuses a write because the term is over: then it returns errDeposed.
func (l *leader) lead(ctx context.Context) error {
	// Whatever the leaders before wrote is to show in what is read now.
	if err := l.s.Sync(); err != nil {
		return err
	}
	l.workersDirty, l.tasksDirty = true, true
	l.nextSweep = time.Now().Add(tick) // not before the first assignments
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.lister(ctx) })
	g.Go(func() error { return watchdog(ctx, l.s, &l.beat, l.stuck) })
	g.Go(func() error { return l.loop(ctx) })
	err := g.Wait()
	select {
	case a := <-l.asks: // which nobody took: it set no watch
		if a.watch {
			l.dirs.fired(task.TasksDir)
		}
	default:
	}
	return err
}

func (l *leader) loop(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	due, recheck := time.NewTimer(0), time.NewTimer(0)
	defer due.Stop()
	defer recheck.Stop()
	now := make(chan struct{})
	close(now)
	for ctx.Err() == nil {
		l.beat.Add(1)
		more, err := l.round(ctx)
		if err != nil {
			return err
		}
		again := now
		if !more {
			again = nil
		}
		if at := l.listAt(); !at.IsZero() {
			due.Reset(time.Until(at))
		}
		if at := l.view.recheck; !at.IsZero() {
			recheck.Reset(time.Until(at))
		}
		select {
		case <-ctx.Done():
		case <-again:
		case <-l.hints.C:
		case <-due.C:
		case <-recheck.C:
		case a := <-l.listings:
			l.merge(a)
		case <-ticker.C:
			l.loseTraces()
			l.view.nextTick(rereads)
			l.view.verify(rereads)
			if l.view.tick%resync == 0 {
				l.everything()
			}
			l.tasksDirty = l.tasksDirty || l.sweepDue()
			if err := l.tidy(time.Now()); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

// round reads what is to be read and carries out what is to be done, once. It
// tells whether there is more; however much there is, the loop turns meanwhile.
func (l *leader) round(ctx context.Context) (more bool, err error) {
	l.takeHints()
	if err := l.ask(); err != nil {
		return false, err
	}
	l.takeHints() // a task that is listed no more may be one that a worker has committed
	more, err = l.refresh(ctx)
	if err != nil || !l.view.ready() {
		return more, err
	}
	l.view.now = time.Now()
	moves := l.view.decide()
	if l.view.relist {
		l.view.relist, l.tasksDirty = false, true
	}
	more = more || len(moves) > 0 || len(l.view.stale(1)) > 0 || len(l.view.unread) > 0 || len(l.view.toRead) > 0
	if len(moves) > 0 {
		if err := l.apply(moves); err != nil {
			return false, err
		}
	}
	return more, l.sign()
}

// sign writes the candidate's znode once more, as it is: its mtime is then since
// when this master leads, for people. It comes after the first assignments, which
// it must not delay, and is not repeated. What a person has written there stays.
func (l *leader) sign() error {
	if l.signed {
		return nil
	}
	l.signed = true
	_, err := l.s.Multi(l.fence, session.Set(l.fence.Path, []byte(l.who), 0))
	var refused *session.OpError
	switch {
	case errors.Is(err, session.ErrOver):
		return err
	case errors.As(err, &refused) && refused.Index == 0:
		return l.deposed(refused)
	case err != nil:
		l.log.Debug("candidate not signed", "err", err)
	}
	return nil
}

func (l *leader) takeHints() {
	paths, all := l.hints.Take()
	for p := range paths {
		l.dirs.fired(p)
		switch {
		case p == task.TasksDir:
			l.tasksDirty = true
		case p == task.WorkersDir:
			l.workersDirty = true
		default:
			l.view.fired(strings.TrimPrefix(p, task.WorkersDir+"/"))
		}
	}
	if all {
		l.everything()
	}
}

// everything has everything read again.
func (l *leader) everything() {
	l.tasksDirty, l.workersDirty = true, true
	for id := range l.view.workers {
		l.view.markStale(id)
	}
	l.view.reconsider(reconsidered)
}

// refresh reads the workers that are to be read, and some of the tasks. It tells
// whether there are more of those.
func (l *leader) refresh(ctx context.Context) (more bool, err error) {
	if l.workersDirty && !time.Now().Before(l.workersFrom) {
		if err := l.listWorkers(); err != nil {
			return false, err
		}
	}
	for ids := l.view.stale(l.together); len(ids) > 0; ids = l.view.stale(l.together) {
		done, err := l.readWorkers(ids)
		if err != nil {
			return false, err
		}
		if done == len(ids) {
			l.view.readOn(2 * done)
		}
	}
	// The loop is to turn, and there may be many other znodes, and large ones.
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < readTime; {
		if ids := l.view.newcomers(l.together); len(ids) > 0 {
			if _, err := l.readWorkers(ids); err != nil {
				return false, err
			}
			continue
		}
		ids := l.view.takeUnread(l.together)
		if len(ids) == 0 {
			return false, nil
		}
		if err := l.readTasks(ids); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (l *leader) listWorkers() error {
	l.workersDirty = false
	began := time.Now()
	names, err := l.dirs.list(task.WorkersDir, l.dirs.arm(task.WorkersDir))
	switch {
	case session.Refused(err):
		l.rights.Lacks(task.WorkersDir, session.RightRead, err)
		l.workersDirty, l.workersFrom = true, time.Now().Add(session.RefusedPause)
		return nil
	case err != nil:
		return err
	}
	l.rights.Has(task.WorkersDir, session.RightRead)
	for _, name := range l.view.listWorkers(names) {
		l.odd.tell(task.WorkerPath(name), "no worker: its name is too long; left alone")
	}
	if len(names) > manyWorkers {
		l.workersFrom = time.Now().Add(min(listShare*time.Since(began), listPauseMost))
	}
	return nil
}

// answer is what a read came to.
type answer struct {
	list  []string   // of a worker
	state task.State // of a task, without the result
	stat  *zk.Stat
	same  bool  // it is as it was read last
	odd   error // what it holds is no list
	err   error
}

// readAll reads many znodes at once, and learns from their sizes how many.
func (l *leader) readAll(ids []string, read func(id string) answer) []answer {
	answers := make([]answer, len(ids))
	var g errgroup.Group
	g.SetLimit(pipeline)
	for i, id := range ids {
		g.Go(func() error {
			answers[i] = read(id)
			return nil
		})
	}
	_ = g.Wait()
	bytes := 0
	for _, a := range answers {
		if a.err == nil && !a.same {
			bytes += int(a.stat.DataLength)
		}
	}
	switch {
	case bytes > someBytes:
		l.together = max(leastTogether, l.together/2)
	case len(ids) == l.together:
		l.together = min(2*l.together, mostTogether)
	}
	return answers
}

// readWorkers tells how many are free that were not.
func (l *leader) readWorkers(ids []string) (done int, err error) {
	arm := make(map[string]bool, len(ids))
	for _, id := range ids {
		w := l.view.workers[id]
		arm[id] = w != nil && w.arm && !w.watched
	}
	answers := l.readAll(ids, func(id string) answer {
		get := l.s.Get
		if arm[id] {
			get = l.s.GetW
		}
		data, stat, err := get(task.WorkerPath(id))
		list, odd := task.ParseList(data)
		return answer{list: list.IDs, stat: stat, odd: odd, err: err}
	})
	l.view.now = time.Now()
	for i, a := range answers {
		id := ids[i]
		switch {
		case a.err == nil && a.stat.EphemeralOwner == 0:
			l.view.stranger(id)
			l.odd.tell(task.WorkerPath(id), "no worker: the znode is not ephemeral; left alone")
		case a.err == nil && a.odd != nil:
			l.view.stranger(id)
			l.odd.tell(task.WorkerPath(id), a.odd.Error()+": malformed; left alone")
		case a.err == nil:
			if w := l.view.workers[id]; w != nil && len(a.list) == 0 && a.stat.Version != w.version {
				done++
			}
			l.view.readWorker(id, a.list, a.stat.Version)
			l.view.workers[id].session = a.stat.EphemeralOwner
			if arm[id] {
				l.view.watching(id)
			}
		case errors.Is(a.err, zk.ErrNoNode):
			l.gone(id)
		case errors.Is(a.err, session.ErrOver):
			return done, a.err
		default:
			l.view.ignoreWorker(id)
			l.odd.tell(task.WorkerPath(id), a.err.Error())
		}
	}
	return done, nil
}

// steady tells whether the servers have been in reach for so long that a worker
// which is gone was lost by itself. After an outage the sessions of many may end
// at once, and those that come back late for as long as their timeouts.
func (l *leader) steady() bool {
	back := l.s.Restored()
	return back.IsZero() || time.Since(back) > 2*l.s.Timeout()
}

func (l *leader) readTasks(ids []string) error {
	zxids := make(map[string]int64)
	for _, id := range ids {
		zxids[id] = l.view.tasks[id].large
	}
	answers := l.readAll(ids, func(id string) answer { return l.readTask(id, zxids[id]) })
	now := time.Now()
	for i, a := range answers {
		id := ids[i]
		l.trace(id, a)
		switch {
		case a.same:
			l.view.unchanged(id)
		case a.err == nil:
			if l.view.readTask(id, a.state, a.stat.Version) {
				l.odd.tell(task.StatePath(id), fmt.Sprintf("%.40q is no state of a task; left alone", a.state.Text))
			}
			if l.view.returning(id) {
				l.odd.tell(task.StatePath(id), "executed several times, and never written: may workers write it? It is assigned again ever more rarely")
			}
			l.view.keep(id, a.state, a.stat, now)
		case errors.Is(a.err, zk.ErrNoNode):
			l.view.taskGone(id)
		case errors.Is(a.err, session.ErrOver):
			return a.err
		default:
			l.view.unreadable(id)
			l.odd.tell(task.StatePath(id), a.err.Error())
		}
	}
	return nil
}

// readTask reads a task's state, unless it is known to be large and has not been
// written since that zxid. What it ended with is dropped: many may be read at once.
func (l *leader) readTask(id string, zxid int64) answer {
	path := task.StatePath(id)
	if zxid != 0 {
		if _, stat, err := l.s.ACL(path); err == nil && stat.Mzxid == zxid {
			return answer{same: true} // the ACL comes without what it holds and what is below
		}
	}
	data, stat, err := l.s.Get(path)
	state := task.ParseState(data)
	state.Text = bytes.Clone(state.Text[:min(len(state.Text), 100)])
	return answer{state: state, stat: stat, err: err}
}
