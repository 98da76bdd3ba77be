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

// fit returns a state that a commit has room for: this one, or that it is too large.
func (sl *slot) fit(id string, s task.State) task.State {
	over := sl.s.Size(session.Set(task.StatePath(id), s.Bytes(), 0)) - sl.room()
	if over <= 0 || len(s.Text) < over {
		return s
	}
	return task.NewFailed(fmt.Sprintf("result of %d bytes is too large: at most %d", len(s.Text), len(s.Text)-over))
}

// overQuota takes that a result is more than the servers' quota leaves room for: the
// task fails with that, in as many bytes as its state has now if need be, which are
// there already. Where even that is refused, something must be removed first.
func (sl *slot) overQuota(h *holding, now task.State, why error) {
	v := h.verdict
	word := len(task.NewFailed("").Bytes()) + 1
	reason := fmt.Sprintf("result of %d bytes: %s on %s", len(v.state.Text), session.ErrQuota, task.TasksDir)
	switch size, least := len(v.state.Bytes()), len(now.Bytes()); {
	case size > word+len(reason):
	case size > least:
		reason = reason[:min(len(reason), max(0, least-word))]
	default:
		sl.rest(why)
		return
	}
	sl.log.Warn("task fails: its result is over a quota", "task", h.id, "err", why)
	h.verdict.state = task.NewFailed(reason)
}

// rest has nothing committed for a while. It warns once, until a write has succeeded.
func (sl *slot) rest(why error) {
	if sl.restUntil.IsZero() {
		sl.log.Warn("nothing can be committed, trying again from time to time", "err", why)
	}
	sl.restUntil = time.Now().Add(reread / 2)
}

func (sl *slot) resting() bool { return time.Now().Before(sl.restUntil) }
