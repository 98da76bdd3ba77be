package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/command"
	"taskkeeper/internal/metrics"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Config says what a process executes. Its zero value executes the
// assignment's simulated computation in one slot.
type Config struct {
	Queue   string          // whose tasks; default: the default queue
	Kind    string          // which kind of payload Run takes: task.KindCommand, or "" for any other
	Slots   int             // how many tasks at a time; default 1
	Run     task.Func       // what executes a task; default task.Sleep
	Timeout time.Duration   // a task that runs longer fails, or longer than its submitter allows; default: no limit
	Drain   time.Duration   // how long a slot that is told to stop may run its task on; default: not at all
	RunOn   bool            // what runs does so while no server is heard for the session's timeout; default: it is cancelled
	Metrics *metrics.Worker // default: nothing is counted
	Logger  *slog.Logger    // default: none
	Ready   func()          // called once when all slots have registered; default: nothing

	rights *session.Rights
}

func (c Config) withDefaults() Config {
	if c.Slots == 0 {
		c.Slots = 1
	}
	if c.Run == nil {
		c.Run = task.Sleep
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Ready == nil {
		c.Ready = func() {}
	}
	c.rights = session.NewRights(c.Logger)
	return c
}

// Run hosts the slots on a session until ctx ends. Then they take no more work,
// finish within Drain what they execute, give back the rest, and delete their
// znodes. It fails when the session is over. Where it may not register it tries again
// until it may.
func Run(ctx context.Context, s *session.Session, cfg Config) error {
	cfg = cfg.withDefaults()
	if cfg.Slots < 0 {
		return fmt.Errorf("%d slots: want at least 1", cfg.Slots)
	}
	if cfg.Queue != "" {
		if _, err := task.ParseQueue(cfg.Queue); err != nil {
			return fmt.Errorf("queue: %w", err)
		}
	}
	group := s.NewGroup()
	late, cancel := delayed(ctx, cfg.Drain)
	defer cancel()
	slots, leaving := errgroup.WithContext(late)
	draining, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(leaving, stop)() // a slot that fails ends the others

	entering, done := s.Within(draining)
	defer done()
	c := &capacity{log: cfg.Logger}
	var missing atomic.Int32 // slots that have not registered yet
	missing.Store(int32(cfg.Slots))
	for range cfg.Slots {
		slots.Go(func() error {
			slot := cfg
			slot.Ready = sync.OnceFunc(func() { // when this one has
				if missing.Add(-1) == 0 {
					cfg.Ready()
				}
			})
			var renewals renewals
			for {
				e, ok := c.enter(entering)
				if !ok {
					return s.Err()
				}
				began := time.Now()
				err := newSlot(s, group, slot, e).run(draining, leaving)
				e.end()
				switch {
				case errors.Is(err, errGone):
					if d := renewals.pause(time.Since(began)); d > 0 {
						cfg.Logger.Warn("workers' znodes are deleted or overwritten again and again: waiting before registering anew", "pause", d)
						wait(entering, d)
					}
				case errors.Is(err, command.ErrCannotStart): // enter waits
				default:
					return err
				}
			}
		})
	}
	return slots.Wait()
}

// longestRenewal bounds the pauses of renewals: so long at most is a slot missing after
// the last of its znodes was deleted.
const longestRenewal = 10 * time.Second

// renewals are the times that one slot registers anew because its znode was deleted or
// cannot be used. Pauses keep it from registering in a tight loop with whoever does that.
type renewals struct {
	next time.Duration // the pause before the next one, if that comes soon
}

// pause returns how long to wait now that a znode was lost after the time lived: not at
// all the first time, then 1 s, 2 s, and so on up to longestRenewal. A znode that
// lived for longer than the pause would be counts as the first.
func (r *renewals) pause(lived time.Duration) time.Duration {
	if lived > r.next {
		r.next = 0
	}
	d := r.next
	r.next = min(max(2*d, firstPause), longestRenewal)
	return d
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// delayed returns a context that ends d after ctx has.
func delayed(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		defer cancel()
		wait(late, d)
	})
	return late, func() { stop(); cancel() }
}
