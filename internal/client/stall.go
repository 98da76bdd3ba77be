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

// quiet is for how long no task is finished until the client looks for the cause. A
// new leader or a restarted worker takes less.
const quiet = 2 * time.Second

// stall says why no task can be done: there is no leader, no worker, or none that is not
// drained; or the leader may not list the tasks. It says so once, and once more when that is
// over and a task is still open. After quiet it looks; from then on the watches that it sets
// tell when to look again. Where the policy lets no client look, it says nothing. One goroutine
// calls its methods.
type stall struct {
	s       *session.Session
	log     *slog.Logger
	queues  func() map[string]bool // of the open tasks
	hints   *session.Hints         // a candidate, a worker or a drain came or went
	watched map[string]bool

	due     <-chan time.Time // when to look; nil if only a hint tells
	looked  time.Time        // last
	missing string           // what the log says is missing; "" if nothing is
}

func newStall(s *session.Session, log *slog.Logger, queues func() map[string]bool) *stall {
	return &stall{s: s, log: log, queues: queues, hints: s.Hints(task.MasterDir, task.WorkersDir, task.DrainDir), watched: make(map[string]bool)}
}

func (st *stall) end() { st.s.Forget(task.MasterDir, task.WorkersDir, task.DrainDir) }

// count takes note of how many tasks are open, and when one was last finished, or came
// while there was none.
func (st *stall) count(open int, moved time.Time) {
	if moved.After(st.looked) {
		st.tell("", open)
	}
	switch {
	case open == 0:
		st.due, st.missing = nil, ""
	case moved.After(st.looked) && st.due == nil:
		st.due = time.After(time.Until(moved.Add(quiet)))
	}
}

// hinted has it look again: at once if that may end what it told, else after quiet,
// for what is missing may come back soon.
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

// dueNow looks, unless a task was finished meanwhile: then count sets another time.
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
		return nil // the session's log tells; a reconnect hints
	}
	var missing []string
	queues, others := st.queues(), ""
	var workers, drains []string // of the queues, and of these workers
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
				return 1 // that was said
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
			st.due = time.After(quiet) // nothing is watched
		case err != nil:
			continue // who may not look cannot tell
		default:
			st.watched[dir.path] = true
		}
		if dir.count(names) == 0 {
			missing = append(missing, dir.missing())
		}
	}
	switch _, _, err := st.s.Get(task.TasksDir); { // to list it would take longer
	case errors.Is(err, session.ErrOver):
		return err
	case session.Refused(err) && !st.s.Withholds(task.TasksDir, zk.PermRead):
		missing = append(missing, st.refused(task.TasksDir))
	}
	st.tell(strings.Join(missing, "; "), open)
	return nil
}

// refused says which right is missing. No watch tells when an ACL is changed, and a watch
// that was set before may have gone without a word.
func (st *stall) refused(path string) (missing string) {
	delete(st.watched, path)
	st.due = time.After(session.RefusedPause)
	return "the right to read " + path + ": give it by setAcl"
}

// missingWorker says what to start where none of the queues has a worker. Another queue
// has some, or "".
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
	return "a worker of the default queue: start one; there are some of queue " + other
}

func (st *stall) tell(missing string, open int) {
	switch {
	case missing == st.missing:
		return
	case missing == "" && open == 0: // the last task is finished: nothing waits any more
	case missing != "":
		st.log.Warn("no task can be done", "tasks", open, "missing", missing)
	default:
		st.log.Warn("tasks can be done again", "tasks", open)
	}
	st.missing = missing
}
