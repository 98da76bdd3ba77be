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
	Taking  int // are given tasks
	Drained int // are not
}

// tellPause is the least time between two words about how many workers there are.
const tellPause = time.Second

// rightsPause is how often WaitForWorkers looks whether it may still see the workers. A server
// that no longer lets it read a znode fires its watch no more.
const rightsPause = 5 * time.Second

// MaySubmit fails where the policy does not let the client submit, and with ctx's cause when ctx
// ends before there is a session. Do and Submit would wait for another policy.
func (c *Client) MaySubmit(ctx context.Context) error {
	return c.on(ctx, func(sv *serving) error { return sv.s.Permitted("submit to", task.DataDir, zk.PermCreate) })
}

// WaitForWorkers returns when so many workers of the client's queue are registered that are
// not drained. Until then tell is called with how many there are: at once, and when that
// has changed, once a second at most. It fails with ctx's cause when ctx ends, and where the
// policy does not let the client see the workers. One call of a
// client waits at a time.
func (c *Client) WaitForWorkers(ctx context.Context, n int, tell func(Crew)) error {
	if n <= 0 {
		return nil
	}
	w := &crewWait{rights: c.rights, queue: c.queue, n: n, tell: tell}
	return c.on(ctx, func(sv *serving) error { return w.on(ctx, sv) })
}

// crewWait is a call of WaitForWorkers, on one session after the other.
type crewWait struct {
	// Fixed.
	rights *session.Rights
	queue  string
	n      int
	tell   func(Crew)

	told *Crew     // last; nil: nothing yet
	at   time.Time // then
}

func (w *crewWait) on(ctx context.Context, sv *serving) error {
	// The watches of a stall are on the same znodes, and have their own hints.
	const roots = "/"
	hints := sv.s.Hints(roots)
	defer sv.s.Forget(roots)
	var workers, drains []string
	listings := map[string]*[]string{task.WorkersDir: &workers, task.DrainDir: &drains}
	due := map[string]bool{task.WorkersDir: true, task.DrainDir: true}
	rights := time.NewTicker(rightsPause)
	defer rights.Stop()
	for {
		for dir, names := range listings {
			if !due[dir] {
				continue
			}
			var err error
			if *names, err = w.list(ctx, sv.s, dir); err != nil {
				return err
			}
			due[dir] = false
		}
		now := w.count(workers, drains)
		if now.Taking >= w.n {
			return nil
		}
		later := w.say(now)
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

// list lists a permanent znode and watches it, when it may, and creates it where it is
// missing.
func (w *crewWait) list(ctx context.Context, s *session.Session, dir string) (names []string, err error) {
	var withheld error // by the policy: nobody is about to give that right
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

// say tells how many there are, unless that was told. It returns when to say it if it is too
// soon.
func (w *crewWait) say(now Crew) (later <-chan time.Time) {
	switch {
	case w.told != nil && *w.told == now:
		return nil
	case time.Since(w.at) < tellPause:
		return time.After(time.Until(w.at.Add(tellPause)))
	}
	w.told, w.at = &now, time.Now()
	w.tell(now)
	return nil
}
