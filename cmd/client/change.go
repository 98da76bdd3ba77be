package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func cancelCommand(common *cli.Common) *cobra.Command {
	cmd := changeCommand(common, (*client.Client).Cancel)
	cmd.Use = "cancel [ID...]"
	cmd.Short = "Remove tasks that are not finished, and stop those that run"
	cmd.Long = `Remove the tasks with these ids, or without arguments those with the ids on
standard input. Workers stop executing them. The ids of removed tasks are
printed. A finished task is left: 'client wait' collects it. Exit
status: 0 when all were removed, 1 when a task was not (stderr says why), 2 for
wrong use, 3 when an id names no task (any more).`
	cmd.Example = `  client cancel 019ab1c0-7f3e-7cc3-98c4-dc0c0c07398f
  client cancel < ids`
	return cmd
}

func retryCommand(common *cli.Common) *cobra.Command {
	cmd := changeCommand(common, (*client.Client).Retry)
	cmd.Use = "retry [ID...]"
	cmd.Short = "Make submitted tasks that failed pending again"
	cmd.Long = `Make the failed tasks with these ids pending again, or without arguments those
with the ids on standard input. They keep their ids and payloads. The ids of
tasks that are pending again are printed. The leader notices them within
seconds. Beside many thousands of uncollected results it looks at 500 of those a
second. Exit status: 0 when all are pending again, 1 when a task is not (stderr
says why), 2 for wrong use, 3 when an id names no task (any more).`
	cmd.Example = `  client retry 019ab1c0-7f3e-7cc3-98c4-dc0c0c07398f
  client retry < ids | client wait`
	return cmd
}

// changeCommand returns a command that changes tasks by their ids, and prints the ids of
// the changed ones.
func changeCommand(common *cli.Common, change func(c *client.Client, ctx context.Context, id string) error) *cobra.Command {
	in := input{ids: true}
	return &cobra.Command{
		Args: in.take,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withIDs(cmd.Context(), common, logger(cmd, common, "warn"), func(ctx context.Context, c *client.Client, _ func() *session.Session) error {
				return changeAll(ctx, cmd, &in, func(ctx context.Context, id string) error { return change(c, ctx, id) })
			})
		},
	}
}

func changeAll(ctx context.Context, cmd *cobra.Command, in *input, change func(ctx context.Context, id string) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // ends the reading
	do := func(ctx context.Context, _ string, it client.Item) client.Outcome {
		o := client.Outcome{Item: it}
		o.Err = change(ctx, string(it.Payload))
		return o
	}
	changed, failed, unknown := 0, 0, 0
	var broken error // of the output
	err := client.Batch{}.Each(ctx, in.items(ctx), do, func(o client.Outcome) error {
		switch {
		case o.Withdrawn:
			return nil
		case o.Err == nil:
			changed++
			if broken == nil {
				_, broken = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", o.Payload)
			}
			return broken
		case errors.Is(o.Err, task.ErrNotFound):
			unknown++
		default:
			failed++
		}
		if errors.Is(o.Err, client.ErrFinished) {
			o.Err = fmt.Errorf("%w; collect it: %s wait %s", o.Err, cli.Program("client"), o.Payload)
		}
		if broken == nil {
			_, broken = fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", byID(o), indented(o.Err.Error()))
		}
		return broken
	})
	switch {
	case broken != nil:
		return fmt.Errorf("%w: %d changed", broken, changed)
	case ctx.Err() != nil:
		return cli.SoFar(ctx.Err(), "%d changed", changed)
	case err != nil:
		return err
	case in.failure() != nil:
		return fmt.Errorf("%w: %d changed, %d not changed, %d unknown", in.failure(), changed, failed, unknown)
	}
	return verdict(changed+failed+unknown, failed, unknown, "not changed")
}
