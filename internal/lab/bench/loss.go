package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"taskkeeper/internal/task"
)

// loss kills two of four worker processes while every slot is busy, and starts two others at
// once. It measures until the living processes are busy with all tasks, and fails if a task has
// no result in the end.
func loss(ctx context.Context, rd *round) ([]sample, error) {
	slots := rd.some(250, 4)
	total := 4 * slots
	var workers []*program
	for range 4 {
		w, err := rd.worker(ctx, slots)
		if err != nil {
			return nil, err
		}
		workers = append(workers, w)
	}

	// A session may end one tick late. A tick is at most half of a session.
	limit := rd.on.timeout*3/2 + time.Second
	// No other task may end before the lost ones have begun again.
	payloads := strings.Repeat(fmt.Sprintf("%.3f\n", 2*limit.Seconds()), total)
	client, err := rd.start(payloads, "client", "run", "--unordered", "--window", fmt.Sprint(total))
	if err != nil {
		return nil, err
	}
	allBusy := func() (bool, error) {
		n, err := rd.busy(workers)
		return n == total, err
	}
	if err := rd.until(ctx, "all slots are busy", allBusy); err != nil {
		return nil, err
	}
	killed := time.Now()
	for i, w := range workers[:2] {
		if err := w.Signal(syscall.SIGKILL); err != nil {
			return nil, err
		}
		if workers[i], err = rd.start("", "worker", "--slots", fmt.Sprint(slots)); err != nil {
			return nil, err
		}
	}
	if err := rd.until(ctx, "all slots are busy again", allBusy); err != nil {
		return nil, err
	}
	back := time.Since(killed)
	err = rd.until(ctx, "all tasks have a result", func() (bool, error) { return client.results() == total, nil })
	return []sample{
		{what: "SIGKILL, until all slots are busy again", unit: seconds, value: back.Seconds(), target: atMost(limit.Seconds())},
	}, err
}

// busy counts the slots of some worker processes that have a task.
func (s *service) busy(workers []*program) (n int, err error) {
	names, _, err := s.session.Children(task.WorkersDir)
	if err != nil {
		return 0, err
	}
	var paths []string
	for _, name := range names {
		_, _, pid := task.ParseWorkerName(name)
		if slices.ContainsFunc(workers, func(w *program) bool { return w.Pid() == pid }) {
			paths = append(paths, task.WorkerPath(name))
		}
	}
	for _, r := range s.session.GetAll(paths...) {
		if r.Err != nil {
			return 0, r.Err
		}
		if len(r.Data) > 0 {
			n++
		}
	}
	return n, nil
}
