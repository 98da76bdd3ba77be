package master

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/metrics"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// The janitor sweeps eight times in a retention time, but with a pause within these bounds.
	leastSweep = time.Second
	mostSweep  = 10 * time.Minute
)

// janitor removes what nobody collected within the retention time: finished detached
// tasks, and payloads without a task. It uses no state of the leader's loop. The age of a
// state or payload is the time since its last write, by the servers' clock alone. So a new
// leader computes the same age.
type janitor struct {
	// Fixed at construction.
	s         *session.Session
	dirs      *dirs
	fence     session.Op
	retention time.Duration // 0 or less: nothing is removed
	log       *slog.Logger
	rights    *session.Rights
	group     *session.Group
	metrics   *metrics.Master

	// Owned by the goroutine of run.
	malformed *malformed
	signed    time.Time       // when sign wrote the candidate's znode, by the servers' clock
	since     time.Time       // the same moment, by this process's monotonic clock
	lone      map[string]bool // payloads that had no task in the last sweep

	mu      sync.Mutex      // guards the rest
	refused map[string]bool // directories in which this sweep may not delete
}

func newJanitor(m *master, fence session.Op) *janitor {
	return &janitor{
		s: m.s, dirs: m.dirs, fence: fence, retention: m.cfg.Retention, log: m.cfg.Logger, rights: m.rights,
		group: m.s.NewGroup(), malformed: newMalformed(m.cfg.Logger), metrics: m.cfg.Metrics,
	}
}

// run sweeps until ctx ends. It fails with errDeposed, or when the session is over.
func (j *janitor) run(ctx context.Context) error {
	if err := j.sign(); err != nil || j.retention <= 0 {
		return err
	}
	ticker := time.NewTicker(min(max(j.retention/8, leastSweep), mostSweep))
	defer ticker.Stop()
	for ctx.Err() == nil {
		if err := j.sweep(ctx); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// sign writes the candidate's znode again, with the same content. From its mtime people see
// since when this master leads, and the janitor knows the servers' time.
func (j *janitor) sign() error {
	path := j.fence.Path
	for {
		data, stat, err := j.s.Get(path)
		switch {
		case session.Refused(err): // a person took the right away: its present mtime must do
			stat, err = j.s.Stat(path)
		case err == nil:
			var results []session.Result
			if results, err = j.s.Multi(session.Set(path, data, stat.Version)); err == nil {
				stat = results[0].Stat
			}
		}
		switch {
		case errors.Is(err, zk.ErrNoNode):
			return errDeposed
		case errors.Is(err, zk.ErrBadVersion), errors.Is(err, session.ErrUnknown):
			continue // somebody wrote it meanwhile, perhaps this call
		case errors.Is(err, session.ErrOver):
			return err
		case err != nil:
			j.malformed.warn(path, err.Error())
			if stat == nil {
				return nil
			}
		}
		j.signed, j.since = time.UnixMilli(stat.Mtime), time.Now()
		return nil
	}
}

// now is the present time by the servers' clock.
func (j *janitor) now() time.Time { return j.signed.Add(time.Since(j.since)) }

// old reports whether a znode written at ms, by the servers' clock, is due for removal.
func (j *janitor) old(ms int64) bool { return j.now().Sub(time.UnixMilli(ms)) >= j.retention }

// sweep looks once, and removes what is due. It lists /data first, so that a task submitted
// between the two listings does not look like a payload without a task.
func (j *janitor) sweep(ctx context.Context) error {
	payloads, ok, err := j.list(task.DataDir)
	if err != nil || !ok {
		return err
	}
	tasks, ok, err := j.list(task.TasksDir)
	if err != nil || !ok {
		return err
	}
	listed := make(map[string]bool, len(tasks))
	var due []string
	for _, id := range tasks {
		listed[id] = true
		if task.ValidID(id) && j.mayBeOld(id) {
			due = append(due, id)
		}
	}
	lone := make(map[string]bool)
	for _, id := range payloads {
		if task.ValidID(id) && !listed[id] {
			lone[id] = true
			if j.lone[id] && j.mayBeOld(id) {
				due = append(due, id)
			}
		}
	}
	j.lone = lone
	j.refused = make(map[string]bool)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(pipeline)
	for _, id := range due {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if lone[id] {
				return j.removeLone(id)
			}
			return j.removeTask(id)
		})
	}
	return g.Wait()
}

