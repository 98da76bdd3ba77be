package master

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// errDeposed means that ZooKeeper refused a write because the leader's
// candidate znode is gone.
var errDeposed = errors.New("deposed: a write was refused, the candidate's znode is gone")

// manyIDs is how many ids, taken off a worker's list in one move, are logged one by one. A
// person can type thousands of ids that name no task.
const manyIDs = 64

// operations returns the operations of a move. They check or set each task at the version
// at which it was pending, and set the worker's znode at the version of its list.
func operations(m sched.Move) (ops []session.Op) {
	for _, c := range m.Tasks {
		path := task.StatePath(c.ID)
		switch {
		case m.Kind == sched.Fail:
			failed := task.NewFailed(lostReason(c.Losses + 1))
			failed.Facts = c.Asks
			return []session.Op{session.Set(path, failed.Bytes(), c.Version)}
		case m.Kind == sched.Assign && c.CountLoss:
			pending := task.State{Phase: task.Pending, Losses: c.Losses + 1, Facts: c.Asks}
			ops = append(ops, session.Set(path, pending.Bytes(), c.Version))
		case m.Kind == sched.Assign:
			ops = append(ops, session.Check(path, c.Version))
		}
	}
	return append(ops, session.Set(task.WorkerPath(m.Worker), task.List{IDs: m.List, Back: m.Back}.Bytes(), m.Version))
}

func lostReason(n int) string {
	if n == 1 {
		return "lost with 1 worker"
	}
	return fmt.Sprintf("lost with %d workers", n)
}

// apply carries moves out, as many in one Multi (an atomic transaction) as a packet
// holds, and gives the scheduler the outcome of each move. If an operation fails, its move
// is refused and the others are decided again.
func (l *leader) apply(moves []sched.Move) error {
	for len(moves) > 0 {
		ops, ends := l.fenced(moves)
		batch := moves[:len(ends)]

		results, err := l.s.Multi(ops...)
		var refused *session.OpError
		switch {
		case err == nil:
			for i, m := range batch {
				l.carriedOut(m, results[ends[i]-1].Stat.Version)
			}
			moves = moves[len(batch):]
		case errors.Is(err, session.ErrUnknown):
			l.log.Warn("no answer to a write: reading back whether it was carried out", "err", err)
			if err := l.s.Sync(); err != nil {
				return err
			}
			for _, m := range batch {
				l.handle(sched.Unknown{Move: m})
			}
			moves = moves[len(batch):]
		case errors.Is(err, session.ErrTooLarge) && len(batch) > 1: // these servers take less than MaxPacket said
		case errors.Is(err, session.ErrTooLarge): // a person typed too much into the worker's list
			l.malformed.warn(task.WorkerPath(moves[0].Worker), "its list is "+err.Error())
			l.handle(sched.Refused{Move: moves[0], Why: sched.Unusable})
			moves = moves[1:]
		case !errors.As(err, &refused):
			return err
		case refused.Index == 0:
			return l.deposed(refused)
		default:
			i, _ := slices.BinarySearch(ends, refused.Index+1)
			culprit := moves[i]
			for _, m := range slices.Delete(moves, i, i+1) {
				l.handle(sched.NotSent{Move: m})
			}
			l.refused(culprit, refused) // others may fail as well now
			return nil
		}
	}
	return nil
}

// deposed logs that the fence failed a write.
func (l *leader) deposed(refused *session.OpError) error {
	l.metrics.Fenced()
	l.log.Warn("write refused by ZooKeeper: this master no longer leads", "candidate", l.fence.Path, "err", refused)
	return errDeposed
}

// fenced returns the fence and the operations of as many moves as a packet holds, and the
// index at which those of each move end.
func (l *leader) fenced(moves []sched.Move) (ops []session.Op, ends []int) {
	ops = []session.Op{l.fence}
	size := l.s.Size(ops...)
	for _, m := range moves {
		add := operations(m)
		size += l.s.Size(add...)
		if size > l.s.MaxPacket() && len(ends) > 0 {
			break
		}
		ops = append(ops, add...)
		ends = append(ends, len(ops))
	}
	return ops, ends
}

func (l *leader) carriedOut(m sched.Move, version int32) {
	l.handle(sched.Carried{Move: m, Version: version})
	if m.Kind == sched.Revoke && len(m.Tasks) > manyIDs {
		l.log.Info("removed ids that name no task from a worker's list", "worker", m.Worker, "tasks", len(m.Tasks))
		return
	}
	if m.Kind == sched.Assign {
		l.lately.assigned += len(m.Tasks)
	}
	for _, c := range m.Tasks {
		queue, _ := task.SplitQueue(c.ID)
		if m.Kind == sched.Assign {
			l.metrics.Assigned(queue)
		}
		switch {
		case m.Kind == sched.Fail:
			l.log.Warn("task failed", "task", c.ID, "reason", lostReason(c.Losses+1))
		case m.Kind == sched.Revoke:
			l.log.Info("task revoked: it no longer exists", "task", c.ID, "worker", m.Worker)
		case m.Kind == sched.Reclaim:
			l.log.Info("task reclaimed: it waits behind a long one", "task", c.ID, "worker", m.Worker)
		case c.CountLoss:
			l.log.Warn("assigned again, lost with its worker", "task", c.ID, "worker", m.Worker, "losses", c.Losses+1)
		default:
			l.log.Info("assigned", "task", c.ID, "worker", m.Worker)
		}
	}
}

// refused merges a move whose operation failed with e.
func (l *leader) refused(m sched.Move, e *session.OpError) {
	l.log.Debug("move refused", "err", e)
	r := sched.Refused{Move: m}
	if id, ofTask := strings.CutPrefix(e.Op.Path, task.TasksDir+"/"); ofTask {
		r.Task = id
	}
	switch {
	case errors.Is(e.Err, zk.ErrNoNode):
		r.Why = sched.Gone
	case errors.Is(e.Err, zk.ErrBadVersion):
		r.Why = sched.Moved
	default:
		r.Why = sched.Unusable
		l.malformed.warn(e.Op.Path, e.Err.Error())
	}
	l.handle(r)
}
