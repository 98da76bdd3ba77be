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
	firstPause   = time.Second
	longestPause = 30 * time.Second // between two trials

	// A command that cannot be started says so at once, or after some seconds where
	// the machine is overloaded. So an execution that is still running after this
	// time was begun. If that is wrong, other slots have registered too early, and
	// give back what they are assigned.
	surelyBegun = 10 * time.Second
)

// capacity is whether this process can begin executions. All slots share the
// command and the machine, and so they share the fault: see the package's
// documentation.
type capacity struct {
	log *slog.Logger

	mu     sync.Mutex // guards the rest
	fault  *fault     // nil while executions can be begun
	pause  time.Duration
	mended time.Time // when the last fault ended
}

// fault is a time in which no execution can be begun.
type fault struct {
	late  bool          // executions break off later, so one that has begun proves nothing; guarded by mu
	trial chan struct{} // of size 1: full while a slot is on trial
	over  chan struct{} // closed at the end
}

// entry is a slot's leave to register. The slot is on trial if there is a fault.
type entry struct {
	process *capacity
	fault   *fault
}

// enter waits until a slot may register: during a fault that is one at a time, each
// after a pause. It is false when ctx ends first. The caller ends the entry.
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

// failed takes that an execution could not be begun. Where a fault comes back soon,
// as one does for want of processes, the pauses go on to grow.
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
	what := "cannot start tasks, giving them back until it can: mend what err names"
	if late {
		what = "cannot execute tasks to their end, giving them back until one gets there: mend what err names"
	}
	c.log.Error(what, "err", err)
}

// begun takes that an execution was begun. Only a trial says anything: another slot
// may have what there is too little of.
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

// beginning has an execution count as begun when it has not ended soon, unless
// executions broke off later.
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

// end lets another slot try.
func (e entry) end() {
	if e.fault != nil {
		<-e.fault.trial
	}
}
