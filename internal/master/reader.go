package master

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// pipeline is how many reads or removals are under way at once.
	pipeline = 64
	// oftenReturned is how many returns in a row, without a write of the state, are logged
	// for a person.
	oftenReturned = 3
)

// reader reads znodes for the loop, many at once.
type reader struct {
	s      *session.Session
	short  session.Chunks // of znodes that are short unless a person wrote them
	states session.Chunks // of tasks: each may hold a result
}

// answer is the outcome of a read.
type answer = session.Read

// together returns a function that reads znodes in one request.
func (r *reader) together(path func(id string) string) func(ids []string) []answer {
	return func(ids []string) []answer {
		paths := make([]string, len(ids))
		for i, id := range ids {
			paths[i] = path(id)
		}
		return r.s.GetAll(paths...)
	}
}

// atOnce returns a function that reads each id with its own requests, many ids at once.
func atOnce(read func(id string) answer) func(ids []string) []answer {
	return func(ids []string) []answer {
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
		return answers
	}
}

// readWatched reads a worker's znode, and makes sure that it is watched.
func (l *leader) readWatched(id string) (a answer) {
	path := task.WorkerPath(id)
	get := l.s.Get
	if l.dirs.needsWatch(path) {
		get = l.s.GetW
	}
	a.Data, a.Stat, a.Err = get(path)
	if a.Err != nil {
		l.dirs.fired(path) // the watch was not set
	}
	return a
}

// readWorkers reads the znodes of workers.
func (l *leader) readWorkers(ids []string) error {
	listings := l.tasks.number
	read := l.together(task.WorkerPath)
	if !l.tree {
		read = atOnce(l.readWatched)
	}
	return l.short.Read(ids, read, func(id string, a answer) error {
		list, malformed := task.ParseList(a.Data)
		switch {
		case errors.Is(a.Err, zk.ErrNoNode):
			l.gone(id)
		case errors.Is(a.Err, session.ErrOver):
			return a.Err
		case a.Err != nil:
			l.malformed.warn(task.WorkerPath(id), a.Err.Error())
			l.handle(sched.WorkerUnusable{ID: id})
		case a.Stat.EphemeralOwner == 0:
			l.malformed.warn(task.WorkerPath(id), "no worker: the znode is not ephemeral; left alone")
			l.handle(sched.WorkerUnusable{ID: id, Malformed: true})
		case malformed != nil:
			l.malformed.warn(task.WorkerPath(id), malformed.Error()+": malformed; left alone")
			l.handle(sched.WorkerUnusable{ID: id, Malformed: true})
		default:
			l.handle(sched.WorkerRead{
				ID: id, Session: a.Stat.EphemeralOwner, List: list.IDs, Back: list.Back,
				Version: a.Stat.Version, Listings: listings,
			})
		}
		return nil
	})
}

// readTasks reads the states of tasks.
func (l *leader) readTasks(ids []string) error {
	return l.states.Read(ids, l.together(task.StatePath), l.taskRead)
}

// recheck reads the states of those tasks that were written since their last read. It does
// not read the others: a state may be large.
func (l *leader) recheck(tasks []sched.Known) error {
	zxids := make(map[string]int64, len(tasks))
	ids := make([]string, len(tasks))
	for i, k := range tasks {
		zxids[k.ID], ids[i] = k.Zxid, k.ID
	}
	return l.states.Read(ids, atOnce(func(id string) (a answer) {
		path := task.StatePath(id)
		if stat, err := l.s.Stat(path); err != nil || stat.Mzxid == zxids[id] {
			return answer{Err: err}
		}
		a.Data, a.Stat, a.Err = l.s.Get(path)
		return a
	}), func(id string, a answer) error {
		if a.Err == nil && a.Stat == nil {
			return nil // not written since
		}
		return l.taskRead(id, a)
	})
}

// taskRead merges the answer to a read of a task's state.
func (l *leader) taskRead(id string, a answer) error {
	path := task.StatePath(id)
	l.stateRead(id, a)
	switch {
	case errors.Is(a.Err, zk.ErrNoNode):
		l.handle(sched.TaskGone{ID: id})
	case errors.Is(a.Err, session.ErrOver):
		return a.Err
	case a.Err != nil:
		l.malformed.warn(path, a.Err.Error())
		l.handle(sched.TaskUnusable{ID: id})
	default:
		state := task.ParseState(a.Data)
		if state.Phase == task.Malformed {
			l.malformed.warn(path, fmt.Sprintf("%.40q is no state of a task; left alone", state.Text))
		}
		state.Text = bytes.Clone(state.Text[:min(len(state.Text), 100)]) // the text may be a megabyte
		l.handle(sched.TaskRead{ID: id, State: state, Version: a.Stat.Version, Zxid: a.Stat.Mzxid})
		for _, queue := range l.sched.TakeLosses() {
			l.metrics.Lost(queue)
		}
		if l.sched.Returns(id) == oftenReturned {
			l.malformed.warn(path, "executed several times, but its state was never written: may workers write it? The pauses between attempts grow")
		}
	}
	return nil
}

// steady reports whether the last outage is so long ago that a gone worker was lost for a
// reason of its own. After an outage many sessions may end, at once or within their
// timeouts.
func (l *leader) steady() bool {
	return time.Since(l.s.Restored()) > 2*l.s.Timeout()
}
