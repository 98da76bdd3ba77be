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
	Input   []byte // what the payload was made from, if that is something else
	Err     error  // why it cannot be submitted, if so
}

// Outcome is what became of an item: a State that is Done or Failed; or Err.
type Outcome struct {
	Item
	Result
	Attempts  int  // submissions, with those again after a failure
	Withdrawn bool // Err says why the batch ended, not what is wrong with the item
}

// ErrTimeout means that a task was withdrawn because it was not finished in time.
var ErrTimeout = errors.New("not finished in time")

// Batch says how many tasks are done together. Its zero value is the default.
type Batch struct {
	Window    int           // how many items are taken up and not yet emitted; default DefaultWindow
	Jobs      int           // how many of those are not finished; default Window
	Unordered bool          // emit outcomes as they come, not in the order of the items
	Retries   int           // how often a task that failed is submitted again, under a new id
	Deadline  time.Duration // withdraw a task that is not finished so long after its submission; 0 never
	// OnOutcome, if set, is told of each outcome as it comes, before it is its turn to be
	// emitted, by a goroutine of its own. An error ends the batch as one of emit does.
	OnOutcome func(Outcome) error
	// NewID, if set, makes an id for each item, in the order of the items. Do sets it.
	NewID func() string
}

// Do does the items as tasks, until items is closed, ctx ends, or emit returns an
// error; then it withdraws what is not finished, and returns that error or ctx's
// cause. emit is told of every item that was taken up, by the goroutine that called Do;
// of the withdrawn ones as such. Memory is bounded by WindowBytes and BacklogBytes:
// results beyond that wait for their turn in a temporary file. Where there is no room
// for that, the batch ends as after an error of emit.
func (b Batch) Do(ctx context.Context, c *Client, items <-chan Item, emit func(Outcome) error) error {
	b.NewID = c.NewID
	return b.Each(ctx, items, func(ctx context.Context, id string, it Item) Outcome { return b.Attempt(ctx, c, id, it) }, emit)
}

// Each is Do, with whatever is to be done with an item: do gets the item's id
// as well, if there is NewID. Its ctx ends when Each is to
// return; then it makes an end, and its outcome is emitted all the same. It is not
// called for an item with Err set.
func (b Batch) Each(ctx context.Context, items <-chan Item, do func(ctx context.Context, id string, it Item) Outcome, emit func(Outcome) error) error {
	if b.Window == 0 {
		b.Window = DefaultWindow
	}
	if b.Jobs == 0 {
		b.Jobs = b.Window
	}
	ctx, stop := context.WithCancelCause(ctx) // the first cause stays
	defer stop(nil)
	places, jobs, load := make(chan struct{}, b.Window), make(chan struct{}, b.Jobs), semaphore.NewWeighted(WindowBytes)
	done, ready := make(chan *finished), make(chan *finished)
	go func() { // ends with items or ctx, and everything in flight
		defer close(done)
		b.takeUp(ctx, items, places, jobs, load, do, done)
	}()
	go func() { // ends with done
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

// takeUp does items as far as there are places and jobs, and sends what became of them.
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

// inTurn passes on what is done when it is its turn. It is always there to take what
// is done: what that holds in memory is the backlog's to bound.
// A job ends when it was judged: the verdict may be that no other begins.
func (b Batch) inTurn(done <-chan *finished, ready chan<- *finished, jobs <-chan struct{}, end func(error)) {
	backlog := newBacklog()
	come := 0
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
				o.turn = come
			}
			come++
			if err := backlog.add(o); err != nil {
				end(err)
			}
		}
	}
}

// Attempt submits an item until it is done, or has failed for the last time: what Do does
// with each. The first id is the given one, which c made.
func (b Batch) Attempt(ctx context.Context, c *Client, id string, it Item) Outcome {
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
