package client

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Crew counts the workers of a queue.
type Crew struct {
	Taking  int // may be assigned tasks
	Drained int // may not
}

// reportPause is the least time between two reports of how many workers there are.
const reportPause = time.Second

// rightsPause is how often WaitForWorkers checks that it still has the right to list the
// workers. When that right is gone, the servers drop the watch without an event.
const rightsPause = 5 * time.Second

// MaySubmit fails if the policy does not let the client submit, and with ctx's cause when
// ctx ends before there is a session. Do and Submit would wait for another policy.
func (c *Client) MaySubmit(ctx context.Context) error {
	return c.on(ctx, func(sv *serving) error { return sv.s.Permitted("submit to", task.DataDir, zk.PermCreate) })
}

// WaitForWorkers returns when n workers of the client's queue are registered and not
// drained. Until then it calls report with the current numbers: at once, and when they have
// changed, at most once a second. It fails with ctx's cause when ctx ends, and if the policy
// does not let the client list the workers. A client may have one such call at a time.
func (c *Client) WaitForWorkers(ctx context.Context, n int, report func(Crew)) error {
	if n <= 0 {
		return nil
	}
	w := &crewWait{rights: c.rights, queue: c.queue, n: n, report: report}
	return c.on(ctx, func(sv *serving) error { return w.on(ctx, sv) })
}

// crewWait is a call of WaitForWorkers, on one session after the other.
type crewWait struct {
	// Fixed.
	rights *session.Rights
	queue  string
	n      int
	report func(Crew)

	last *Crew     // reported; nil: none yet
	at   time.Time // of the last report
}

func (w *crewWait) on(ctx context.Context, sv *serving) error {
	// A stall watches the same znodes, and has its own hints.
	const roots = "/"
	hints := sv.s.Hints(roots)
	defer sv.s.Forget(roots)
	var workers, drains []string
	listings := []struct {
		dir   string
		names *[]string
	}{{task.WorkersDir, &workers}, {task.DrainDir, &drains}}
	due := map[string]bool{task.WorkersDir: true, task.DrainDir: true}
	rights := time.NewTicker(rightsPause)
	defer rights.Stop()
	for {
		// Drains are listed after workers: a worker counts as drained if its drain is older.
		due[task.DrainDir] = due[task.DrainDir] || due[task.WorkersDir]
		for _, l := range listings {
			if !due[l.dir] {
				continue
			}
			var err error
			if *l.names, err = w.list(ctx, sv.s, l.dir); err != nil {
				return err
			}
			due[l.dir] = false
		}
		now := w.count(workers, drains)
		if now.Taking >= w.n {
			return nil
		}
		later := w.reportNow(now)
		select {
		case <-hints.C:
			paths, all := hints.Take()
			for dir := range due {
				due[dir] = all || paths[dir].Times > 0
			}
		case <-rights.C:
			for dir := range due {
				_, _, err := sv.s.Children(dir)
				due[dir] = session.Refused(err)
			}
		case <-later:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-sv.s.Done():
			return sv.s.Err()
		case <-sv.ctx.Done(): // Serve waits for this to end
			return errStopped
		}
	}
}

// list lists a permanent znode and sets a watch. It creates the znode if it is missing, and
// waits while the right to list it is missing, unless the policy withholds that right.
func (w *crewWait) list(ctx context.Context, s *session.Session, dir string) (names []string, err error) {
	var withheld error // the policy withholds the right: it will not come
	err = w.rights.Patiently(ctx, dir, session.RightRead, func() error {
		for {
			names, _, err = s.ChildrenW(dir)
			if session.Refused(err) && s.Withholds(dir, zk.PermRead) {
				withheld = err
				return nil
			}
			if !errors.Is(err, zk.ErrNoNode) {
				return err
			}
			if err := s.EnsureDirs(task.Dirs()...); err != nil {
				return err
			}
		}
	})
	return names, cmp.Or(err, withheld)
}

func (w *crewWait) count(workers, drains []string) Crew {
	var ours []string
	for _, name := range workers {
		if queue, _ := task.SplitQueue(name); queue == w.queue {
			ours = append(ours, name)
		}
	}
	n, _ := taking(ours, drains)
	return Crew{Taking: n, Drained: len(ours) - n}
}

// reportNow reports numbers that are new. If it is too soon, it returns a timer for when to
// report them.
func (w *crewWait) reportNow(now Crew) (later <-chan time.Time) {
	switch {
	case w.last != nil && *w.last == now:
		return nil
	case time.Since(w.at) < reportPause:
		return time.After(time.Until(w.at.Add(reportPause)))
	}
	w.last, w.at = &now, time.Now()
	w.report(now)
	return nil
}
