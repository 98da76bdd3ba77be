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
	Queue   string          // the queue of its tasks; default: the default queue
	Kind    string          // the kind of payload that Run accepts: task.KindCommand, or "" for any other
	Slots   int             // how many tasks run at a time; default 1
	Run     task.Func       // executes a task; default task.Sleep
	Timeout time.Duration   // a task that runs longer fails; its submitter may set a shorter limit; default: none
	Drain   time.Duration   // how long a slot's task may still run after the end of Run's ctx; default 0
	RunOn   bool            // a slot that is cut off for the session timeout goes on with its task; default: cancels it
	Metrics *metrics.Worker // default: nothing is counted
	Logger  *slog.Logger    // default: nothing is logged
	Ready   func()          // called once, when all slots have registered; default: nothing

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

// Run hosts the slots on a session until ctx ends. Then the slots take no more tasks,
// finish within Drain those that run, give back the rest, and delete their znodes. Run
// fails when the session is over. While ZooKeeper denies a slot the right to register,
// the slot tries again.
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
	defer context.AfterFunc(leaving, stop)() // when one slot fails, all end

	entering, done := s.Within(draining)
	defer done()
	c := &capacity{log: cfg.Logger}
	var missing atomic.Int32 // slots that have not registered yet
	missing.Store(int32(cfg.Slots))
	for range cfg.Slots {
		slots.Go(func() error {
			slot := cfg
			slot.Ready = sync.OnceFunc(func() { // this slot has registered
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
						cfg.Logger.Warn("the worker's znode is deleted or overwritten again and again: waiting before registering anew", "pause", d)
						wait(entering, d)
					}
				case errors.Is(err, command.ErrCannotStart): // the next enter waits
				default:
					return err
				}
			}
		})
	}
	return slots.Wait()
}

// longestRenewal bounds the pauses of renewals. When people stop deleting its znodes, a
// slot is missing for at most this long.
const longestRenewal = 10 * time.Second

// renewals paces how often one slot registers anew after its znode was deleted or became
// unusable. Without pauses the slot and the cause of that would run in a tight loop.
type renewals struct {
	next time.Duration // the pause, if the next znode is lost soon
}

// pause returns how long to wait after a znode was lost that existed for the time lived:
// nothing the first time, then 1 s, 2 s, and so on up to longestRenewal. A znode that
// existed for longer than the pause counts as the first.
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
