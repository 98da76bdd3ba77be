package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
)

func addWorkers(flags *pflag.FlagSet, workers *int) {
	cli.Var(flags, workers, "wait-for-workers", 0,
		"Submit nothing until this `number` of workers (slots) of the queue are registered and not drained. stderr says how many there are. Under a policy only a viewer can see workers.", cli.Int(0, 1_000_000))
}

// await checks that the client may submit, and waits for this number of workers of its queue.
func await(ctx context.Context, cmd *cobra.Command, c *client.Client, queue string, workers int) error {
	of := "the default queue"
	if queue != "" {
		of = "queue " + queue
	}
	err := c.MaySubmit(ctx)
	if err == nil {
		err = c.WaitForWorkers(ctx, workers, func(crew client.Crew) {
			line := fmt.Sprintf("waiting for %s of %s: %s there", count(workers, "worker"), of, are(crew.Taking))
			if crew.Drained > 0 {
				line += fmt.Sprintf(", and %s drained", are(crew.Drained))
			}
			fmt.Fprintln(cmd.ErrOrStderr(), line)
		})
	}
	if err != nil && ctx.Err() != nil {
		return cli.SoFar(ctx.Err(), "nothing was submitted")
	}
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func are(n int) string {
	if n == 1 {
		return "1 is"
	}
	return fmt.Sprintf("%d are", n)
}
