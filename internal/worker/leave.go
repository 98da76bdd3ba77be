package worker

import (
	"errors"
	"slices"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// errStays means that the slot's znode still exists: the right to delete it is missing.
var errStays = errors.New("the worker's znode stays")

// lastWrite is the Multi with which a slot leaves, without its last operation.
type lastWrite struct {
	ops     []session.Op
	written []*holding // the tasks whose results it writes
	given   int        // the number of tasks that it gives back
}

// leave commits the results that are ready, gives the other tasks back, and deletes the
// slot's znode. One Multi does all three, so the leader never sees a part. leave fails when
// the session is over: then ZooKeeper deletes the znode, and the leader finds the tasks.
// Without the right to delete the znode, leave does the rest and returns errStays: the
// znode vanishes with the session.
func (sl *slot) leave() error {
	var unknown lastWrite // the last one, if its answer was lost
	stays := false
	for {
		if sl.stale {
			if err := sl.read(); errors.Is(err, errGone) {
				sl.left(unknown)
				return nil
			} else if err != nil {
				return err
			}
		}
		p, err := sl.giveBack()
		if err != nil {
			return err
		}
		end := session.Delete(sl.path, sl.version)
		if stays {
			end = session.Check(sl.path, sl.version)
		}
		_, err = sl.group.Multi(append(p.ops, end)...)
		unknown = lastWrite{}
		var refused *session.OpError
		switch {
		case err == nil:
			sl.left(p)
			if stays {
				return errStays
			}
			return nil
		case errors.Is(err, session.ErrUnknown):
			if err := sl.s.Sync(); err != nil {
				return err
			}
			unknown = p
		case errors.Is(err, session.ErrTooLarge) && sl.resultBytes() > minResultBytes:
			continue // the servers' limit is lower than known so far: MaxPacket follows
		case !errors.As(err, &refused):
			return err
		case refused.Op.Path == sl.path && session.Refused(err) && !stays:
			sl.cfg.rights.Lacks(task.WorkersDir, session.RightDelete, err)
			stays = true
			continue
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

// left logs what the last write did.
func (sl *slot) left(p lastWrite) {
	for _, h := range p.written {
		sl.logCommitted(h)
	}
	if p.given > 0 {
		sl.log.Info("gave back its tasks", "tasks", p.given)
	}
}

// readBack is how many states giveBack reads at once: one request can carry as many.
const readBack = 32

// giveBack returns a write of all the slot's tasks: the results that are ready, and the
// rest as pending.
func (sl *slot) giveBack() (p lastWrite, err error) {
	held := slices.DeleteFunc(slices.Clone(sl.list), func(h *holding) bool { return h.verdict.freeOnly })
	left := sl.resultBytes()
	for chunk := range slices.Chunk(held, readBack) {
		paths := make([]string, len(chunk))
		for i, h := range chunk {
			paths[i] = task.StatePath(h.id)
		}
		for i, r := range sl.s.GetAll(paths...) {
			h := chunk[i]
			state, version, err := stateOf(r)
			if err != nil {
				return p, err
			}
			if state.Phase != task.Pending {
				continue
			}
			op := session.Set(paths[i], sl.fit(h.id, h.verdict.state).Bytes(), version)
			if h.phase == ready && sl.s.Size(op) <= left && !sl.resting() {
				p.written = append(p.written, h)
			} else {
				op = session.Set(paths[i], state.Bytes(), version)
				p.given++
			}
			left -= sl.s.Size(op)
			p.ops = append(p.ops, op)
		}
	}
	return p, nil
}
