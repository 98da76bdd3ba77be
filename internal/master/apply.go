package master

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// errDeposed means that ZooKeeper refused a write because the leader's
// candidate znode is gone.
var errDeposed = errors.New("deposed: a write was refused, the candidate's znode is gone")

// ops is a move as operations. The claims are checked or set at the versions
// at which the tasks were pending, the worker's znode at the one at which it
// was free, or listed what is taken back.
func (m move) ops() []session.Op {
	var ops []session.Op
	for _, c := range m.tasks {
		path := task.StatePath(c.id)
		switch {
		case m.kind == fail:
			return []session.Op{session.Set(path, task.NewFailed(lostReason(c.losses+1)).Bytes(), c.version)}
		case m.kind == assign && c.lost:
			ops = append(ops, session.Set(path, task.NewPending(c.losses+1).Bytes(), c.version))
		case m.kind == assign:
			ops = append(ops, session.Check(path, c.version))
		}
	}
	return append(ops, session.Set(task.WorkerPath(m.worker), task.List{IDs: m.list}.Bytes(), m.version))
}

func lostReason(n int) string {
	if n == 1 {
		return "lost with 1 worker"
	}
	return fmt.Sprintf("lost with %d workers", n)
}

// apply carries the moves out, as many in one Multi as a packet holds. Where one
// is refused, all that the rest stood on is read again, at once, and the next
// decision is about what is so: no move shares another's fate, and however much
// has changed since it was read, one Multi fails for it and not one for each.
func (l *leader) apply(moves []move) error {
	for most := len(moves); len(moves) > 0; {
		ops, ends := fenced(l.fence, moves[:min(most, len(moves))], l.packet())
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
			l.log.Warn("no answer to a write, looking what became of it", "err", err)
			if err := l.settle(batch); err != nil {
				return err
			}
			moves = moves[len(batch):]
		case errors.Is(err, session.ErrTooLarge) && len(batch) > 1: // by a long chroot
			most = len(batch) / 2
		case errors.Is(err, session.ErrTooLarge): // by what a person typed
			m := moves[0]
			l.odd.tell(task.WorkerPath(m.worker), "its list is "+err.Error())
			l.view.ignoreWorker(m.worker)
			l.view.undone(m)
			moves = moves[1:]
		case !errors.As(err, &refused):
			return err
		case refused.Index == 0:
			return l.deposed(refused)
		default:
			i, _ := slices.BinarySearch(ends, refused.Index+1)
			l.refused(moves[i], refused)
			for _, m := range slices.Delete(moves, i, i+1) {
				l.view.reread(m)
			}
			return nil
		}
	}
	return nil
}

// deposed takes it that the fence was refused.
func (l *leader) deposed(refused *session.OpError) error {
	l.log.Warn("write refused by ZooKeeper: this master leads no more", "candidate", l.fence.Path, "err", refused)
	return errDeposed
}

// fenced returns the operations of as many steps as a packet holds, behind the
// fence, and where each of them ends.
func fenced[T interface{ ops() []session.Op }](fence session.Op, steps []T, packet int) (ops []session.Op, ends []int) {
	ops = []session.Op{fence}
	size := fence.Size()
	for _, s := range steps {
		add := s.ops()
		for _, op := range add {
			size += op.Size()
		}
		if size > packet && len(ends) > 0 {
			break
		}
		ops = append(ops, add...)
		ends = append(ends, len(ops))
	}
	return ops, ends
}

// packet is what a Multi may hold: it leaves room for a chroot in each path.
func (l *leader) packet() int { return l.s.MaxPacket() / 2 }

func (l *leader) carriedOut(m move, version int32) {
	l.view.done(m, version)
	if m.kind == takeBack && len(m.tasks) > mostTurn { // typed by hand
		l.log.Info("ids of no task removed from a worker's list", "worker", m.worker, "tasks", len(m.tasks))
		return
	}
	for _, c := range m.tasks {
		switch {
		case m.kind == fail:
			l.log.Warn("task failed", "task", c.id, "reason", lostReason(c.losses+1))
		case m.kind == takeBack:
			l.log.Info("task taken back: it is not there any more", "task", c.id, "worker", m.worker)
		case m.kind == spare:
			l.log.Info("task taken back, it was behind a long one", "task", c.id, "worker", m.worker)
		case c.lost:
			l.log.Warn("assigned again, lost with its worker", "task", c.id, "worker", m.worker, "losses", c.losses+1)
		default:
			l.log.Info("assigned", "task", c.id, "worker", m.worker)
		}
	}
}

// refused takes a move that an operation stood against.
func (l *leader) refused(m move, e *session.OpError) {
	l.log.Debug("move refused", "err", e)
	moved := errors.Is(e.Err, zk.ErrNoNode) || errors.Is(e.Err, zk.ErrBadVersion)
	if !moved {
		l.odd.tell(e.Op.Path, e.Err.Error())
	}
	id, ofTask := strings.CutPrefix(e.Op.Path, task.TasksDir+"/")
	if !ofTask {
		if moved {
			l.view.markStale(m.worker)
		} else {
			l.view.ignoreWorker(m.worker)
		}
		l.view.undone(m)
		return
	}
	m.tasks = slices.DeleteFunc(slices.Clone(m.tasks), func(c claim) bool { return c.id == id })
	l.view.undone(m)
	switch {
	case errors.Is(e.Err, zk.ErrNoNode):
		l.view.taskGone(id)
	case moved:
		l.view.doubt(id)
	case errors.Is(e.Err, session.ErrQuota):
		l.view.postpone(id)
	default:
		l.view.setAside(id)
	}
}

// settle finds out what became of moves whose answer was lost: after a Sync
// each worker's znode says whether its move was carried out.
func (l *leader) settle(moves []move) error {
	if err := l.s.Sync(); err != nil {
		return err
	}
	for _, m := range moves {
		if m.kind == fail {
			l.view.look(m.tasks[0].id)
			continue
		}
		data, stat, err := l.s.Get(task.WorkerPath(m.worker))
		if errors.Is(err, session.ErrOver) {
			return err
		}
		if list, odd := task.ParseList(data); err == nil && odd == nil && slices.Equal(list.IDs, m.list) {
			l.carriedOut(m, stat.Version)
			continue
		}
		// Not carried out, or more has happened since. The worker is read like
		// any other; what it lists is held, and the rest of the tasks are read.
		l.view.markStale(m.worker)
		if m.kind == assign {
			for _, c := range m.tasks {
				l.view.look(c.id)
			}
		}
	}
	return nil
}
