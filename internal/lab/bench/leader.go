package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/uuid"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/load"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// memory is the leader's when it has seen all that waits, and rests.
func memory(ctx context.Context, rd *round) ([]sample, error) {
	leader := rd.site.members[0]
	now, most, err := memoryOf(leader.Pid())
	for quiet := 0; quiet < 4 && err == nil; {
		if err = harness.Pause(ctx, 500*time.Millisecond); err != nil {
			break
		}
		before := now
		now, most, err = memoryOf(leader.Pid())
		if quiet++; now > before+1 || now < before-1 {
			quiet = 0
		}
	}
	return []sample{
		sample{what: "resident", unit: megabytes, value: now}.to(atMost(150)),
		sample{what: "resident, at most so far", unit: megabytes, value: most}.to(atMost(150)),
	}, err
}

// takeover ends the leader, and looks when the next one assigns first: to the
// bench, which plays a worker by hand, busy until the old leader is gone. Then
// that worker takes one task after the other, and from time to time a new one is
// submitted, whose name is made by hand and which therefore goes first.
func takeover(ctx context.Context, rd *round) ([]sample, error) {
	s := rd.site
	w := &handWorker{s: s.hand, path: task.WorkerPath(uuid.NewString())}
	if _, err := s.hand.Multi(session.CreateEphemeral(w.path, nil)); err != nil {
		return nil, err
	}
	busy := func() (bool, error) { return w.busy() }
	if err := s.until(ctx, "the old leader assigns", busy); err != nil {
		return nil, err
	}

	old, err := s.leading()
	if err != nil {
		return nil, err
	}
	killed := time.Now()
	if err := s.members[0].Signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	err = s.closely(ctx, "the old leader is gone", func() (bool, error) {
		_, _, err := s.hand.Get(old)
		if missing(err) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return nil, err
	}
	elected := time.Now()
	if err := w.finish(); err != nil {
		return nil, err
	}
	if err := s.closely(ctx, "the new leader assigns", busy); err != nil {
		return nil, err
	}
	assigned := time.Now()

	var waits []time.Duration
	for n := range 5 {
		// Listings come by the clock: do not always come at the same time after one.
		if err := harness.Pause(ctx, rand.N(time.Second)); err != nil {
			return nil, err
		}
		id := fmt.Sprintf("bench-%d", n)
		began := time.Now()
		if err := s.submit([]string{id}); err != nil {
			return nil, err
		}
		for !slices.Contains(w.list, id) {
			// The turns of a quick worker grow, and what waits is not to run out.
			err := errors.Join(harness.Pause(ctx, 60*time.Millisecond), s.work(ctx, w))
			if err != nil {
				return nil, fmt.Errorf("wait for the assignment of %s: %w", id, err)
			}
		}
		waits = append(waits, time.Since(began))
	}
	if err := w.leave(); err != nil {
		return nil, err
	}
	return []sample{
		took("old leader gone, until the first assignment", assigned.Sub(elected)).to(atMost(1000)),
		took("SIGTERM, until the first assignment", assigned.Sub(killed)),
		took("a new task that goes first: until assigned, p50", load.Quantile(waits, 0.5)).to(atMost(1000)),
		took("a new task that goes first: at the longest", load.Quantile(waits, 1)),
	}, nil
}

// leading is the candidate that leads.
func (s *site) leading() (string, error) {
	names, _, err := s.hand.Children(task.MasterDir)
	if err != nil || len(names) == 0 {
		return "", errors.Join(err, errors.New("there is no candidate"))
	}
	number := func(name string) string { return name[max(0, len(name)-10):] }
	first := slices.MinFunc(names, func(a, b string) int {
		if number(a) < number(b) {
			return -1
		}
		return 1
	})
	return task.MasterDir + "/" + first, nil
}

// work finishes what the worker has, and waits until it has more.
func (s *site) work(ctx context.Context, w *handWorker) error {
	if err := w.finish(); err != nil {
		return err
	}
	return s.closely(ctx, "more is assigned", w.busy)
}

// handWorker is a worker as a person plays it, and a quick one.
type handWorker struct {
	s       *session.Session
	path    string
	list    []string
	version int32
}

func (w *handWorker) busy() (bool, error) {
	data, stat, err := w.s.Get(w.path)
	if err != nil {
		return false, err
	}
	list, err := task.ParseList(data)
	w.list, w.version = list.IDs, stat.Version
	return len(w.list) > 0, err
}

// finish commits results for the whole list, unless the leader has asked for some of it
// since it was read.
func (w *handWorker) finish() error {
	ops := []session.Op{session.Set(w.path, nil, w.version)}
	for _, id := range w.list {
		ops = append(ops, session.Set(task.StatePath(id), task.NewDone([]byte("0")).Bytes(), 0))
	}
	_, err := w.s.Multi(ops...)
	w.list = nil
	if errors.Is(err, zk.ErrBadVersion) {
		return nil
	}
	return err
}

// leave finishes and deletes the worker, unless it has more by then.
func (w *handWorker) leave() error {
	for {
		if err := w.finish(); err != nil {
			return err
		}
		_, stat, err := w.s.Get(w.path)
		if err != nil {
			return err
		}
		if _, err := w.busy(); err != nil {
			return err
		}
		if len(w.list) > 0 {
			continue
		}
		_, err = w.s.Multi(session.Delete(w.path, stat.Version))
		if !errors.Is(err, zk.ErrBadVersion) {
			return err
		}
		if _, err := w.busy(); err != nil {
			return err
		}
	}
}
