package worker

import (
	"errors"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// maxResults bounds what one commit holds, so that it is done soon.
	maxResults = 100
	// MaxResult is what a result may hold, in bytes, where the servers take as much
	// as they do by default, and the slot's list is short.
	MaxResult = session.MaxPacket - 64<<10
)

// write sends what the slot's znode is to hold next, if that is something else and no
// write is under way: the list without marks, less the tasks that it returns, and less
// those with a verdict, which the same Multi commits.
func (sl *slot) write() {
	if sl.sent != nil || sl.stale || sl.resting() {
		return
	}
	var ops []session.Op // the results first: of these the clients are told before the leader is of the list
	var rest []*holding
	off, asked, results := make([]*holding, 0, 1), false, 0
	room := sl.room()
	for _, h := range sl.list {
		asked = asked || h.asked
		switch {
		case h.returns():
			off = append(off, h)
			continue
		case h.phase != ready || results == maxResults:
			rest = append(rest, h)
			continue
		case !h.verdict.freeOnly:
			op := session.Set(task.StatePath(h.id), sl.fit(h.id, h.verdict.state).Bytes(), h.verdict.version)
			size := sl.s.Size(op)
			if size > room && len(ops) > 0 {
				rest = append(rest, h)
				continue
			}
			room -= size
			ops = append(ops, op)
		}
		off = append(off, h)
		results++
	}
	if len(off) == 0 && !asked {
		return
	}
	sl.sent = off
	ops = append(ops, session.Set(sl.path, ids(rest).Bytes(), sl.version))
	sl.group.Go(func(r []session.Result, err error) { sl.written <- receipt{r, err} }, ops...)
}

// settle takes the fate of a write.
func (sl *slot) settle(r receipt) error {
	sent := sl.sent
	sl.sent = nil
	var refused *session.OpError
	switch {
	case r.err == nil:
		sl.restUntil = time.Time{} // the next outage is told again
		returned := 0
		for _, h := range sent {
			if h.returns() {
				returned++
			} else {
				sl.tell(h)
			}
		}
		if returned > 0 {
			sl.log.Info("returned reclaimed tasks", "tasks", returned)
		}
		sl.list = without(sl.list, sent)
		sl.version = r.results[len(r.results)-1].Stat.Version
		return nil
	case errors.Is(r.err, session.ErrUnknown):
		sl.stale = true // what is listed still is held, and to be returned if it is marked
		return sl.s.Sync()
	case errors.Is(r.err, session.ErrTooLarge) && sl.room() > leastRoom:
		return nil // the servers take less than was known
	case !errors.As(r.err, &refused):
		return r.err
	case refused.Op.Path == sl.path && (errors.Is(r.err, zk.ErrNoNode) || errors.Is(r.err, zk.ErrBadVersion)):
		sl.stale = true // read says whether it is gone or has moved on
		return nil
	case refused.Op.Path == sl.path && errors.Is(r.err, session.ErrQuota):
		sl.rest(r.err)
		return nil
	case refused.Op.Path == sl.path:
		return r.err
	}
	return sl.refused(refused)
}

// tell logs what was committed.
func (sl *slot) tell(h *holding) {
	v := h.verdict
	attrs := []any{"task", h.id, "took", v.took.Round(time.Millisecond)}
	switch {
	case v.freeOnly: // was told when that was found
	case v.state.Phase == task.Failed:
		sl.log.Warn("task failed", append(attrs, "reason", string(v.state.Text[:min(len(v.state.Text), 200)]))...)
	default:
		sl.log.Info("task done", attrs...)
	}
}

// refused takes that a task's state was not as it was taken to be.
func (sl *slot) refused(why *session.OpError) error {
	h := sl.find(why.Op.Path[len(task.TasksDir)+1:])
	state, version, err := sl.readState(h.id)
	switch {
	case err != nil:
		return err
	case state.Phase == task.Pending && errors.Is(why, zk.ErrBadVersion):
		h.verdict.version = version
	case state.Phase == task.Pending && errors.Is(why, session.ErrQuota):
		sl.overQuota(h, state, why)
	default:
		sl.log.Warn("the result is dropped: its task is finished or gone", "task", h.id, "err", why)
		h.phase, h.verdict = ready, verdict{freeOnly: true}
	}
	return nil
}

// readState reads a task's state: see stateOf.
func (sl *slot) readState(id string) (task.State, int32, error) {
	data, stat, err := sl.s.Get(task.StatePath(id))
	return stateOf(session.Read{Data: data, Stat: stat, Err: err})
}

// stateOf returns a task's state and its version as read. One that is gone, may not be
// read, or cannot be, because its id is no name of a znode, is Malformed. It fails when the
// session is over.
func stateOf(r session.Read) (task.State, int32, error) {
	if errors.Is(r.Err, session.ErrOver) {
		return task.State{}, 0, r.Err
	}
	if r.Err != nil {
		return task.State{Phase: task.Malformed}, 0, nil
	}
	return task.ParseState(r.Data), r.Stat.Version, nil
}
