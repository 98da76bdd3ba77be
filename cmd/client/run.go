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
	var keepGoing, failFast bool
	cmd := &cobra.Command{
		Use:   "run [PAYLOAD... | -- COMMAND [ARGUMENT...]]",
		Short: "Do each argument or line of input as a task; print the results",
		Long: `Submit each argument as a task, or without arguments each line of standard
input, and print the results to stdout in the same order, one a line. What a
command behind -- prints goes to stdout as it is, with no newline more or less,
also when it fails. What commands wrote to standard error goes to stderr. The
input may be of any length: it is read as far as --window reaches. Results over
64 MB that wait for one before them go to temporary files in $TMPDIR. Exit
status: 0 when all are done, 1 when any failed (why is on stderr, with its
payload), 2 for wrong use.
` + aboutCommands + aboutJoblog + `
SIGTERM or SIGINT (Ctrl-C) withdraws what is not finished. However a run ends,
in order stdout ends before the first input that is not done; stderr tells which
are not.`,
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
			if failFast {
				r.halt = haltAtFirst
			}
			if !cmd.Flags().Changed("window") {
				r.batch.Window = max(r.batch.Window, r.batch.Jobs)
			}
			if err := r.batch.Check(common.ZK, a.queue); err != nil {
				return cli.WrongUse("%w", err)
			}
			if err := k.open(&r); err != nil {
				return err
			}
			cfg := a.config(logger(cmd, common, "warn"))
			r.asks = cfg.Asks
			r.bar = newProgress(os.Stderr, &a.in).of(a.queue)
			err := with(cmd.Context(), common, cfg, func(ctx context.Context, c *client.Client, current func() *session.Session) error {
				if err := a.await(ctx, cmd, c); err != nil {
					return err
				}
				defer r.bar.start(ctx, current)()
				return r.run(ctx, cmd, c)
			})
			return cmp.Or(err, r.log.close())
		},
	}
	f := cmd.Flags()
	a.flags(cmd)
	cli.VarP(f, &r.batch.Jobs, "jobs", "j", 0, "Have at most this `number` of tasks under way. 0 stands for as many as --window says.", cli.Int(0, client.MaxWindow))
	cli.Var(f, &r.batch.Window, "window", client.DefaultWindow,
		"Read at most this `number` of tasks ahead of the output: those under way, and those whose results wait for one before them. It bounds --jobs.", cli.Int(1, client.MaxWindow))
	cli.Var(f, &a.in.delay, "delay", 0, "Wait for this `duration` between two submissions.", cli.Duration(0, 24*time.Hour))
	f.BoolVar(&r.batch.Unordered, "unordered", false, "Print results as they come.")
	f.BoolVar(&r.print.tag, "tag", false, "Begin each line of output, also on stderr, with the task's line of input and a tab.")
	r.print.flags(f)
	cli.Var(f, &r.batch.Retries, "retries", 0, "Submit a task that failed up to this `number` of times again, after a pause that grows.", cli.Int(0, 1000))
	cli.Var(f, &r.batch.Deadline, "deadline", 0, "Withdraw a task that is not finished within this `duration` of its submission; it counts as failed. 0s waits for ever.",
		cli.Duration(0, 30*24*time.Hour))
	cli.Var(f, &r.halt, "halt", halt{}, "Stop at failures: `when` is now,fail=N to withdraw what is left, soon,fail=N to begin no more tasks, and N% for a share of those that have ended, which are 3 at least.", parseHalt)
	f.BoolVar(&keepGoing, "keep-going", true, "Go on when a task fails.")
	f.BoolVar(&failFast, "fail-fast", false, "Withdraw what is left when a task fails: --halt now,fail=1.")
	cmd.MarkFlagsMutuallyExclusive("keep-going", "fail-fast", "halt")
	k.flags(cmd)
	return cmd
}
