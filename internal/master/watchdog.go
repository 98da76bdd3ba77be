package master

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"sync/atomic"
	"time"
)

// patience is how long the loop may not turn while the session is well.
const patience = 10 * time.Second

// errStuck means that the leader's loop does not turn any more.
var errStuck = errors.New("the leader's loop is stuck")

// suspender is a session as the watchdog sees it.
type suspender interface {
	Suspended() (since time.Time, suspended bool)
	Timeout() time.Duration
}

// watchdog ends the process, with status 1 and the stacks of its goroutines,
// when the loop does not turn: a session lives for as long as its pings go out,
// so nobody else would take over from a leader that is deadlocked.
func watchdog(ctx context.Context, s suspender, beat *atomic.Int64, log *slog.Logger) error {
	if err := watch(ctx, s, beat); err != nil {
		log.Error("giving up, so that another master leads", "err", err)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		os.Exit(1)
	}
	return nil
}

// watch returns errStuck when the beat stands still, nil when ctx ends. Time is
// counted in ticks of this process: one that was stopped has not been stuck.
// A loop that waits for a lost connection is not stuck either.
func watch(ctx context.Context, s suspender, beat *atomic.Int64) error {
	limit := int(max(patience, s.Timeout()) / tick)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last, still := beat.Load(), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		_, suspended := s.Suspended()
		if now := beat.Load(); now != last || suspended {
			last, still = now, 0
			continue
		}
		if still++; still > limit {
			return fmt.Errorf("%w: for %s", errStuck, time.Duration(still)*tick)
		}
	}
}
