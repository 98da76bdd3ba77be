package worker

import (
	"fmt"
	"os"
	"time"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Check fails when one session may not hold so many slots at that address.
func (c Config) Check(a session.Address) error {
	return session.CheckEphemeral("slots", c.Slots, a, task.WorkerPath(c.newName()))
}

// newName returns a name for a slot.
func (c Config) newName() string {
	host, _ := os.Hostname() // there is a name for a machine without one
	return task.NewWorkerName(c.Queue, host, os.Getpid())
}

// leastRoom is what a commit must have room for beside the slot's list: one failure.
const leastRoom = 1 << 10

// room is what the results in one commit may take of its packet, beside the
// slot's list.
func (sl *slot) room() int {
	return sl.s.MaxPacket() - sl.s.Size(session.Set(sl.path, ids(sl.list).Bytes(), 0))
}

// fit returns a state that a commit has room for: this one, less its streams where they
// are what is too much, or that its result is too large.
func (sl *slot) fit(id string, s task.State) task.State {
	if len(task.StatePath(id))+s.Size() < leastRoom/2 { // most are as small
		return s
	}
	room := sl.room()
	over := func() int { return sl.s.Size(session.Set(task.StatePath(id), s.Bytes(), 0)) - room }
	for _, stream := range []*[]byte{&s.Stderr, &s.Stdout} {
		if n := len(*stream); n > 0 && over() > 0 {
			*stream = fmt.Appendf(nil, "[... %d bytes left out]\n", n)
		}
	}
	if n := over(); n > 0 && len(s.Text) >= n {
		s.Phase, s.Text = task.Failed, fmt.Appendf(nil, "result of %d bytes is too large: at most %d", len(s.Text), len(s.Text)-n)
	}
	return s
}

// overQuota takes that a state is more than the servers' quota leaves room for. First it
// goes without what only the worker tells. Then the task fails with that, in as many
// bytes as its state has now if need be, which are there already. Where even that is
// refused, something must be removed first.
func (sl *slot) overQuota(h *holding, now task.State, why error) {
	s := h.verdict.state
	s.Facts, s.Stdout, s.Stderr = s.Facts.Asked(), nil, nil
	failed := task.NewFailed(fmt.Sprintf("result of %d bytes: %s on %s", len(s.Text), session.ErrQuota, task.TasksDir))
	failed.Facts = s.Facts
	switch size, least := len(s.Bytes()), len(now.Bytes()); {
	case size < len(h.verdict.state.Bytes()):
		h.verdict.state = s
		return
	case size > len(failed.Bytes()):
	case size > least:
		over := max(0, len(failed.Bytes())-least)
		failed.Text = failed.Text[:max(0, len(failed.Text)-over)]
	default:
		sl.rest(why)
		return
	}
	sl.log.Warn("task fails: its result is over a quota", "task", h.id, "err", why)
	h.verdict.state = failed
}

// rest has nothing committed for a while. It warns once, until a write has succeeded.
func (sl *slot) rest(why error) {
	if sl.restUntil.IsZero() {
		sl.log.Warn("nothing can be committed, trying again from time to time", "err", why)
	}
	sl.restUntil = time.Now().Add(reread / 2)
}

func (sl *slot) resting() bool { return time.Now().Before(sl.restUntil) }
