package master

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/metrics"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// resync is how often everything is read again without a hint. It bounds the time
	// that a lost watch can cost.
	resync = 10 * time.Second
	// plentyPause is the least time between two listings of /tasks while every worker
	// has enough to do. Then a listing only shows which tasks were withdrawn.
	plentyPause = 500 * time.Millisecond
	// many is the number of assignments a second from which on /tasks is listed when it
	// changes, and not watched as a tree. A task that the tree's watch reports costs three
	// events, which is more than its share of a listing. But after a quiet time the first
	// task is assigned sooner by a watch: no listing comes before.
	many = 2000
)

// leader is a master for one term. Its loop hands events to the scheduler and carries out
// the scheduler's decisions. The loop owns all state; the listers, the janitor and the
// watchdog have their own goroutines.
type leader struct {
	// Fixed at construction.
	s       *session.Session
	fence   session.Op
	log     *slog.Logger
	rights  *session.Rights
	hints   *session.Hints
	dirs    *dirs
	stuck   func(error) // see Config
	metrics *metrics.Master

	// Owned by the loop.
	reader
	sched   *sched.Scheduler
	tasks   *lister
	workers *lister
	drains  struct {
		due  bool // a child of /drain may have come, changed or gone
		pace pace
	}
	tree   bool // the servers know recursive watches: one is set on /workers
	busy   bool // many tasks are assigned: no recursive watch is set on /tasks
	lately struct {
		assigned int // tasks, since
		since    time.Time
	}
	malformed *malformed
	awaited   map[string]awaitedState // by task
	idle      []string                // workers without a task that were found gone in this turn

	// Shared.
	beat      beat          // the loop's
	questions chan question // answered by the loop
	ended     chan struct{} // closed when the loop answers no more
}

func newLeader(m *master, fence session.Op) *leader {
	l := &leader{
		s: m.s, fence: fence, log: m.cfg.Logger, rights: m.rights, hints: m.hints, dirs: m.dirs, stuck: m.cfg.Stuck,
		reader: reader{s: m.s, short: session.Chunks{Most: 256}},
		sched:  sched.New(max(0, m.cfg.MaxLosses)),
		tasks:  newLister(task.TasksDir, m.dirs, m.rights), workers: newLister(task.WorkersDir, m.dirs, m.rights),
		malformed: newMalformed(m.cfg.Logger),
		awaited:   make(map[string]awaitedState),
		metrics:   m.cfg.Metrics,
		questions: make(chan question), ended: make(chan struct{}),
	}
	l.drains.due = true
	return l
}

// lead assigns tasks until ctx ends, the term with it, or until ZooKeeper
// refuses a write because the term is over: then it returns errDeposed.
func (l *leader) lead(ctx context.Context, j *janitor) error {
	defer close(l.ended)
	// From now on reads show all that earlier leaders wrote.
	if err := l.s.Sync(); err != nil {
		return err
	}
	if err := l.watchTrees(); err != nil {
		return err
	}
	defer func() {
		if l.tree { // a backup on this session needs no events
			l.unwatch(task.TasksDir)
			l.unwatch(task.WorkersDir)
		}
	}()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.tasks.serve(ctx) })
	g.Go(func() error { return l.workers.serve(ctx) })
	g.Go(func() error { return j.run(ctx) })
	g.Go(func() error { return watchdog(ctx, l.s, &l.beat, l.stuck) })
	g.Go(func() error { return l.loop(ctx) })
	return g.Wait()
}

