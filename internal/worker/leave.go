package worker

import (
	"errors"
	"slices"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// errStays means that the slot's znode is still there, because it may not be deleted.
var errStays = errors.New("the worker's znode stays")

// parting is what the Multi does with which a slot leaves.
type parting struct {
	ops     []session.Op
	written []*holding // those whose results it writes
	given   int        // how many it gives back
}

// leave commits what is ready, gives back what is not, and deletes the slot's
// znode: all in one Multi, so that the leader never sees a part of it. It
// fails when the session is over; then the znode vanishes by itself and the
// leader finds the tasks. Where it may not delete its znode it does the rest all the
// same, and returns errStays: the znode goes with the session.
func (sl *slot) leave() error {
	var unknown parting // whose answer was lost
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
		unknown = parting{}
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
		case errors.Is(err, session.ErrTooLarge) && sl.room() > leastRoom:
			continue // the servers take less than was known
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

// left logs what was done.
func (sl *slot) left(p parting) {
	for _, h := range p.written {
		sl.tell(h)
	}
	if p.given > 0 {
		sl.log.Info("gave back its tasks", "tasks", p.given)
	}
}

// readBack is how many states giveBack reads at once: as many as go in one request.
const readBack = 32

// giveBack returns the writes that end this slot's hold of its tasks.
func (sl *slot) giveBack() (p parting, err error) {
	held := slices.DeleteFunc(slices.Clone(sl.list), func(h *holding) bool { return h.verdict.freeOnly })
	room := sl.room()
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
			if h.phase == ready && sl.s.Size(op) <= room && !sl.resting() {
				p.written = append(p.written, h)
			} else {
				op = session.Set(paths[i], state.Bytes(), version)
				p.given++
			}
			room -= sl.s.Size(op)
			p.ops = append(p.ops, op)
		}
	}
	return p, nil
}
