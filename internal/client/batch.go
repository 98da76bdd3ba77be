package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/semaphore"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// DefaultWindow is how many tasks of a batch are in flight by default.
	DefaultWindow = 1000
	// MaxWindow bounds how many tasks ZooKeeper must delete in one transaction when a
	// client's session ends.
	MaxWindow = 2000
	// WindowBytes bounds the sum of the payloads of a batch in flight, in bytes: a server
	// holds several copies of each in memory.
	WindowBytes = 32 << 20
)

// Item is one task of a batch.
type Item struct {
	Index   int // among all items, from 1
	Payload []byte
	Input   []byte // the input from which the payload was made, if it differs
	Err     error  // why the item cannot be submitted; nil if it can
}

// Outcome is the outcome of an item: a State that is Done or Failed; or Err.
type Outcome struct {
	Item
	Result
	Attempts  int  // submissions, including retries
	Withdrawn bool // Err is why the batch ended, not a fault of the item
}

// ErrTimeout means that a task was withdrawn because it was not finished in time.
var ErrTimeout = errors.New("not finished in time")

// Batch configures how many tasks run together. Its zero value means the defaults.
type Batch struct {
	Window    int           // most items that are begun and not yet emitted; default DefaultWindow
	Jobs      int           // most items that are begun and not yet finished; default Window
	Unordered bool          // emit outcomes as they arrive, not in the order of the items
	Retries   int           // how often a task that failed is submitted again, under a new id
	Deadline  time.Duration // withdraw a task that is not finished so long after its submission; 0: never
	// OnOutcome, if set, is called with each outcome as it arrives, before emit, on another
	// goroutine than emit. If it returns an error, the batch ends, as it does when emit does.
	OnOutcome func(Outcome) error
	// NewID, if set, makes an id for each item, in the order of the items. Do sets it.
	NewID func() string
}

// Do executes the items as tasks, until items is closed, ctx ends, or emit returns an
// error. Then it withdraws the unfinished tasks, and returns that error or ctx's cause. Do
// calls emit, on the caller's goroutine, for every item that it has begun, also for the
// withdrawn ones. WindowBytes and BacklogBytes bound the memory: further results wait in
// temporary files. If those cannot be written, the batch ends as after an error of emit.
func (b Batch) Do(ctx context.Context, c *Client, items <-chan Item, emit func(Outcome) error) error {
	b.NewID = c.NewID
	return b.Each(ctx, items, func(ctx context.Context, id string, it Item) Outcome { return b.Attempt(ctx, c, id, it) }, emit)
}

// Each is Do with another action for each item. do gets the item and an id from NewID, if
// that is set. When ctx of do ends, do must return soon; its outcome is emitted as well. do
// is not called for an item with Err set.
func (b Batch) Each(ctx context.Context, items <-chan Item, do func(ctx context.Context, id string, it Item) Outcome, emit func(Outcome) error) error {
	if b.Window == 0 {
		b.Window = DefaultWindow
	}
	if b.Jobs == 0 {
		b.Jobs = b.Window
	}
	ctx, stop := context.WithCancelCause(ctx) // the first cause counts
	defer stop(nil)
	places, jobs, load := make(chan struct{}, b.Window), make(chan struct{}, b.Jobs), semaphore.NewWeighted(WindowBytes)
	done, ready := make(chan *finished), make(chan *finished)
	go func() { // ends after items or ctx has ended and no item is in flight
		defer close(done)
		b.takeUp(ctx, items, places, jobs, load, do, done)
	}()
	go func() { // ends after done is closed
		defer close(ready)
		b.inTurn(done, ready, jobs, stop)
	}()
	for o := range ready {
		if err := emit(o.Outcome); err != nil {
			stop(err)
		}
		load.Release(o.weight)
		<-places
	}
	return context.Cause(ctx)
}

// takeUp begins an item for each free place and job, and sends the outcomes to done.
func (b Batch) takeUp(ctx context.Context, items <-chan Item, places, jobs chan<- struct{}, load *semaphore.Weighted,
	do func(ctx context.Context, id string, it Item) Outcome, done chan<- *finished) {
	var flight sync.WaitGroup
	defer flight.Wait()
	for turn := 0; ; turn++ {
		for _, free := range []chan<- struct{}{places, jobs} {
			select {
			case free <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
		select {
		case it, ok := <-items:
			if !ok {
				return
			}
			o := &finished{Outcome: Outcome{Item: it}, turn: turn, weight: min(int64(len(it.Payload)), WindowBytes)}
			if load.Acquire(ctx, o.weight) != nil {
				o.Err, o.Withdrawn, o.weight = context.Cause(ctx), true, 0
				done <- o
				return
			}
			id := ""
			if b.NewID != nil {
				id = b.NewID()
			}
			flight.Go(func() {
				if it.Err == nil {
					o.Outcome = do(ctx, id, it)
					o.Withdrawn = ctx.Err() != nil && errors.Is(o.Err, context.Cause(ctx))
				}
				done <- o
			})
		case <-ctx.Done():
			return
		}
	}
}

// inTurn sends outcomes to ready in their order. It always receives from done: the backlog
// bounds the memory. A job is free again only after OnOutcome: that may end the batch, and
// then no further item begins.
func (b Batch) inTurn(done <-chan *finished, ready chan<- *finished, jobs <-chan struct{}, end func(error)) {
	backlog := newBacklog()
	arrived := 0
	for done != nil || len(backlog.waiting) > 0 {
		var out chan<- *finished
		first := backlog.first()
		if first != nil {
			out = ready
		}
		select {
		case out <- first:
			backlog.pop()
		case o, ok := <-done:
			if !ok {
				done = nil
				continue
			}
			if b.OnOutcome != nil {
				if err := b.OnOutcome(o.Outcome); err != nil {
					end(err)
				}
			}
			<-jobs
			if b.Unordered {
				o.turn = arrived
			}
			arrived++
			if err := backlog.add(o); err != nil {
				end(err)
			}
		}
	}
}

// Attempt submits an item until it is done or no retries are left. Do calls it for each
// item. c made the id, which is used for the first submission.
func (b Batch) Attempt(ctx context.Context, c *Client, id string, it Item) Outcome {
	o := Outcome{Item: it}
	pause := backoff.NewExponentialBackOff() // 0.5 s, then 1.5 times as long each time, with jitter
	for {
		o.Attempts++
		o.Result, o.Err = b.once(ctx, c, id, it.Payload)
		bad := o.Err == nil && o.State.Phase == task.Failed || errors.Is(o.Err, ErrTimeout)
		if !bad || o.Attempts > b.Retries || ctx.Err() != nil {
			return o
		}
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return o
		}
		id = c.NewID()
	}
}

func (b Batch) once(ctx context.Context, c *Client, id string, payload []byte) (Result, error) {
	if b.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, b.Deadline, fmt.Errorf("%w: withdrawn after %s", ErrTimeout, b.Deadline))
		defer cancel()
	}
	return c.DoAs(ctx, id, payload)
}

// TooLarge is the error of a payload that no task can carry.
func TooLarge(size int64) error {
	return fmt.Errorf("payload of %d bytes: %w: at most %d", size, session.ErrTooLarge, MaxPayload)
}