func (l *leader) loop(ctx context.Context) error {
	resyncs := time.NewTicker(resync)
	defer resyncs.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var d sched.Decision
	for ctx.Err() == nil {
		err := l.beat.turn(func() (err error) {
			d, err = l.turn(d.Blocked)
			return err
		})
		if err != nil {
			return err
		}
		if len(d.Moves)+len(d.Drained)+len(d.ReadWorkers)+len(d.ReadTasks)+len(d.Recheck) > 0 {
			select {
			case q := <-l.questions:
				q(l.sched)
			default:
			}
			continue
		}
		timer.Stop()
		if at := l.wake(d); !at.IsZero() {
			timer.Reset(time.Until(at))
		}
		select {
		case <-ctx.Done():
		case <-l.hints.C:
		case <-timer.C:
		case q := <-l.questions:
			q(l.sched)
		case a := <-l.tasks.listings:
			l.mergeTasks(a)
		case a := <-l.workers.listings:
			l.mergeWorkers(a)
		case <-resyncs.C:
			l.dropAwaited()
			l.everything()
		}
	}
	return context.Cause(ctx)
}

// turn is one round of the loop:
//
//	hints of watches ──► listings that are due ──► hints again ──► Decide
//	    ▲                                                            │
//	    └── reads of workers and tasks ◄── moves, in one Multi ◄─────┘
//
// The last decision may be blocked: it needs workers to be read first. Then the first line
// is left out. Workers give hints all the time, which would put the decision off for ever.
func (l *leader) turn(blocked bool) (d sched.Decision, err error) {
	if !blocked {
		if err := l.takeHints(); err != nil {
			return d, err
		}
		if err := l.list(); err != nil {
			return d, err
		}
		// A worker may have committed a task that is no longer listed.
		if err := l.takeHints(); err != nil {
			return d, err
		}
	}
	d = l.sched.Decide(time.Now())
	l.tasks.due = l.tasks.due || d.Relist
	if err := l.apply(d.Moves); err != nil {
		return d, err
	}
	if err := l.chooseWatch(time.Now()); err != nil {
		return d, err
	}
	if err := l.writeDrained(d.Drained); err != nil {
		return d, err
	}
	if err := l.readWorkers(d.ReadWorkers); err != nil {
		return d, err
	}
	l.tellIdle()
	if err := l.readTasks(d.ReadTasks); err != nil {
		return d, err
	}
	return d, l.recheck(d.Recheck)
}

// wake is when the loop must turn without a hint; the zero time means never.
func (l *leader) wake(d sched.Decision) time.Time {
	at := d.Wake
	for _, dir := range []*lister{l.tasks, l.workers} {
		if from := l.from(dir); dir.due && !dir.busy && (at.IsZero() || from.Before(at)) {
			at = from
		}
	}
	if from := l.drains.pace.from; l.drains.due && (at.IsZero() || from.Before(at)) {
		at = from
	}
	return at
}

// from is when a directory may be listed next.
func (l *leader) from(dir *lister) time.Time {
	if rare := dir.pace.last.Add(plentyPause); dir == l.tasks && rare.After(dir.pace.from) && l.sched.Plenty() {
		return rare
	}
	return dir.pace.from
}

// list begins the listings that are due.
func (l *leader) list() error {
	if l.drains.due && !time.Now().Before(l.drains.pace.from) {
		if err := l.listDrains(); err != nil {
			return err
		}
	}
	for _, dir := range []*lister{l.workers, l.tasks} {
		if !dir.due || dir.busy || time.Now().Before(l.from(dir)) {
			continue
		}
		if err := dir.begin(!l.tree || dir == l.tasks && l.busy); err != nil {
			return err
		}
	}
	l.mergeIfThere()
	return nil
}

// mergeIfThere merges the listings that have ended meanwhile.
func (l *leader) mergeIfThere() {
	select {
	case a := <-l.workers.listings:
		l.mergeWorkers(a)
	default:
	}
	select {
	case a := <-l.tasks.listings:
		l.mergeTasks(a)
	default:
	}
}

func (l *leader) mergeTasks(a listing) {
	if !l.tasks.merge(a) {
		return
	}
	l.metrics.Listed(task.TasksDir, len(a.names), a.ended.Sub(a.began))
	l.handle(sched.TasksListed{IDs: l.validIDs(a.names), Number: a.number})
}

