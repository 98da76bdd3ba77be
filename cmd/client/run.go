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
input, and print the results to stdout in the same order, one a line. The output
of a command behind -- goes to stdout as it is, also when the command fails; no
newline is added. Its standard error goes to stderr. The input may be of any
length: it is read only as far as --window reaches. Results that wait for an
earlier one go to temporary files in $TMPDIR beyond 64 MB. Exit status: 0 when
all are done, 1 when any failed (stderr says why, with the payload), 2 for wrong
use.
` + aboutCommands + aboutJoblog + `
SIGTERM or SIGINT (Ctrl-C) withdraws unfinished tasks. However a run ends,
ordered output ends before the first input that is not done; stderr says which
inputs are not done.`,
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
	cli.VarP(f, &r.batch.Jobs, "jobs", "j", 0, "Have at most this `number` of tasks under way. 0 means as many as --window.", cli.Int(0, client.MaxWindow))
	cli.Var(f, &r.batch.Window, "window", client.DefaultWindow,
		"Read at most this `number` of tasks ahead of the output: those under way, and those whose results wait for an earlier one. It bounds --jobs.", cli.Int(1, client.MaxWindow))
	cli.Var(f, &a.in.delay, "delay", 0, "Wait for this `duration` between two submissions.", cli.Duration(0, 24*time.Hour))
	f.BoolVar(&r.batch.Unordered, "unordered", false, "Print results as they come.")
	f.BoolVar(&r.print.tag, "tag", false, "Begin each line of output, also on stderr, with the task's line of input and a tab.")
	r.print.flags(f)
	cli.Var(f, &r.batch.Retries, "retries", 0, "Submit a failed task again, up to this `number` of times, after a growing pause.", cli.Int(0, 1000))
	cli.Var(f, &r.batch.Deadline, "deadline", 0, "Withdraw a task that is not finished within this `duration` after its submission; it counts as failed. 0s waits for ever.",
		cli.Duration(0, 30*24*time.Hour))
	cli.Var(f, &r.halt, "halt", halt{}, "Stop after N failures: `when` is now,fail=N to withdraw the other tasks, or soon,fail=N to begin no more. N% is a share of the ended tasks, once 3 have ended.", parseHalt)
	f.BoolVar(&keepGoing, "keep-going", true, "Go on when a task fails.")
	f.BoolVar(&failFast, "fail-fast", false, "Withdraw the other tasks when a task fails, as --halt now,fail=1 does.")
	cmd.MarkFlagsMutuallyExclusive("keep-going", "fail-fast", "halt")
	k.flags(cmd)
	return cmd
}
