package master

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// longestTurn is how long a turn of the loop may last while the session is well.
const longestTurn = 10 * time.Second

// tick is how often the watchdog looks.
const tick = time.Second

// errStuck means that the leader's loop does not turn any more.
var errStuck = errors.New("the leader's loop is stuck")

// beat counts the turns of a loop, as they begin and as they end: it is odd while one
// lasts.
type beat struct {
	atomic.Int64
	began atomic.Pointer[time.Time] // the last one
}

// turn has the loop turn.
func (b *beat) turn(do func() error) error {
	now := time.Now()
	b.began.Store(&now)
	b.Add(1)
	defer b.Add(1)
	return do()
}

// lasts is how long the turn has lasted so far; 0 between two.
func (b *beat) lasts() time.Duration {
	if b.Load()%2 == 0 {
		return 0
	}
	return time.Since(*b.began.Load())
}

// suspender is a session as the watchdog sees it.
type suspender interface {
	Suspended() (since time.Time, suspended bool)
	Timeout() time.Duration
}

// watchdog calls stuck when the loop does not turn: a session lives for as long as its
// pings go out, so nobody else would take over from a leader that is deadlocked. It
// does not log: the log may be what the loop waits for.
func watchdog(ctx context.Context, s suspender, b *beat, stuck func(error)) error {
	err := watch(ctx, s, b)
	if err != nil {
		stuck(err)
	}
	return err
}

// watch returns errStuck when a turn lasts for too long, nil when ctx ends. Time is counted
// in ticks of this process: one that was stopped has not been stuck. A loop that waits for
// a lost connection is not stuck either.
func watch(ctx context.Context, s suspender, b *beat) error {
	limit := int(max(longestTurn, s.Timeout()) / tick)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last, still := b.Load(), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		_, suspended := s.Suspended()
		if now := b.Load(); now != last || now%2 == 0 || suspended {
			last, still = now, 0
			continue
		}
		if still++; still > limit {
			return fmt.Errorf("%w: for %s", errStuck, time.Duration(still)*tick)
		}
	}
}
