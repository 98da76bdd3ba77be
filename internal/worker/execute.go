package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/command"
	"taskkeeper/internal/metrics"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// execution is a task that runs.
type execution struct {
	task   *holding
	cancel context.CancelFunc

	live   context.Context // see Session.Live
	ignore func() bool     // the end of live
}

// outcome is the outcome of an execution.
type outcome struct {
	verdict verdict
	fault   error // the worker's fault: the task could not be begun, or its supervisor ended
	ended   bool  // the execution was cancelled: verdict and fault are empty
}

// fetch is one read of a task's payload and state.
type fetch struct {
	done           chan struct{} // closed when payload and state are set
	payload, state session.Read
}

// job is one task for the executor.
type job struct {
	ctx context.Context
	id  string
	f   *fetch
}

// readAhead is how many tasks a slot holds with their payloads, including the one that it
// executes. It is small because a payload may be close to a megabyte.
const readAhead = 4

// fetchNext begins to read the next tasks of the list, in one request.
func (sl *slot) fetchNext() {
	n := 0
	if sl.running != nil {
		n++
	}
	var paths []string
	var fetches []*fetch
	for _, h := range sl.list {
		if !h.mayBegin() {
			continue
		}
		if n++; n > readAhead {
			break
		}
		if h.fetch == nil {
			h.fetch = &fetch{done: make(chan struct{})}
			fetches = append(fetches, h.fetch)
			paths = append(paths, task.DataPath(h.id), task.StatePath(h.id))
		}
	}
	if len(fetches) == 0 {
		return
	}
	sl.reading.Go(func() {
		got := sl.s.GetAll(paths...)
		for i, f := range fetches {
			f.payload, f.state = got[2*i], got[2*i+1]
			close(f.done)
		}
	})
}

// start begins the first task that may begin. From now on the slot does not return it. The
// end of leaving cancels the execution, even while the loop waits for the connection.
func (sl *slot) start(leaving context.Context) {
	live := sl.s.Live()
	if live.Err() != nil {
		return
	}
	sl.fetchNext()
	if sl.running != nil {
		sl.cancelAtCutOff(live)
		return
	}
	i := slices.IndexFunc(sl.list, (*holding).mayBegin)
	if i < 0 {
		return
	}
	h := sl.list[i]
	h.phase = running
	ctx, cancel := sl.s.Within(leaving)
	sl.running = &execution{task: h, cancel: cancel}
	sl.cancelAtCutOff(live)
	sl.todo <- job{ctx, h.id, h.fetch} // the executor is idle
	h.fetch = nil
}

// cancelAtCutOff has the running task cancelled when live ends, even while the loop waits
// for the connection. With Config.RunOn it only logs the cut-off.
func (sl *slot) cancelAtCutOff(live context.Context) {
	e := sl.running
	if e.live == live {
		return
	}
	e.live = live
	e.ignore = context.AfterFunc(live, func() {
		switch {
		case sl.s.Err() != nil: // the session is over, which cancels the execution as well
		case sl.cfg.RunOn:
			sl.log.Warn("cut off for the session timeout, the task runs on", "task", e.task.id)
		default:
			sl.log.Warn("cut off for the session timeout, cancelling the task", "task", e.task.id)
			e.cancel()
		}
	})
}

// executor executes one task after the other. One goroutine for all of them grows its stack
// only once.
func (sl *slot) executor() {
	for j := range sl.todo {
		sl.finished <- sl.execute(j)
	}
}

