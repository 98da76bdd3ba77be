package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/session"
)

func submitCommand(common *cli.Common) *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "submit [PAYLOAD... | -- COMMAND [ARGUMENT...]]",
		Short: "Submit tasks that outlive the client; print their ids",
		Long: `Submit each argument, or without arguments each line of standard input, as a
task that outlives this client, and print the ids to stdout in the same order,
one a line. 'client wait' fetches the results by these ids. The
leader removes uncollected results after its --retention. Exit status: 0 when
all were submitted, 1 when a task was not (stderr says why), 2 for wrong use. A
task whose id cannot be printed is withdrawn.
` + aboutCommands + `
SIGTERM or SIGINT (Ctrl-C) stops the command; tasks whose ids were printed stay.`,
		Example: `  client submit 0.1 0.2 > ids
  client wait < ids
  ls *.log | client submit -- gzip -9 {}`,
		Args: a.take,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.dryRun {
				return a.show(cmd.Context(), cmd)
			}
			return with(cmd.Context(), common, a.config(logger(cmd, common, "warn")), func(ctx context.Context, c *client.Client, _ func() *session.Session) error {
				if err := a.await(ctx, cmd, c); err != nil {
					return err
				}
				return submit(ctx, cmd, c, &a.in)
			})
		},
	}
	a.flags(cmd)
	return cmd
}

func submit(ctx context.Context, cmd *cobra.Command, c *client.Client, in *input) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // ends the reading
	do := func(ctx context.Context, id string, it client.Item) client.Outcome {
		o := client.Outcome{Item: it}
		o.ID, o.Err = c.Submit(ctx, id, it.Payload)
		return o
	}
	submitted, failed := 0, 0
	var broken error               // of the output
	var withdrawals errgroup.Group // of tasks whose ids could not be printed
	withdrawals.SetLimit(cleaners)
	var withdrawn atomic.Int32
	err := client.Batch{NewID: c.NewID}.Each(ctx, in.items(ctx), do, func(o client.Outcome) error {
		switch {
		case o.Withdrawn && o.ID == "":
			return nil // not begun
		case o.Err != nil:
			failed++
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", byPayload(o), indented(o.Err.Error()))
			return err
		case broken == nil:
			_, broken = fmt.Fprintln(cmd.OutOrStdout(), o.ID)
		}
		if broken == nil {
			submitted++
			return nil
		}
		withdrawals.Go(func() error {
			err := c.Withdraw(ctx, o.ID)
			if err == nil {
				withdrawn.Add(1)
				return nil
			}
			_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "task %s was submitted and stays: %s\n", o.ID, err)
			return nil
		})
		return broken
	})
	_ = withdrawals.Wait()
	switch {
	case ctx.Err() != nil:
		return cli.SoFar(ctx.Err(), "%d submitted", submitted)
	case broken != nil:
		return fmt.Errorf("%w: %d submitted, %d withdrawn", broken, submitted, withdrawn.Load())
	case err != nil:
		return err
	case in.failure() != nil:
		return fmt.Errorf("%w: %d submitted, %d not", in.failure(), submitted, failed)
	case failed > 0:
		return fmt.Errorf("%s not submitted", of(failed, failed+submitted))
	}
	return nil
}
