package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"taskkeeper/internal/command"
)

const (
	firstPause   = time.Second      // before the first trial of a fault; each next pause is twice as long
	longestPause = 30 * time.Second // between two trials

	// surelyBegun is after what time an execution counts as begun. A start fails at once,
	// or after some seconds on an overloaded machine. If the start fails still later, the
	// other slots have registered too early, and give their tasks back.
	surelyBegun = 10 * time.Second
)

// capacity knows whether this process can begin executions. All slots share the command
// and the machine, and so they share the fault: see the package's documentation.
type capacity struct {
	log *slog.Logger

	mu     sync.Mutex    // guards the rest
	fault  *fault        // nil while executions can be begun
	pause  time.Duration // before the next trial
	mended time.Time     // the end of the last fault
}

// fault is a time in which no execution can be begun.
type fault struct {
	late  bool          // supervisors end while a command runs, so a task that has begun proves nothing; guarded by mu
	trial chan struct{} // of size 1: full while a slot is on trial
	over  chan struct{} // closed at the end of the fault
}

// entry is a slot's permission to register. With a fault the slot is on trial.
type entry struct {
	process *capacity
	fault   *fault
}

// enter waits until a slot may register. During a fault one slot may at a time, after a
// pause. ok is false when ctx ends first. With ok the caller must call end.
func (c *capacity) enter(ctx context.Context) (e entry, ok bool) {
	c.mu.Lock()
	f := c.fault
	c.mu.Unlock()
	if f == nil {
		return entry{c, nil}, ctx.Err() == nil
	}
	select {
	case f.trial <- struct{}{}:
	case <-f.over:
		return entry{c, nil}, ctx.Err() == nil
	case <-ctx.Done():
		return e, false
	}
	timer := time.NewTimer(c.nextPause())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.over:
	case <-ctx.Done():
	}
	return entry{c, f}, ctx.Err() == nil
}

func (c *capacity) nextPause() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pause
	c.pause = min(2*p, longestPause)
	return p
}

// failed records that an execution could not be begun. If a fault comes back soon, the
// pauses keep growing: a shortage of processes, for example, comes and goes.
func (c *capacity) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	late := errors.Is(err, command.ErrAbandoned)
	if c.fault != nil {
		c.fault.late = c.fault.late || late
		return
	}
	if time.Since(c.mended) > c.pause {
		c.pause = firstPause
	}
	c.fault = &fault{late: late, trial: make(chan struct{}, 1), over: make(chan struct{})}
	what := "cannot start tasks, giving them back: mend the cause that err names"
	if late {
		what = "cannot execute tasks to their end, giving them back: mend the cause that err names"
	}
	c.log.Error(what, "err", err)
}

// begun records that an execution was begun. Only an execution on trial ends the fault: a
// slot that was registered before may hold the very memory or descriptors that are short.
func (e entry) begun() {
	if e.fault == nil {
		return
	}
	c := e.process
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != e.fault {
		return
	}
	c.fault, c.mended = nil, time.Now()
	close(e.fault.over)
	c.log.Info("can start tasks again")
}

// beginning makes an execution count as begun after surelyBegun, unless supervisors end
// while a command runs. The caller calls stop when the execution has ended.
func (e entry) beginning() (stop func()) {
	if e.fault == nil || e.process.late(e.fault) {
		return func() {}
	}
	timer := time.AfterFunc(surelyBegun, e.begun)
	return func() { timer.Stop() }
}

func (c *capacity) late(f *fault) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.late
}

// end lets another slot go on trial.
func (e entry) end() {
	if e.fault != nil {
		<-e.fault.trial
	}
}