// execute waits until the task is read, and runs it if it is pending.
func (sl *slot) execute(j job) (o outcome) {
	ctx, id := j.ctx, j.id
	f := j.f
	<-f.done
	payload, err := f.payload.Data, f.payload.Err
	if ctx.Err() != nil || errors.Is(err, session.ErrOver) || errors.Is(f.state.Err, session.ErrOver) {
		return outcome{ended: true}
	}
	if !sl.pending(id, f.state) {
		return outcome{verdict: verdict{freeOnly: true}}
	}
	v := verdict{version: f.state.Stat.Version}
	asked := task.ParseState(f.state.Data)
	facts := asked.Facts.Asked()
	if errors.Is(err, zk.ErrNoNode) {
		err = errors.New("no payload in " + task.DataPath(id))
	}
	if err == nil {
		err = sl.cfg.takes(asked.Facts.Get(task.FactKind))
	}
	if err != nil {
		v.state = task.NewFailed(err.Error())
		v.state.Facts = task.Executed{Worker: sl.id, Attempt: asked.Losses + 1}.Facts(facts)
		return outcome{verdict: v}
	}
	sl.log.Info("task started", "task", id)
	limited, cancel := ctx, func() {}
	limit := sl.cfg.limit(facts.Duration(task.FactTimeout))
	began := time.Now() // before the time limit begins
	if limit > 0 {
		limited, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	stop := sl.entry.beginning()
	ended := sl.cfg.Metrics.Began(sl.cfg.Queue, time.UnixMilli(f.state.Stat.Ctime))
	result, err := sl.cfg.Run(limited, task.Execution{Task: id, Worker: sl.id, Payload: payload})
	v.took = time.Since(began)
	stop()
	defer func() { ended(resultOf(o)) }()
	switch {
	case ctx.Err() != nil:
		return outcome{ended: true}
	case errors.Is(err, command.ErrCannotStart):
		return outcome{fault: err}
	case err != nil && limited.Err() != nil:
		v.state = task.NewFailed(fmt.Sprintf("timed out after %s", limit))
	case err != nil:
		v.state = task.NewFailed(err.Error())
	default:
		v.state = task.NewDone(result.Result)
	}
	v.state.Facts = task.Executed{
		Worker: sl.id, Began: began, Ran: v.took.Round(time.Millisecond), Attempt: asked.Losses + 1, Exit: result.Exit,
	}.Facts(facts)
	v.state.Stdout, v.state.Stderr = result.Stdout, result.Stderr
	sl.entry.begun()
	return outcome{verdict: v}
}

// resultOf names the outcome of an execution for Metrics.
func resultOf(o outcome) string {
	switch {
	case o.ended || o.fault != nil:
		return metrics.Cancelled
	case o.verdict.state.Phase == task.Done:
		return metrics.Done
	}
	return metrics.Failed
}

// takes fails when this worker does not execute payloads of that kind.
func (c Config) takes(kind string) error {
	switch {
	case kind == c.Kind:
		return nil
	case kind == task.KindCommand:
		return errors.New("its payload is a command line, and this worker executes none: start workers with --any-command for its queue")
	case kind == "":
		return errors.New("its payload is not marked as a command line (kind=command), and this worker executes nothing else: submit by client run -- COMMAND, or to another queue")
	}
	return fmt.Errorf("its payload is of the kind %.40q, which this worker does not know", kind)
}

// limit is how long an execution may take: the shorter of Timeout and what the submitter
// asked for. 0 means no limit.
func (c Config) limit(asked time.Duration) time.Duration {
	if c.Timeout == 0 || asked > 0 && asked < c.Timeout {
		return asked
	}
	return c.Timeout
}

// pending reports whether the slot must execute a task with that state. If not, it logs the
// reason, and the slot writes no state for the task.
func (sl *slot) pending(id string, r session.Read) bool {
	state := task.ParseState(r.Data)
	switch {
	case errors.Is(r.Err, zk.ErrNoNode):
		sl.log.Info("task not executed: it no longer exists", "task", id)
	case r.Err != nil:
		sl.log.Warn("task not executed: its state cannot be read", "task", id, "err", r.Err)
	case state.Finished():
		sl.log.Info("task not executed: it is already finished", "task", id)
	case state.Phase != task.Pending:
		sl.log.Warn("task not executed: its state is malformed", "task", id, "state", string(r.Data[:min(len(r.Data), 200)]))
	default:
		return true
	}
	return false
}

// finish records the outcome of the execution. It fails with a fault of the worker.
func (sl *slot) finish(o outcome) error {
	e := sl.running
	e.ignore()
	e.cancel()
	sl.running = nil
	e.task.phase = waiting
	switch {
	case o.fault != nil:
		sl.entry.process.failed(o.fault)
		return o.fault
	case !o.ended:
		e.task.phase, e.task.verdict = ready, o.verdict
		e.task.verdict.state = sl.fit(e.task.id, o.verdict.state)
	}
	return nil
}
