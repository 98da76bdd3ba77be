package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/task"
)

// window bounds the tasks in flight: a flow control, and what ZooKeeper has to
// delete at once when the client dies.
const window = 1000

func runCommand(common *cli.Common) *cobra.Command {
	return &cobra.Command{
		Use:   "run PAYLOAD...",
		Short: "Submit each argument as a task, and print their results in order",
		Long: `Submit each argument as a task and print the results to stdout, in the order of
the arguments, one a line. Exit status: 0 when all are done, 1 when any failed
(why is on stderr, with its payload), 2 for wrong use.

SIGTERM or SIGINT (Ctrl-C) withdraws what is not finished.`,
		Example: `  client run 0.1 0.2 0.3`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("PAYLOAD is missing: give at least one")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, payloads []string) error {
			log := common.Logger()
			failed := 0
			err := with(cmd.Context(), common, log, func(ctx context.Context, c *client.Client) (err error) {
				failed, err = run(ctx, cmd, c, payloads)
				return err
			})
			if err == nil && failed > 0 {
				err = fmt.Errorf("%d of %d tasks failed", failed, len(payloads))
			}
			return err
		},
	}
}

// run prints the results in the order of the payloads, and returns how many
// there are none for.
func run(ctx context.Context, cmd *cobra.Command, c *client.Client, payloads []string) (failed int, err error) {
	type answer struct {
		client.Result
		err error
	}
	answers := make([]chan answer, len(payloads))
	for i := range answers {
		answers[i] = make(chan answer, 1)
	}
	var flight sync.WaitGroup
	defer flight.Wait()
	flight.Go(func() {
		places := make(chan struct{}, window)
		for i, p := range payloads {
			places <- struct{}{}
			id := task.NewID() // here, so that ids are in the order of the payloads
			flight.Go(func() {
				r, err := c.DoAs(ctx, id, []byte(p))
				answers[i] <- answer{r, err}
				<-places
			})
		}
	})
	for i, p := range payloads {
		a := <-answers[i]
		switch {
		case ctx.Err() != nil:
			return failed, ctx.Err()
		case a.err != nil:
			failed++
			fmt.Fprintf(cmd.ErrOrStderr(), "payload %.80q: %v\n", p, a.err)
		case a.State.Phase == task.Failed:
			failed++
			fmt.Fprintf(cmd.ErrOrStderr(), "payload %.80q: failed: %s\n", p, bytes.TrimSpace(a.State.Text))
		default:
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", a.State.Text)
		}
	}
	return failed, nil
}
