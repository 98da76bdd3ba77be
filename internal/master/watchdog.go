package master

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// longestTurn is how long a turn of the loop may last while the session is connected: a turn
// takes milliseconds.
const longestTurn = 10 * time.Second

// tick is how often the watchdog looks at the loop.
const tick = time.Second

// errStuck means that a turn of the leader's loop does not end.
var errStuck = errors.New("the leader's loop is stuck")

// beat counts the beginnings and ends of a loop's turns: an odd number means during a turn.
type beat struct {
	atomic.Int64
	began atomic.Pointer[time.Time] // when the last turn began
}

// turn runs one turn of the loop.
func (b *beat) turn(do func() error) error {
	now := time.Now()
	b.began.Store(&now)
	b.Add(1)
	defer b.Add(1)
	return do()
}

// lasts is how long the present turn has lasted; 0 between two turns.
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

// watchdog calls stuck when the loop is stuck. The session of a deadlocked leader lives on,
// because its pings still go out: no backup would take over. The watchdog does not log: the
// loop may be waiting for the log.
func watchdog(ctx context.Context, s suspender, b *beat, stuck func(error)) error {
	err := watch(ctx, s, b)
	if err != nil {
		stuck(err)
	}
	return err
}

// watch returns errStuck when a turn lasts too long, nil when ctx ends. It counts ticks of
// this process, so a process that was stopped (SIGSTOP) is not stuck. A loop that waits for
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
