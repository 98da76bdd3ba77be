package bench

import (
	"context"
	"slices"
	"syscall"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// drain submits many tasks. While they wait it ends the leader, and measures its backup. Then
// one worker executes them all.
func drain(ctx context.Context, rd *round) ([]sample, error) {
	ids, err := rd.submit(ctx, rd.some(100_000, 1000))
	if err != nil {
		return nil, err
	}
	takeover, err := rd.takeover(ctx)
	if err != nil {
		return nil, err
	}
	memory, err := mostMemory(rd.programs[1].Pid()) // the new leader has listed all tasks
	if err != nil {
		return nil, err
	}
	if _, err := rd.worker(ctx, usualSlots); err != nil {
		return nil, err
	}
	// The leader assigns the tasks in the order of their ids.
	quarter := len(ids) / 4
	var at [5]time.Time
	for i := range at {
		id := ids[min(i*quarter, len(ids)-1)]
		err := rd.until(ctx, "task "+id+" is done", func() (bool, error) {
			data, _, err := rd.session.Get(task.StatePath(id))
			return task.ParseState(data).Phase == task.Done, err
		})
		if err != nil {
			return nil, err
		}
		at[i] = time.Now()
	}
	rate := func(what string, from, to int) sample {
		return sample{what: what, unit: perSecond, value: float64((to-from)*quarter) / at[to].Sub(at[from]).Seconds()}
	}
	return []sample{
		rate(tasksRate, 0, 4),
		rate("tasks, second quarter; beside: third", 1, 2).than(rate("", 2, 3).value, ratioAtLeast(0.8)),
		took("SIGTERM, until the next leader assigns", takeover).than(0, atMost(1000)),
		{what: "memory of the leader, at most", unit: megabytes, value: memory, target: atMost(150)},
	}, nil
}

// submit creates n tasks that outlive the bench, and returns their ids in order.
func (s *service) submit(ctx context.Context, n int) ([]string, error) {
	submitter := task.NewSubmitter("") // tasks of several submitters would take turns
	ids := make([]string, n)
	for i := range ids {
		ids[i] = submitter.NewID()
	}
	var all errgroup.Group
	all.SetLimit(8)
	for some := range slices.Chunk(ids, 500) {
		all.Go(func() error {
			var ops []session.Op
			for _, id := range some {
				ops = append(ops, session.Create(task.DataPath(id), []byte("0")), session.Create(task.StatePath(id), task.NewPending(0).Bytes()))
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			_, err := s.session.Multi(ops...)
			return err
		})
	}
	return ids, all.Wait()
}

// takeover ends the leader, and returns how long it takes until the other master assigns a
// task. The worker that gets the task is only a znode, so that no task is executed.
func (s *service) takeover(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if err := s.programs[0].Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	if _, err := s.programs[0].Wait(ctx); err != nil {
		return 0, err
	}
	worker := task.WorkerPath(uuid.NewString())
	if _, err := s.session.Multi(session.CreateEphemeral(worker, nil)); err != nil {
		return 0, err
	}
	err := s.until(ctx, "the new leader assigns a task", func() (bool, error) {
		data, _, err := s.session.Get(worker)
		return len(data) > 0, err
	})
	took := time.Since(began)
	if err == nil {
		_, err = s.session.Multi(session.Delete(worker, session.AnyVersion))
	}
	return took, err
}
