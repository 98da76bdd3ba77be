package worker

import (
	"errors"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// maxResults is how many results one commit may hold, so that it does not take long.
	maxResults = 100
	// MaxResult is the largest result, in bytes, that fits into a commit with servers of
	// the default limit. 64 KB are left for the slot's list and the paths.
	MaxResult = session.MaxPacket - 64<<10
)

// write sends the slot's next list, if it differs and no write is under way: without marks,
// without the tasks that the slot returns, and without those with a verdict, which the same
// Multi commits.
func (sl *slot) write() {
	if sl.sent != nil || sl.stale || sl.resting() {
		return
	}
	var ops []session.Op // the results first: clients get their events before the leader gets the event of the list
	var rest []*holding
	off, asked, results := make([]*holding, 0, 1), false, 0
	left := sl.resultBytes()
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
			if size > left && len(ops) > 0 {
				rest = append(rest, h)
				continue
			}
			left -= size
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

// settle handles the answer to a write.
func (sl *slot) settle(r receipt) error {
	sent := sl.sent
	sl.sent = nil
	var refused *session.OpError
	switch {
	case r.err == nil:
		sl.restUntil = time.Time{} // rest warns again the next time
		returned := 0
		for _, h := range sent {
			if h.returns() {
				returned++
			} else {
				sl.logCommitted(h)
			}
		}
		if returned > 0 {
			sl.log.Info("returned reclaimed tasks", "tasks", returned)
		}
		sl.list = without(sl.list, sent)
		sl.version = r.results[len(r.results)-1].Stat.Version
		return nil
	case errors.Is(r.err, session.ErrUnknown):
		sl.stale = true // the read shows which tasks are still listed, and which are marked
		return sl.s.Sync()
	case errors.Is(r.err, session.ErrTooLarge) && sl.resultBytes() > minResultBytes:
		return nil // the servers' limit is lower than known so far: MaxPacket follows
	case !errors.As(r.err, &refused):
		return r.err
	case refused.Op.Path == sl.path && (errors.Is(r.err, zk.ErrNoNode) || errors.Is(r.err, zk.ErrBadVersion)):
		sl.stale = true // the read shows whether the znode is gone or was changed
		return nil
	case refused.Op.Path == sl.path && errors.Is(r.err, session.ErrQuota):
		sl.rest(r.err)
		return nil
	case refused.Op.Path == sl.path:
		return r.err
	}
	return sl.refused(refused)
}

// logCommitted logs the outcome of a task after its commit.
func (sl *slot) logCommitted(h *holding) {
	v := h.verdict
	attrs := []any{"task", h.id, "took", v.took.Round(time.Millisecond)}
	switch {
	case v.freeOnly: // logged by pending or refused
	case v.state.Phase == task.Failed:
		sl.log.Warn("task failed", append(attrs, "reason", string(v.state.Text[:min(len(v.state.Text), 200)]))...)
	default:
		sl.log.Info("task done", attrs...)
	}
}

// refused changes a task's verdict after ZooKeeper refused to write its state. It reads
// the state first.
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

// stateOf returns a task's state and its version as read. A state that is gone or cannot be
// read counts as Malformed. stateOf fails only when the session is over.
func stateOf(r session.Read) (task.State, int32, error) {
	if errors.Is(r.Err, session.ErrOver) {
		return task.State{}, 0, r.Err
	}
	if r.Err != nil {
		return task.State{Phase: task.Malformed}, 0, nil
	}
	return task.ParseState(r.Data), r.Stat.Version, nil
}
