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
	// DefaultWindow is how many tasks of a batch are in flight, if nobody says.
	DefaultWindow = 1000
	// MaxWindow bounds what ZooKeeper must delete at once when a client's session
	// ends.
	MaxWindow = 2000
	// WindowBytes bounds the payloads of a batch that are in flight, together: the
	// servers hold them in memory, several times over.
	WindowBytes = 32 << 20
)

// Item is one task of a batch.
type Item struct {
	Index   int // among all items, from 1
	Payload []byte
	Err     error // why it cannot be submitted, if so
}

// Outcome is what became of an item: a State that is Done or Failed; or Err.
type Outcome struct {
	Item
	Result
	Attempts int // submissions, with those again after a failure
}

// ErrTimeout means that a task was withdrawn because it was not finished in time.
var ErrTimeout = errors.New("not finished in time")

// Batch says how many tasks are done together. Its zero value is the default.
type Batch struct {
	Window    int           // how many items are taken up and not yet emitted; default DefaultWindow
	Unordered bool          // emit outcomes as they come, not in the order of the items
	Retries   int           // how often a task that failed is submitted again, under a new id
	Timeout   time.Duration // withdraw a task that is not finished so long after its submission; 0 never
	// Judge, if set, is told of each outcome as it comes, before it is its turn to be
	// emitted, by the same goroutine. An error ends the batch as one of emit does.
	Judge func(Outcome) error
}

// Do does the items as tasks, until items is closed, ctx ends, or emit returns an
// error; then it withdraws what is not finished, and returns that error or ctx's
// cause. emit is told of every item that was taken up, by one goroutine; of the
// withdrawn ones with Err set. Memory is bounded by the window.
func (b Batch) Do(ctx context.Context, c *Client, items <-chan Item, emit func(Outcome) error) error {
	return b.Each(ctx, items, func(ctx context.Context, id string, it Item) Outcome { return b.attempt(ctx, c, id, it) }, emit)
}

// Each is Do, with whatever is to be done with an item: do gets a new task id as
// well, and these are in the order of the items. Its ctx ends when Each is to
// return; then it makes an end, and its outcome is emitted all the same. It is not
// called for an item with Err set.
func (b Batch) Each(ctx context.Context, items <-chan Item, do func(ctx context.Context, id string, it Item) Outcome, emit func(Outcome) error) error {
	if b.Window == 0 {
		b.Window = DefaultWindow
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	type numbered struct {
		Outcome
		n     int
		bytes int64
	}
	places, load := make(chan struct{}, b.Window), semaphore.NewWeighted(WindowBytes)
	outcomes := make(chan numbered, b.Window)
	go func() { // ends with items or ctx, and everything in flight; closes outcomes
		var flight sync.WaitGroup
		defer close(outcomes)
		defer flight.Wait()
		for n := 0; ; n++ {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			select {
			case it, ok := <-items:
				if !ok {
					return
				}
				o := numbered{Outcome{Item: it}, n, min(int64(len(it.Payload)), WindowBytes)}
				if load.Acquire(ctx, o.bytes) != nil {
					o.Err, o.bytes = context.Cause(ctx), 0
					outcomes <- o
					return
				}
				id := task.NewID() // here, so that ids are in the order of the items
				flight.Go(func() {
					if it.Err == nil {
						o.Outcome = do(ctx, id, it)
					}
					outcomes <- o
				})
			case <-ctx.Done():
				return
			}
		}
	}()

	early := make(map[int]numbered) // finished before one that comes before them
	next := 0
	var err error
	end := func(cause error) {
		if cause != nil && err == nil {
			err = cause
			stop(err)
		}
	}
	tell := func(o numbered) {
		end(emit(o.Outcome))
		load.Release(o.bytes)
		<-places
	}
	for o := range outcomes {
		if b.Judge != nil {
			end(b.Judge(o.Outcome))
		}
		if b.Unordered {
			tell(o)
			continue
		}
		early[o.n] = o
		for ; ; next++ {
			o, ok := early[next]
			if !ok {
				break
			}
			delete(early, next)
			tell(o)
		}
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// attempt submits an item until it is done, or has failed for the last time.
func (b Batch) attempt(ctx context.Context, c *Client, id string, it Item) Outcome {
	o := Outcome{Item: it}
	pause := backoff.NewExponentialBackOff() // half a second, then half as much more each time, with jitter
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
		id = task.NewID()
	}
}

func (b Batch) once(ctx context.Context, c *Client, id string, payload []byte) (Result, error) {
	if b.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, b.Timeout, fmt.Errorf("%w: withdrawn after %s", ErrTimeout, b.Timeout))
		defer cancel()
	}
	return c.DoAs(ctx, id, payload)
}

// TooLarge is the error of a payload that no task can carry.
func TooLarge(size int64) error {
	return fmt.Errorf("payload of %d bytes: %w: at most %d", size, session.ErrTooLarge, MaxPayload)
}
