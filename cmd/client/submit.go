package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/session"
)

func submitCommand(common *cli.Common) *cobra.Command {
	var in input
	cmd := &cobra.Command{
		Use:   "submit [PAYLOAD...]",
		Short: "Submit tasks that outlive the client; print their ids",
		Long: `Submit each argument, or without arguments each line of standard input, as a task
that stays when this client ends, and print the ids to stdout in the same order, one
a line. 'client wait' fetches the results by these ids. What nobody fetches the
leader removes after its --retention. Exit status: 0 when all were submitted, 1 when
any was not (why is on stderr), 2 for wrong use.

SIGTERM or SIGINT (Ctrl-C) stops; the tasks whose ids were printed stay.`,
		Example: `  client submit 0.1 0.2 > ids
  client wait < ids`,
		Args: in.take,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := common.Logger()
			return with(cmd.Context(), common, log, func(ctx context.Context, c *client.Client, _ func() *session.Session) error {
				return submit(ctx, cmd, c, &in)
			})
		},
	}
	in.flags(cmd.Flags())
	return cmd
}

func submit(ctx context.Context, cmd *cobra.Command, c *client.Client, in *input) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // ends the reading
	submitted, failed := 0, 0
	do := func(ctx context.Context, id string, it client.Item) client.Outcome {
		o := client.Outcome{Item: it}
		o.ID, o.Err = c.Submit(ctx, id, it.Payload)
		return o
	}
	err := client.Batch{}.Each(ctx, in.items(ctx), do, func(o client.Outcome) error {
		switch {
		case o.Err != nil && o.ID == "" && ctx.Err() != nil:
			return nil // not begun
		case o.Err != nil:
			failed++
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", byPayload(o), indented(o.Err.Error()))
			return err
		}
		submitted++
		_, err := fmt.Fprintln(cmd.OutOrStdout(), o.ID)
		if err != nil { // nobody else knows it
			fmt.Fprintf(cmd.ErrOrStderr(), "task %s was submitted: print its id: %s\n", o.ID, err)
		}
		return err
	})
	switch {
	case ctx.Err() != nil:
		return cli.SoFar(ctx.Err(), "%d submitted", submitted)
	case err == nil && failed > 0:
		return fmt.Errorf("%d of %d tasks were not submitted", failed, failed+submitted)
	}
	return err
}
