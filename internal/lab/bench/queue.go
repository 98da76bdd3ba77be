package bench

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	perCreate = 500 // tasks in one Multi
	creators  = 8   // Multis under way
)

// queue is tasks that outlive whoever submitted them, the oldest first. They have one
// submitter: else they would take turns.
type queue struct {
	submitter *task.Submitter
	ids       []string
}

func newQueue() *queue { return &queue{submitter: task.NewSubmitter("")} }

// newIDs returns ids of n tasks more.
func (q *queue) newIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = q.submitter.NewID()
	}
	return ids
}

// fill has n tasks wait.
func (s *site) fill(ctx context.Context, n int) error {
	s.queue = newQueue()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(creators)
	for n > 0 {
		ids := s.queue.newIDs(min(perCreate, n))
		n -= len(ids)
		s.queue.ids = append(s.queue.ids, ids...)
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return s.submit(ids)
		})
	}
	return g.Wait()
}

// submit makes the znodes of tasks, permanent ones.
func (s *site) submit(ids []string) error {
	var ops []session.Op
	for _, id := range ids {
		ops = append(ops,
			session.Create(task.DataPath(id), []byte("0")),
			session.Create(task.StatePath(id), task.NewPending(0).Bytes()))
	}
	_, err := s.hand.Multi(ops...)
	return err
}

// done tells whether a task is.
func (s *site) done(id string) (bool, error) {
	data, _, err := s.hand.Get(task.StatePath(id))
	if err != nil {
		return false, err
	}
	switch state := task.ParseState(data); state.Phase {
	case task.Done:
		return true, nil
	case task.Pending:
		return false, nil
	default:
		return false, fmt.Errorf("task %s: %s", id, data)
	}
}

// progress is how many of the tasks that wait are done, to within what is being
// worked on: they are done in their order. That takes a few reads.
func (s *site) progress() (int, error) {
	var err error
	n := sort.Search(len(s.queue.ids), func(i int) bool {
		if err != nil {
			return true
		}
		var ok bool
		ok, err = s.done(s.queue.ids[i])
		return !ok
	})
	return n, err
}

// drainFor is how long the draining is looked at, at most. What is left out is its
// end, when less waits.
const drainFor = 15 * time.Second

// drain has a worker process do what waits.
func drain(ctx context.Context, rd *round) ([]sample, error) {
	s := rd.site
	start, err := s.progress() // some may be done by what was measured before
	if err != nil {
		return nil, err
	}
	if _, err := s.worker(ctx, usual.slots); err != nil {
		return nil, err
	}
	had := 0
	err = s.until(ctx, "a task is done", func() (bool, error) {
		had, err = s.progress()
		return had > start, err
	})
	if err != nil {
		return nil, err
	}
	total := len(s.queue.ids)
	began, n := time.Now(), had
	for n < total && (time.Since(began) < rd.long(drainFor) || n == had && time.Since(began) < patience) {
		if err := harness.Pause(ctx, 10*glance); err != nil {
			return nil, err
		}
		if n, err = s.progress(); err != nil {
			return nil, err
		}
	}
	if n == had {
		return nil, fmt.Errorf("%d tasks were done, and no more: no steady load", n)
	}
	rate := sample{what: tasksRate, unit: perSecond, value: float64(n-had) / time.Since(began).Seconds()}
	return []sample{rate.than(rd.of("steady", tasksRate), ratioAtLeast(0.8))}, nil
}

// steady keeps 1,000 detached tasks waiting: blocks of them follow each other,
// and those that are done are removed.
func steady(ctx context.Context, rd *round) ([]sample, error) {
	const blocks, block = 4, 250
	s, q := rd.site, newQueue()
	var open, finished [][]string
	more := func() error {
		ids := q.newIDs(block)
		open = append(open, ids)
		return s.submit(ids)
	}
	for range blocks {
		if err := more(); err != nil {
			return nil, err
		}
	}
	var began time.Time
	tasks, rate := 0, 0.0
	long := rd.long(4 * time.Second)
	err := s.until(ctx, "the last block is done", func() (bool, error) {
		ok, err := s.done(open[0][block-1])
		if err != nil || !ok {
			return false, err
		}
		finished, open = append(finished, open[0]), open[1:]
		now := time.Now()
		switch {
		case began.IsZero(): // they had no worker yet that was warm
			began = now
		case rate == 0:
			tasks += block
			if now.Sub(began) >= long {
				rate = float64(tasks) / now.Sub(began).Seconds()
			}
		}
		if rate == 0 {
			if err := more(); err != nil {
				return false, err
			}
		}
		finished, err = s.collect(finished)
		return len(open) == 0, err
	})
	if err == nil {
		err = s.until(ctx, "all blocks are removed", func() (bool, error) {
			finished, err = s.collect(finished)
			return len(finished) == 0, err
		})
	}
	return []sample{{what: tasksRate, unit: perSecond, value: rate}}, err
}

// collect removes the blocks of which all tasks are done, and returns the others.
func (s *site) collect(blocks [][]string) (left [][]string, err error) {
	for _, ids := range blocks {
		var ops []session.Op
		for _, id := range ids {
			// A state is written once, when the task is done.
			ops = append(ops, session.Delete(task.StatePath(id), 1), session.Delete(task.DataPath(id), session.AnyVersion))
		}
		switch _, err := s.hand.Multi(ops...); {
		case errors.Is(err, zk.ErrBadVersion):
			left = append(left, ids)
		case err != nil:
			return nil, err
		}
	}
	return left, nil
}
