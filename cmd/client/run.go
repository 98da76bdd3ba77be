package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func runCommand(common *cli.Common) *cobra.Command {
	var in input
	var batch client.Batch
	var queue string
	var asJSON, keepGoing, failFast bool
	cmd := &cobra.Command{
		Use:   "run [PAYLOAD...]",
		Short: "Do each argument or line of input as a task; print the results",
		Long: `Submit each argument as a task, or without arguments each line of standard
input, and print the results to stdout in the same order, one a line. The input
may be of any length: it is read as far as --window reaches. Results over 64 MB
that wait for one before them go to temporary files in $TMPDIR. Exit status: 0
when all are done, 1 when any failed (why is on stderr, with its payload), 2 for
wrong use.

SIGTERM or SIGINT (Ctrl-C) withdraws what is not finished.`,
		Example: `  client run 0.1 0.2 0.3
  seq 1 100000 | client run --window 2000 > results`,
		Args: in.take,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := batch.Check(common.ZK, queue); err != nil {
				return cli.WrongUse("%w", err)
			}
			log := common.Logger()
			bar := newProgress(os.Stderr, &in).of(queue)
			return with(cmd.Context(), common, queue, log, func(ctx context.Context, c *client.Client, current func() *session.Session) error {
				defer bar.start(ctx, current)()
				return run(ctx, cmd, c, &in, batch, asJSON, failFast, bar)
			})
		},
	}
	f := cmd.Flags()
	in.flags(f)
	addQueue(f, &queue)
	cli.Var(f, &batch.Window, "window", client.DefaultWindow,
		"Have at most this `number` of tasks on their way, counting those whose results wait for one before them.", cli.Int(1, client.MaxWindow))
	f.BoolVar(&batch.Unordered, "unordered", false, "Print results as they come.")
	f.BoolVar(&asJSON, "json", false, "Print an object a line for every task, the failed ones too.")
	cli.Var(f, &batch.Retries, "retries", 0, "Submit a task that failed up to this `number` of times again, after a pause that grows.", cli.Int(0, 1000))
	cli.Var(f, &batch.Timeout, "timeout", 0, "Withdraw a task that is not finished within this `duration` of its submission; it counts as failed. 0s waits for ever.",
		cli.Duration(0, 30*24*time.Hour))
	f.BoolVar(&keepGoing, "keep-going", true, "Go on when a task fails.")
	f.BoolVar(&failFast, "fail-fast", false, "Withdraw what is left when a task fails.")
	cmd.MarkFlagsMutuallyExclusive("keep-going", "fail-fast")
	return cmd
}

// errFirst ends a batch at its first failure.
var errFirst = errors.New("stopped at the first failure")

// run does the tasks and prints what becomes of them.
func run(ctx context.Context, cmd *cobra.Command, c *client.Client, in *input, batch client.Batch, asJSON, failFast bool, bar *progress) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // ends the reading
	show := printer(cmd, byPayload, asJSON)
	batch.Judge = func(o client.Outcome) error {
		bar.count(o)
		if failFast && !o.Withdrawn && (o.Err != nil || o.State.Phase == task.Failed) {
			return errFirst
		}
		return nil
	}
	done, failed, withdrawn, unwritten := 0, 0, 0, 0
	err := batch.Do(ctx, c, in.items(ctx), func(o client.Outcome) error {
		if o.Withdrawn {
			withdrawn++
			return nil
		}
		if err := show(o); err != nil {
			unwritten++
			return err
		}
		if o.Err != nil || o.State.Phase == task.Failed {
			failed++
		} else {
			done++
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return cli.SoFar(ctx.Err(), "%d done, %d failed, %d withdrawn", done, failed, withdrawn)
	case unwritten > 0:
		return fmt.Errorf("%w: %d done, %d failed, %d not written, %d withdrawn", err, done, failed, unwritten, withdrawn)
	case err != nil:
		return fmt.Errorf("%w: %d done, %d failed, %d withdrawn", err, done, failed, withdrawn)
	case in.failure() != nil:
		return fmt.Errorf("%w: %d done, %d failed", in.failure(), done, failed)
	case failed > 0:
		return fmt.Errorf("%s failed", of(failed, done+failed))
	}
	return nil
}
