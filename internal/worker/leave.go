package worker

import (
	"errors"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// leave commits what is ready, gives back what is not, and deletes the slot's
// znode: all in one Multi, so that the leader never sees a part of it. It
// fails when the session is over; then the znode vanishes by itself and the
// leader finds the tasks.
func (sl *slot) leave() error {
	for {
		if sl.stale {
			if err := sl.read(); errors.Is(err, errGone) {
				return nil
			} else if err != nil {
				return err
			}
		}
		ops, given, err := sl.giveBack()
		if err != nil {
			return err
		}
		_, err = sl.group.Multi(append(ops, session.Delete(sl.path, sl.version))...)
		var refused *session.OpError
		switch {
		case err == nil:
			if given > 0 {
				sl.log.Info("gave back its tasks", "tasks", given)
			}
			return nil
		case errors.Is(err, session.ErrUnknown):
			if err := sl.s.Sync(); err != nil {
				return err
			}
		case errors.Is(err, session.ErrTooLarge) && sl.room() > leastRoom:
			continue // the servers take less than was known
		case !errors.As(err, &refused):
			return err
		case refused.Op.Path != sl.path:
			if err := sl.refused(refused); err != nil {
				return err
			}
			continue
		case !errors.Is(err, zk.ErrBadVersion) && !errors.Is(err, zk.ErrNoNode):
			return err
		}
		sl.stale = true
	}
}

// giveBack returns the writes that end this slot's hold of its tasks, and how
// many of them are no results.
func (sl *slot) giveBack() (ops []session.Op, given int, err error) {
	room := sl.room()
	for _, id := range sl.list {
		v, ready := sl.results[id]
		if v.freeOnly {
			continue
		}
		state, version, err := readState(sl.s, id)
		if err != nil {
			return nil, 0, err
		}
		if state.Phase != task.Pending {
			continue
		}
		op := session.Set(task.StatePath(id), sl.fit(id, v.state).Bytes(), version)
		if !ready || sl.s.Size(op) > room || sl.resting() {
			op = session.Set(task.StatePath(id), state.Bytes(), version)
			given++
		}
		room -= sl.s.Size(op)
		ops = append(ops, op)
	}
	return ops, given, nil
}
