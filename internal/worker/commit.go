package worker

import (
	"errors"
	"slices"
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

// commit sends the results that are ready, if no commit is under way.
func (sl *slot) commit() {
	if sl.sent != nil || sl.stale || len(sl.results) == 0 || sl.resting() {
		return
	}
	var sets []session.Op
	var rest []string
	room := sl.room()
	for _, id := range sl.list {
		v, ready := sl.results[id]
		if !ready || len(sl.sent) == maxResults {
			rest = append(rest, id)
			continue
		}
		if !v.freeOnly {
			op := session.Set(task.StatePath(id), sl.fit(id, v.state).Bytes(), sl.at[id])
			size := sl.s.Size(op)
			if size > room && len(sets) > 0 {
				rest = append(rest, id)
				continue
			}
			room -= size
			sets = append(sets, op)
		}
		sl.sent = append(sl.sent, id)
	}
	ops := append([]session.Op{session.Set(sl.path, task.List{IDs: rest}.Bytes(), sl.version)}, sets...)
	sl.group.Go(func(r []session.Result, err error) { sl.committed <- receipt{r, err} }, ops...)
}

// settle takes the fate of a commit.
func (sl *slot) settle(r receipt) error {
	sent := sl.sent
	sl.sent = nil
	var refused *session.OpError
	switch {
	case r.err == nil:
		for _, id := range sent {
			sl.tell(id, sl.results[id])
			delete(sl.results, id)
			delete(sl.at, id)
		}
		sl.list = slices.DeleteFunc(slices.Clone(sl.list), func(id string) bool { return slices.Contains(sent, id) })
		sl.version = r.results[0].Stat.Version
		return nil
	case errors.Is(r.err, session.ErrUnknown):
		sl.stale = true
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
func (sl *slot) tell(id string, v verdict) {
	attrs := []any{"task", id, "took", v.took.Round(time.Millisecond)}
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
	id := why.Op.Path[len(task.TasksDir)+1:]
	state, version, err := readState(sl.s, id)
	if err != nil {
		return err
	}
	if state.Phase == task.Pending && errors.Is(why, zk.ErrBadVersion) {
		sl.at[id] = version
		return nil
	}
	if state.Phase == task.Pending && errors.Is(why, session.ErrQuota) {
		sl.overQuota(id, state, why)
		return nil
	}
	sl.log.Warn("result is not wanted any more", "task", id, "err", why)
	sl.results[id] = verdict{freeOnly: true}
	return nil
}

// readState reads a task's state. One that is gone, may not be read, or cannot
// be, because its id is no name of a znode, is Odd. It fails when the session is
// over.
func readState(s *session.Session, id string) (task.State, int32, error) {
	data, stat, err := s.Get(task.StatePath(id))
	if errors.Is(err, session.ErrOver) {
		return task.State{}, 0, err
	}
	if err != nil {
		return task.State{Phase: task.Odd}, 0, nil
	}
	return task.ParseState(data), stat.Version, nil
}
