package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/load"
	"taskkeeper/internal/task"
)

// loss kills two of four worker processes while every slot is busy. Two others
// are started at once, as whatever supervises workers would; all that was lost
// must be busy there, while the rest works on.
func loss(ctx context.Context, rd *round) (out []sample, err error) {
	s := rd.site
	slots := rd.some(250, 4)
	total := 4 * slots
	var workers []*member
	for range 4 {
		m, err := s.worker(ctx, slots)
		if err != nil {
			return nil, err
		}
		workers = append(workers, m)
	}
	if err := s.registered(ctx, total); err != nil {
		return nil, err
	}

	tick := ownTick
	if s.rig.server == nil {
		tick = s.hand.Timeout() / 2 // it is that at most: no session is shorter than two
	}
	limit := s.hand.Timeout() + tick + time.Second
	payload := fmt.Sprintf("%.3f", (limit + 3*time.Second).Seconds())
	c := load.Open(ctx, s.cfg)
	defer c.Close()
	results := make(chan error, 1)
	done := 0
	go func() { // ends with the client
		results <- c.Each(ctx, total, func(i int) (string, bool) { return payload, i < total }, func() { done++ })
	}()

	var before []string
	err = s.until(ctx, "all slots are busy", func() (ok bool, err error) {
		before, ok, err = s.allBusy(nil, total)
		return ok, err
	})
	if err != nil {
		return nil, err
	}
	hit := time.Now()
	for _, m := range workers[:2] {
		if err := m.Signal(syscall.SIGKILL); err != nil {
			return nil, err
		}
	}
	for range 2 {
		if _, err := s.worker(ctx, slots); err != nil {
			return nil, err
		}
	}
	var again []string
	err = s.until(ctx, "the new slots are busy", func() (ok bool, err error) {
		again, ok, err = s.allBusy(before, total/2)
		return ok, err
	})
	if err != nil {
		return nil, err
	}
	back := time.Since(hit)
	if now, ok, err := s.allBusy(nil, total); err != nil || !ok {
		return nil, errors.Join(err, fmt.Errorf("of %d slots, %d of them new, %d are left when those are busy", total, len(again), len(now)))
	}
	if err := <-results; err != nil {
		return nil, err
	}
	return []sample{
		sample{what: "SIGKILL, until all slots are busy again", unit: seconds, value: back.Seconds()}.to(atMost(limit.Seconds())),
		sample{what: "tasks without a result", unit: count, value: float64(total - done)}.to(atMost(0)),
	}, nil
}

// allBusy tells whether there are n workers beside those known, and each has work.
func (s *site) allBusy(known []string, n int) (workers []string, ok bool, err error) {
	names, _, err := s.hand.Children(task.WorkersDir)
	if err != nil {
		return nil, false, err
	}
	old := make(map[string]bool, len(known))
	for _, name := range known {
		old[name] = true
	}
	workers = slices.DeleteFunc(names, func(name string) bool { return old[name] })
	if len(workers) != n {
		return workers, false, nil
	}
	lists, err := s.lists(workers)
	return workers, err == nil && !slices.ContainsFunc(lists, func(l []string) bool { return len(l) == 0 }), err
}

// lists reads what workers have. One that is not there has nothing.
func (s *site) lists(workers []string) ([][]string, error) {
	lists := make([][]string, len(workers))
	var g errgroup.Group
	g.SetLimit(pipeline)
	for i, w := range workers {
		g.Go(func() error {
			data, _, err := s.hand.Get(task.WorkerPath(w))
			if missing(err) {
				return nil
			}
			if err == nil {
				var list task.List
				list, err = task.ParseList(data)
				lists[i] = list.IDs
			}
			return err
		})
	}
	return lists, g.Wait()
}

// mixed has long tasks among short ones. What is ideal: the long ones, evenly on
// all slots, and the time that the short ones took alone.
func mixed(ctx context.Context, rd *round) ([]sample, error) {
	s := rd.site
	longs, shorts := rd.some(80, 8), rd.some(2000, 200)
	c := load.Open(ctx, s.cfg)
	defer c.Close()
	alone := time.Now()
	err := c.Each(ctx, 2000, func(i int) (string, bool) { return "0", i < shorts }, nil)
	if err != nil {
		return nil, err
	}
	ideal := time.Duration(longs)*time.Second/8 + time.Since(alone)

	workers, _, err := s.hand.Children(task.WorkersDir)
	if err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	behind := 0
	var watch errgroup.Group
	watch.Go(func() (err error) {
		behind, err = s.watchShort(watching, workers)
		return err
	})
	every := (longs + shorts) / longs
	began := time.Now()
	err = c.Each(ctx, 2000, func(i int) (string, bool) {
		if i%every == 0 && i/every < longs {
			return "1", true
		}
		return "0", i < longs+shorts
	}, nil)
	total := time.Since(began)
	stop()
	if err = errors.Join(err, watch.Wait()); err != nil {
		return nil, err
	}
	return []sample{
		sample{what: "all of them; ideally", unit: seconds, value: total.Seconds()}.
			than(sample{value: ideal.Seconds()}, ratioAtMost(1.1)),
		sample{what: "short tasks seen behind a long one, a slot free", unit: count, value: float64(behind)}.to(atMost(0)),
	}, nil
}

// watchEvery is how often lists are looked at. What is so twice is no accident
// of reading one list after the other.
const watchEvery = 25 * time.Millisecond

// watchShort counts the short tasks that wait behind a long one while the same
// slot is free, until ctx ends.
func (s *site) watchShort(ctx context.Context, workers []string) (n int, err error) {
	var w waits
	long := make(map[string]bool) // by task, of those that were looked up
	counted := make(map[string]bool)
	for harness.Pause(ctx, watchEvery) == nil {
		lists, err := s.lists(workers)
		if err != nil {
			return 0, err
		}
		for _, l := range lists {
			for _, id := range l {
				if _, known := long[id]; len(l) > 1 && !known {
					payload, _, err := s.hand.Get(task.DataPath(id))
					if err != nil && !missing(err) {
						return 0, err
					}
					long[id] = strings.TrimSpace(string(payload)) == "1"
				}
			}
		}
		for _, id := range w.look(lists, long) {
			counted[id] = true
		}
	}
	return len(counted), nil
}

// waits is what was seen at the last look.
type waits struct {
	free   []bool
	behind map[string]bool
}

// look returns the short tasks behind a long one, at this look and the one before
// it, if a slot was free both times.
func (w *waits) look(lists [][]string, long map[string]bool) (held []string) {
	now := waits{free: make([]bool, len(lists)), behind: make(map[string]bool)}
	idle := false
	for i, l := range lists {
		now.free[i] = len(l) == 0
		idle = idle || now.free[i] && i < len(w.free) && w.free[i]
		late := false
		for _, id := range l {
			if late && !long[id] {
				now.behind[id] = true
			}
			late = late || long[id]
		}
	}
	for id := range now.behind {
		if idle && w.behind[id] {
			held = append(held, id)
		}
	}
	slices.Sort(held)
	*w = now
	return held
}

func missing(err error) bool { return errors.Is(err, zk.ErrNoNode) }
