package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/command"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// execution is a task that runs.
type execution struct {
	id     string
	taken  bool // it was told to end, for it is listed no more
	cancel context.CancelFunc

	live   context.Context // see Session.Live
	ignore func() bool     // its end
}

// outcome is what an execution came to.
type outcome struct {
	state task.State
	took  time.Duration // the execution alone, without any wait for the servers
	fault error         // why it could not be begun, if that is not the task's fault
	ended bool          // it was told to end: the rest means nothing
}

// fetch is a payload that is being read, or has been.
type fetch struct {
	done    chan struct{} // closed when it has
	payload []byte
	err     error
}

// job is what the executor is given.
type job struct {
	ctx context.Context
	id  string
	f   *fetch // its payload; nil: to be read
}

// readAhead is how many payloads are read at once, that of the task that is
// executed next among them. Each may be close to a megabyte.
const readAhead = 4

// fetchAhead has the payloads read of the tasks that are next.
func (sl *slot) fetchAhead() {
	n := 1 // what runs
	for _, id := range sl.list {
		if _, ok := sl.results[id]; ok || sl.running != nil && sl.running.id == id {
			continue
		}
		if n++; n > readAhead {
			return
		}
		if sl.ahead[id] != nil {
			continue
		}
		f := &fetch{done: make(chan struct{})}
		sl.ahead[id] = f
		sl.reading.Go(func() {
			f.payload, _, f.err = sl.s.Get(task.DataPath(id))
			close(f.done)
		})
	}
}

// start executes the first task of the list that has no result yet. It ends with
// leaving, although the loop may be waiting for the connection then.
func (sl *slot) start(leaving context.Context) {
	live := sl.s.Live()
	if live.Err() != nil {
		return
	}
	defer sl.fetchAhead()
	if sl.running != nil {
		sl.heed(live)
		return
	}
	i := slices.IndexFunc(sl.list, func(id string) bool { _, ok := sl.results[id]; return !ok })
	if i < 0 {
		return
	}
	id := sl.list[i]
	ctx, cancel := sl.s.Within(leaving)
	sl.running = &execution{id: id, cancel: cancel}
	sl.heed(live)
	sl.todo <- job{ctx, id, sl.ahead[id]} // the executor is idle
	delete(sl.ahead, id)
	sl.log.Info("task started", "task", id)
}

// heed has the end of live noticed, though the loop waits for the connection then.
func (sl *slot) heed(live context.Context) {
	e := sl.running
	if e.live == live {
		return
	}
	e.live = live
	e.ignore = context.AfterFunc(live, func() {
		switch {
		case sl.s.Err() != nil: // over, and so is the execution
		case sl.cfg.RunOn:
			sl.log.Warn("cut off for the session timeout, the task runs on", "task", e.id)
		default:
			sl.log.Warn("cut off for the session timeout, cancelling the task", "task", e.id)
			e.cancel()
		}
	})
}

// executor executes one task after the other. It is one goroutine, so that its
// stack has grown already.
func (sl *slot) executor() {
	for j := range sl.todo {
		sl.finished <- sl.execute(j)
	}
}

// execute waits for the payload and runs the task.
func (sl *slot) execute(j job) outcome {
	ctx, id := j.ctx, j.id
	f := j.f
	if f == nil {
		f = new(fetch)
		f.payload, _, f.err = sl.s.Get(task.DataPath(id))
	} else {
		<-f.done
	}
	payload, err := f.payload, f.err
	if ctx.Err() != nil || errors.Is(err, session.ErrOver) {
		return outcome{ended: true}
	}
	if errors.Is(err, zk.ErrNoNode) {
		return outcome{state: task.NewFailed("no payload in " + task.DataPath(id))}
	}
	if err != nil {
		return outcome{state: task.NewFailed(err.Error())}
	}
	limited, cancel := ctx, func() {}
	if sl.cfg.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, sl.cfg.Timeout)
	}
	defer cancel()
	stop := sl.entry.beginning()
	began := time.Now()
	result, err := sl.cfg.Run(limited, task.Execution{Task: id, Worker: sl.id, Payload: payload})
	o := outcome{state: task.NewDone(result), took: time.Since(began)}
	stop()
	switch {
	case ctx.Err() != nil:
		return outcome{ended: true}
	case errors.Is(err, command.ErrCannotStart):
		return outcome{fault: err}
	case err != nil && limited.Err() != nil:
		o.state = task.NewFailed(fmt.Sprintf("timed out after %s", sl.cfg.Timeout))
	case err != nil:
		o.state = task.NewFailed(err.Error())
	}
	sl.entry.begun()
	return o
}

// finish takes what the execution came to. It fails when that could not be begun.
func (sl *slot) finish(o outcome) error {
	e := sl.running
	e.ignore()
	e.cancel()
	sl.running = nil
	if o.fault != nil {
		sl.entry.process.failed(o.fault)
		return o.fault
	}
	if o.ended || !slices.Contains(sl.list, e.id) { // or taken away, as it ended
		return nil
	}
	o.state = sl.fit(e.id, o.state)
	sl.results[e.id] = verdict{state: o.state, took: o.took}
	return nil
}
