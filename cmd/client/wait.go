package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// statusUnknown is the exit status if an id names no task.
const statusUnknown = 3

// errStill means that a task was not finished when the waiting ended; the task stays.
var errStill = errors.New("not finished yet")

// errUnreadable means that the policy does not let this client read a task: its outcome is
// unknown.
var errUnreadable = errors.New("may not be read")

// cleaners is how many znodes of printed results are removed at a time.
const cleaners = 256

func waitCommand(common *cli.Common) *cobra.Command {
	in := input{ids: true}
	var w waiting
	cmd := &cobra.Command{
		Use:   "wait [ID...]",
		Short: "Wait for submitted tasks, print their results, and remove them",
		Long: `Wait until the tasks with these ids are finished, or without arguments those
with the ids on standard input. Print their results to stdout in the same order,
one a line, and remove each task when its result is printed. Exit status: 0 when
all are done, 1 when any failed (stderr says why), 2 for wrong use, 3 when an id
names no task (any more).

SIGTERM or SIGINT (Ctrl-C) stops waiting; the tasks go on.`,
		Example: `  client submit 0.1 0.2 | client wait
  client wait --keep --json < ids`,
		Args: in.take,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w.log = logger(cmd, common, "warn")
			bar := newProgress(os.Stderr, &in)
			return withIDs(cmd.Context(), common, w.log, func(ctx context.Context, c *client.Client, current func() *session.Session) error {
				defer bar.start(ctx, current)()
				return w.run(ctx, cmd, c, &in, bar)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&w.keep, "keep", false, "Do not remove the tasks.")
	f.BoolVar(&w.missing, "missing-ok", false, "Ids that name no task (any more) are no failure; only count them, as after a wait that was killed.")
	f.BoolVar(&w.batch.Unordered, "unordered", false, "Print results as they come.")
	w.print.flags(f)
	cli.Var(f, &w.timeout, "timeout", 0, "Stop waiting for a task after this `duration`; the task goes on, and counts as failed here. 0s waits for ever.",
		cli.Duration(0, 30*24*time.Hour))
	return cmd
}

// waiting is one 'client wait'.
type waiting struct {
	batch   client.Batch
	print   printing
	keep    bool
	missing bool // an id without a task is no failure
	timeout time.Duration
	log     *slog.Logger
}

func (w *waiting) run(ctx context.Context, cmd *cobra.Command, c *client.Client, in *input, bar *progress) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // ends the reading
	p := newPrinter(cmd, w.print, byID)
	w.batch.OnOutcome = func(o client.Outcome) error {
		bar.count(o)
		return nil
	}
	do := func(ctx context.Context, _ string, it client.Item) client.Outcome {
		if w.timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, w.timeout, fmt.Errorf("%w after %s", errStill, w.timeout))
			defer cancel()
		}
		o := client.Outcome{Item: it}
		if o.Result, o.Err = c.Await(ctx, string(it.Payload)); session.Refused(o.Err) {
			o.Err = fmt.Errorf("%w: %w", errUnreadable, o.Err)
		}
		return o
	}
	var cleaning errgroup.Group
	cleaning.SetLimit(cleaners)
	done, failed, unfetched, unknown, left := 0, 0, 0, 0, 0
	err := w.batch.Each(ctx, in.items(ctx), do, func(o client.Outcome) error {
		if o.Withdrawn {
			o.Withdrawn, o.Err = false, fmt.Errorf("%w: %w", errStill, o.Err)
			p.silent = !w.batch.Unordered
			left++
			if w.print.json {
				return p.show(o)
			}
			return nil
		}
		if p.silent && !w.print.json {
			left++ // the task and its result stay
			return nil
		}
		if gone := errors.Is(o.Err, task.ErrNotFound); gone && w.missing && !w.print.json {
			unknown++
			return nil
		}
		if err := p.show(o); err != nil {
			left++
			return err
		}
		switch {
		case errors.Is(o.Err, task.ErrNotFound):
			unknown++
		case errors.Is(o.Err, errStill), errors.Is(o.Err, errUnreadable):
			unfetched++
		case isFailure(o):
			failed++
		default:
			done++
		}
		if o.Err == nil && !w.keep && !o.Attached { // printed first: it is the only copy
			cleaning.Go(func() error {
				if err := c.Collect(ctx, o.Result); err != nil && ctx.Err() == nil {
					w.log.Warn("not cleaned up", "task", o.ID, "err", err)
				}
				return nil
			})
		}
		return nil
	})
	_ = cleaning.Wait()
	switch {
	case ctx.Err() != nil:
		return cli.SoFar(ctx.Err(), "%d done, %d failed, %d unknown, %d left", done, failed, unknown, unfetched+left)
	case err != nil:
		return fmt.Errorf("%w: %d done, %d failed, %d unknown; the other %d stay", err, done, failed, unknown, unfetched+left)
	case in.failure() != nil:
		return fmt.Errorf("%w: %d done, %d failed, %d unknown", in.failure(), done, failed, unknown)
	}
	all := done + failed + unfetched + unknown
	if w.missing && unknown > 0 {
		if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s unknown\n", of(unknown, all)); err != nil {
			return err
		}
		unknown = 0
	}
	switch {
	case unfetched > 0 && failed > 0:
		return verdict(all, failed+unfetched, unknown, "failed or not fetched")
	case unfetched > 0:
		return verdict(all, unfetched, unknown, "not fetched")
	}
	return verdict(all, failed, unknown, "failed")
}

// verdict is the error of a command on tasks by their ids.
func verdict(all, failed, unknown int, what string) error {
	switch {
	case unknown > 0 && failed > 0:
		return &cli.ExitError{Status: statusUnknown, Err: fmt.Errorf("%s unknown, %d %s", of(unknown, all), failed, what)}
	case unknown > 0:
		return &cli.ExitError{Status: statusUnknown, Err: fmt.Errorf("%s unknown", of(unknown, all))}
	case failed > 0:
		return fmt.Errorf("%s %s", of(failed, all), what)
	}
	return nil
}

// of writes n of all tasks.
func of(n, all int) string {
	if all == 1 {
		return fmt.Sprintf("%d of 1 task", n)
	}
	return fmt.Sprintf("%d of %d tasks", n, all)
}