func (j *janitor) list(dir string) (names []string, ok bool, err error) {
	names, err = j.dirs.list(dir, false)
	if session.Refused(err) {
		j.rights.Lacks(dir, session.RightRead, err)
		return nil, false, nil
	}
	if err == nil {
		j.rights.Has(dir, session.RightRead)
	}
	return names, err == nil, err
}

// mayBeOld reports whether a task may be due, by the time in its id. A time in the
// servers' future is wrong, so that task may be due.
func (j *janitor) mayBeOld(id string) bool {
	age := j.now().Sub(task.ParseName(id).Made)
	return age >= j.retention || age < 0
}

// removeTask removes a detached task that is finished and due, and its payload. The task
// must still be at the version that was read.
func (j *janitor) removeTask(id string) error {
	path := task.StatePath(id)
	stat, err := j.s.Stat(path)
	if err != nil || stat.EphemeralOwner != 0 || !j.old(stat.Mtime) {
		return j.passOver(path, err)
	}
	data, stat, err := j.s.Get(path)
	if err != nil || !task.ParseState(data).Finished() || !j.old(stat.Mtime) {
		return j.passOver(path, err)
	}
	ops := []session.Op{j.fence, session.Delete(path, stat.Version)}
	payload, err := j.s.Stat(task.DataPath(id))
	switch {
	case stat.NumChildren > 0:
		j.malformed.warn(path, "znodes below a task; not removed")
		return nil
	case err == nil && payload.NumChildren > 0:
		j.malformed.warn(task.DataPath(id), "znodes below a payload; not removed")
		return nil
	case err == nil:
		ops = append(ops, session.Delete(task.DataPath(id), session.AnyVersion))
	case !errors.Is(err, zk.ErrNoNode):
		return j.passOver(task.DataPath(id), err)
	}
	return j.remove(id, "task removed: nobody collected its result in time", ops)
}

// removeLone removes a payload that had no task in the last sweep, and has none now.
func (j *janitor) removeLone(id string) error {
	path := task.DataPath(id)
	stat, err := j.s.Stat(path)
	switch {
	case err != nil || stat.EphemeralOwner != 0 || !j.old(stat.Mtime):
		return j.passOver(path, err)
	case stat.NumChildren > 0:
		j.malformed.warn(path, "znodes below a payload; not removed")
		return nil
	}
	return j.remove(id, "payload removed: it had no task", []session.Op{j.fence, session.Delete(path, stat.Version)})
}

// passOver leaves a znode for now. It returns the error only if the error ends the sweep.
func (j *janitor) passOver(path string, err error) error {
	switch {
	case err == nil, errors.Is(err, zk.ErrNoNode): // somebody collected it
	case errors.Is(err, session.ErrOver):
		return err
	default:
		j.malformed.warn(path, err.Error()+"; not removed")
	}
	return nil
}

// remove carries a removal out. If a znode was written or collected meanwhile, or no answer
// came, the next sweep looks again.
func (j *janitor) remove(id, message string, ops []session.Op) error {
	if j.isRefused(ops[1:]) {
		return nil
	}
	_, err := j.group.Multi(ops...)
	var refused *session.OpError
	switch {
	case err == nil:
		j.log.Info(message, "task", id)
		for _, op := range ops[1:] {
			j.rights.Has(dirOf(op.Path), session.RightDelete)
		}
	case errors.Is(err, session.ErrOver):
		return err
	case session.Refused(err):
		dir := j.rights.Lacks(task.DataDir, session.RightDelete, err)
		j.mu.Lock()
		j.refused[dir] = true
		j.mu.Unlock()
	case errors.As(err, &refused) && refused.Index == 0:
		j.metrics.Fenced()
		j.log.Warn("removal refused by ZooKeeper: this master no longer leads", "candidate", j.fence.Path, "err", refused)
		return errDeposed
	case errors.As(err, &refused) && !errors.Is(err, zk.ErrNoNode) && !errors.Is(err, zk.ErrBadVersion):
		j.malformed.warn(refused.Op.Path, refused.Err.Error()+"; not removed")
	default:
		j.log.Debug("not removed, for now", "task", id, "err", err)
	}
	return nil
}

// isRefused reports whether this sweep may not delete in the directory of an operation.
func (j *janitor) isRefused(ops []session.Op) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(ops, func(op session.Op) bool { return j.refused[dirOf(op.Path)] })
}

// dirOf is the directory that a task's state or payload is in.
func dirOf(path string) string { return path[:strings.LastIndexByte(path, '/')] }
