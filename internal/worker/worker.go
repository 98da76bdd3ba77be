package worker

import (
	"context"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Config says what a process executes. Its zero value executes the
// assignment's simulated computation in one slot.
type Config struct {
	Slots  int          // how many tasks at a time; default 1
	Run    task.Func    // what executes a task; default task.Sleep
	Logger *slog.Logger // default: none
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
	return c
}

// Run hosts the slots on a session until ctx ends; then the tasks that they
// hold are given back and their znodes are deleted. It fails when the session
// is over, or when a znode may not be created.
func Run(ctx context.Context, s *session.Session, cfg Config) error {
	cfg = cfg.withDefaults()
	if cfg.Slots < 0 {
		return fmt.Errorf("%d slots: want at least 1", cfg.Slots)
	}
	group := s.NewGroup()
	slots, ctx := errgroup.WithContext(ctx)
	for range cfg.Slots {
		slots.Go(func() error {
			for {
				sl := newSlot(s, group, cfg)
				again, err := sl.run(ctx)
				if !again || err != nil {
					return err
				}
			}
		})
	}
	return slots.Wait()
}
