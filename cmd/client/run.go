package main

import (
	"cmp"
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/session"
)

func runCommand(common *cli.Common) *cobra.Command {
	var a asking
	var k keeping
	r := running{in: &a.in}
	var keepGoing bool
	cmd := &cobra.Command{
		Use:   "run [PAYLOAD... | -- COMMAND [ARGUMENT...]]",
		Short: "Do each argument or line of input as a task; print the results",
		Long: `Submit each argument as a task, or without arguments each line of standard
input, and print the results to stdout in the same order, one a line. What
commands wrote to standard error goes to stderr, and what a command that failed
wrote to standard output goes to stdout. The input may be of any length: it is
read as far as --window reaches. Results over 64 MB that wait for one before
them go to temporary files in $TMPDIR. Exit status: 0 when all are done, 1 when
any failed (why is on stderr, with its payload), 2 for wrong use.
` + aboutCommands + aboutJoblog + `
SIGTERM or SIGINT (Ctrl-C) withdraws what is not finished. In order, stdout ends
before the first input that is not done then; stderr tells which are not.`,
		Example: `  client run 0.1 0.2 0.3
  seq 1 100000 | client run --window 2000 > results
  ls *.log | client run -- gzip -9 {}`,
		Args: a.take,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := k.check(); err != nil {
				return err
			}
			if a.dryRun {
				return a.show(cmd.Context(), cmd)
			}
			if err := r.batch.Check(common.ZK, a.queue); err != nil {
				return cli.WrongUse("%w", err)
			}
			if err := k.open(&r); err != nil {
				return err
			}
			log := common.Logger()
			r.bar = newProgress(os.Stderr, &a.in).of(a.queue)
			err := with(cmd.Context(), common, a.config(log), func(ctx context.Context, c *client.Client, current func() *session.Session) error {
				defer r.bar.start(ctx, current)()
				return r.run(ctx, cmd, c)
			})
			return cmp.Or(err, r.log.close())
		},
	}
	f := cmd.Flags()
	a.flags(cmd)
	cli.Var(f, &r.batch.Window, "window", client.DefaultWindow,
		"Have at most this `number` of tasks on their way, counting those whose results wait for one before them.", cli.Int(1, client.MaxWindow))
	f.BoolVar(&r.batch.Unordered, "unordered", false, "Print results as they come.")
	r.print.flags(f)
	cli.Var(f, &r.batch.Retries, "retries", 0, "Submit a task that failed up to this `number` of times again, after a pause that grows.", cli.Int(0, 1000))
	cli.Var(f, &r.batch.Deadline, "deadline", 0, "Withdraw a task that is not finished within this `duration` of its submission; it counts as failed. 0s waits for ever.",
		cli.Duration(0, 30*24*time.Hour))
	f.BoolVar(&keepGoing, "keep-going", true, "Go on when a task fails.")
	f.BoolVar(&r.failFast, "fail-fast", false, "Withdraw what is left when a task fails.")
	cmd.MarkFlagsMutuallyExclusive("keep-going", "fail-fast")
	k.flags(cmd)
	return cmd
}
