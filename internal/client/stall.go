package client

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/election"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// quiet is how long no task may finish before the client looks for the cause. A new leader
// or a restarted worker needs less.
const quiet = 2 * time.Second

// stall logs why no task can be done: there is no leader, or no worker, or all workers are
// drained, or the leader may not list the tasks. It logs once, and once more when tasks can
// be done again. It looks after quiet, and sets watches: after that it looks when one fires.
// It logs nothing if the policy lets no client look. One goroutine calls its methods.
type stall struct {
	s       *session.Session
	log     *slog.Logger
	queues  func() map[string]bool // of the open tasks
	hints   *session.Hints         // a candidate, a worker or a drain came or went
	watched map[string]bool

	due     <-chan time.Time // when to look; nil: only after a hint
	looked  time.Time        // when it looked last
	missing string           // what is missing, as logged; "": nothing
}

func newStall(s *session.Session, log *slog.Logger, queues func() map[string]bool) *stall {
	return &stall{s: s, log: log, queues: queues, hints: s.Hints(task.MasterDir, task.WorkersDir, task.DrainDir), watched: make(map[string]bool)}
}

func (st *stall) end() { st.s.Forget(task.MasterDir, task.WorkersDir, task.DrainDir) }

// count records how many tasks are open, and when last a task finished, or was submitted
// while none was open.
func (st *stall) count(open int, moved time.Time) {
	if moved.After(st.looked) {
		st.report("", open)
	}
	switch {
	case open == 0:
		st.due, st.missing = nil, ""
	case moved.After(st.looked) && st.due == nil:
		st.due = time.After(time.Until(moved.Add(quiet)))
	}
}

// hinted handles a hint. If something was missing, it may have come: look at once. If not,
// look after quiet: a leader or worker that has gone may come back soon.
func (st *stall) hinted(open int) error {
	paths, _ := st.hints.Take()
	for path := range paths {
		delete(st.watched, path)
	}
	switch {
	case st.missing != "":
		return st.look(open)
	case st.due == nil && open > 0:
		st.due = time.After(quiet)
	}
	return nil
}

// dueNow looks, unless a task finished meanwhile: then count sets another time.
func (st *stall) dueNow(open int, moved time.Time) error {
	st.due = nil
	if time.Since(moved) < quiet {
		return nil
	}
	return st.look(open)
}

func (st *stall) look(open int) error {
	st.looked = time.Now()
	if _, suspended := st.s.Suspended(); suspended {
		return nil // the session logs that; a reconnect gives a hint
	}
	var missing []string
	queues, others := st.queues(), ""
	var workers, drains []string // the workers of the queues, and their drains
	for _, dir := range []struct {
		path    string
		missing func() string
		count   func(names []string) int
	}{
		{task.MasterDir, func() string { return "a leader: start a master" }, func(names []string) int { return len(election.Ordered(names)) }},
		{task.WorkersDir, func() string { return missingWorker(queues, others) }, func(names []string) int {
			for _, name := range names {
				if queue, _ := task.SplitQueue(name); queues[queue] {
					workers = append(workers, name)
				} else {
					others = queue
				}
			}
			return len(workers)
		}},
		{task.DrainDir, func() string { return "a worker that is not drained: " + task.Undrain(drains) }, func(names []string) (n int) {
			if len(workers) == 0 {
				return 1 // the missing worker is reported already
			}
			n, drains = taking(workers, names)
			return n
		}},
	} {
		list := st.s.ChildrenW
		if st.watched[dir.path] {
			list = st.s.Children
		}
		names, _, err := list(dir.path)
		switch {
		case errors.Is(err, session.ErrOver):
			return err
		case session.Refused(err) && st.s.Withholds(dir.path, zk.PermRead):
			continue
		case session.Refused(err):
			missing = append(missing, st.refused(dir.path))
			continue
		case errors.Is(err, zk.ErrNoNode) && dir.path == task.DrainDir:
			continue // nothing is drained
		case errors.Is(err, zk.ErrNoNode):
			st.due = time.After(quiet) // no watch was set
		case err != nil:
			continue // nothing is known
		default:
			st.watched[dir.path] = true
		}
		if dir.count(names) == 0 {
			missing = append(missing, dir.missing())
		}
	}
	switch _, _, err := st.s.Get(task.TasksDir); { // it needs the same right as a listing, and costs less
	case errors.Is(err, session.ErrOver):
		return err
	case session.Refused(err) && !st.s.Withholds(task.TasksDir, zk.PermRead):
		missing = append(missing, st.refused(task.TasksDir))
	}
	st.report(strings.Join(missing, "; "), open)
	return nil
}

// refused names the missing right. No watch reports a change of an ACL, and the servers may
// have dropped an earlier watch without an event.
func (st *stall) refused(path string) (missing string) {
	delete(st.watched, path)
	st.due = time.After(session.RefusedPause)
	return "the right to read " + path + ": give it by setAcl"
}

// missingWorker returns what to start when none of the queues has a worker. other is a
// queue that has workers; "" if there is none.
func missingWorker(queues map[string]bool, other string) string {
	for queue := range queues {
		if queue == task.KindCommand && len(queues) == 1 {
			return "a worker of queue " + queue + ": start one with --any-command"
		}
		if queue != "" && len(queues) == 1 {
			return "a worker of queue " + queue + ": start one with --queue"
		}
	}
	switch other {
	case "":
		return "a worker: start one"
	case task.KindCommand:
		return "a worker of the default queue: start one, or give the command behind -- to the workers of queue " + other
	}
	return "a worker of the default queue: start one; there are workers of queue " + other
}

func (st *stall) report(missing string, open int) {
	switch {
	case missing == st.missing:
		return
	case missing == "" && open == 0: // the last task finished: nothing waits
	case missing != "":
		st.log.Warn("no task can be done", "tasks", open, "missing", missing)
	default:
		st.log.Warn("tasks can be done again", "tasks", open)
	}
	st.missing = missing
}
