package worker

import (
	"fmt"
	"os"
	"time"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Check fails when one session at that address cannot hold so many slots.
func (c Config) Check(a session.Address) error {
	return session.CheckEphemeral("slots", c.Slots, a, task.WorkerPath(c.newName()))
}

// newName returns a name for a slot.
func (c Config) newName() string {
	host, _ := os.Hostname() // NewWorkerName replaces an empty name
	return task.NewWorkerName(c.Queue, host, os.Getpid())
}

// minResultBytes is the least value of resultBytes, in bytes, with which a slot can work: one
// failure fits.
const minResultBytes = 1 << 10

// resultBytes returns how many bytes the results in one commit may have: a packet less the
// slot's list.
func (sl *slot) resultBytes() int {
	return sl.s.MaxPacket() - sl.s.Size(session.Set(sl.path, ids(sl.list).Bytes(), 0))
}

// fit returns a state that fits into a commit: the given one; or without its output
// streams; or a failure, "result of N bytes is too large".
func (sl *slot) fit(id string, s task.State) task.State {
	if len(task.StatePath(id))+s.Size() < minResultBytes/2 { // most states are small
		return s
	}
	most := sl.resultBytes()
	over := func() int { return sl.s.Size(session.Set(task.StatePath(id), s.Bytes(), 0)) - most }
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

// overQuota makes a verdict smaller after the servers refused it: a quota is exceeded. The
// first time it drops the worker's facts and streams. Then the task fails, and says so, if
// need be in as many bytes as its state has now: these count already. If the servers refuse
// even that, the slot waits: someone must remove something first.
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

// rest stops commits for reread/2. It warns once, until a write has succeeded.
func (sl *slot) rest(why error) {
	if sl.restUntil.IsZero() {
		sl.log.Warn("no result can be committed, trying again every 5 s", "err", why)
	}
	sl.restUntil = time.Now().Add(reread / 2)
}

func (sl *slot) resting() bool { return time.Now().Before(sl.restUntil) }