// validIDs leaves out the names that no task can have.
func (l *leader) validIDs(names []string) []string {
	ids := names[:0]
	for _, name := range names {
		if task.ValidID(name) {
			ids = append(ids, name)
			continue
		}
		l.malformed.warn(task.StatePath(name), `a task's name must be one line, without blanks around it, without "-" at its front, of at most `+
			strconv.Itoa(task.MaxID)+" bytes; left alone")
	}
	return ids
}

func (l *leader) mergeWorkers(a listing) {
	if !l.workers.merge(a) {
		return
	}
	l.metrics.Listed(task.WorkersDir, len(a.names), a.ended.Sub(a.began))
	ids := a.names[:0]
	for _, name := range a.names {
		if len(name) <= task.MaxID {
			ids = append(ids, name)
			continue
		}
		l.malformed.warn(task.WorkerPath(name), "no worker: its name is too long; left alone")
	}
	l.handle(sched.WorkersListed{IDs: ids})
}

func (l *leader) handle(e sched.Event) { l.sched.Handle(e, time.Now()) }

// takeHints merges the hints that watches gave since the last call.
func (l *leader) takeHints() error {
	paths, all := l.hints.Take()
	var seen []string // tasks that no listing had yet
	for p, hint := range paths {
		id, ofTask := strings.CutPrefix(p, task.TasksDir+"/")
		switch {
		case !ofTask:
			l.hinted(p, hint)
		case hint.Gone:
			l.handle(sched.TaskGone{ID: id})
		case !l.sched.KnowsTask(id):
			seen = append(seen, id)
		} // else its state was written, and its worker's list changes as well
	}
	if len(seen) > 0 {
		l.handle(sched.TasksSeen{IDs: l.validIDs(seen), Number: l.tasks.number})
	}
	if !all {
		return nil
	}
	l.everything()
	return l.watchTrees()
}

// hinted merges the hint for one path, other than a task's.
func (l *leader) hinted(path string, hint session.Hint) {
	l.dirs.fired(path)
	id, ofWorker := strings.CutPrefix(path, task.WorkersDir+"/")
	switch {
	case path == task.TasksDir:
		l.tasks.due = true
	case path == task.DrainDir:
		l.drains.due = true
	case !ofWorker || !l.sched.Knows(id):
		l.workers.due = true
	case l.tree:
		l.handle(sched.WorkerChanged{ID: id, Times: hint.Times})
	default:
		l.handle(sched.WorkerChanged{ID: id})
	}
}

// everything makes the loop read everything again.
func (l *leader) everything() {
	l.tasks.due, l.workers.due, l.drains.due = true, true, true
	l.handle(sched.AllChanged{})
}

// watchTrees sets a recursive watch on /workers, if the servers know them, and one on
// /tasks unless many tasks are assigned. Other znodes are watched when they are read.
func (l *leader) watchTrees() (err error) {
	l.tree, err = l.s.WatchTree(task.WorkersDir)
	if err == nil && l.tree && !l.busy {
		l.unwatch(task.TasksDir)
		_, err = l.s.WatchTree(task.TasksDir)
	}
	return err
}

// unwatch removes all watches on a directory.
func (l *leader) unwatch(dir string) {
	l.s.Unwatch(dir)
	l.dirs.fired(dir)
}

// chooseWatch decides once a second, or after many assignments, how the leader learns of
// new tasks: by a recursive watch on /tasks, or by listings when /tasks changes.
func (l *leader) chooseWatch(now time.Time) error {
	busy := l.lately.assigned >= many
	if !busy && now.Sub(l.lately.since) < time.Second {
		return nil
	}
	busy = busy || l.busy && l.lately.assigned >= many/2 // so that it does not change every second
	l.lately.assigned, l.lately.since = 0, now
	if busy == l.busy || !l.tree {
		return nil
	}
	l.busy, l.tasks.due = busy, true
	if !busy {
		return l.watchTrees()
	}
	l.unwatch(task.TasksDir)
	return nil
}
