// Client submits tasks and fetches their results.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/member"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func main() {
	cli.Tune()
	os.Exit(cli.Main(command(), os.Exit))
}

func command() *cobra.Command {
	var common cli.Common
	var queue string
	var number, workers int
	var maxSleep time.Duration
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Submit tasks and fetch their results",
		Long: `Without a command: make up a task, submit it, wait until it is finished, fetch
its result, clean up, and begin again. Such a task sleeps for a random time.

SIGTERM or SIGINT (Ctrl-C) withdraws unfinished tasks. When a client dies,
ZooKeeper removes its tasks.`,
		Example: `  client --count 10 --max-sleep 0.5s
  client run 0.1 0.2 0.3 --zk zk1:2181,zk2:2181,zk3:2181/lab`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := common.Logger()
			return with(cmd.Context(), &common, client.Config{Queue: queue, Logger: log}, func(ctx context.Context, c *client.Client, _ func() *session.Session) error {
				err := await(ctx, cmd, c, queue, workers)
				switch {
				case ctx.Err() != nil:
					return nil
				case err != nil:
					return err
				}
				return loop(ctx, cmd, c, number, maxSleep)
			})
		},
	}
	cli.Var(cmd.Flags(), &number, "count", 0, "Stop after this `number` of tasks. 0 goes on for ever.", cli.Int(0, 1_000_000_000))
	cli.Var(cmd.Flags(), &maxSleep, "max-sleep", 2*time.Second,
		"A task sleeps for a random time up to this `duration`. With 0s tasks do nothing.", cli.Duration(0, 24*time.Hour))
	addQueue(cmd.Flags(), &queue)
	addWorkers(cmd.Flags(), &workers)
	common.AddTo(cmd)
	cmd.PersistentFlags().Lookup("log-level").Usage += " Without this flag commands of the client, such as run, log only warnings and errors."
	cmd.AddCommand(runCommand(&common))
	cmd.AddCommand(submitCommand(&common), waitCommand(&common), cancelCommand(&common), retryCommand(&common))
	cmd.AddCommand(inspectCommands(&common)...)
	cmd.AddCommand(drainCommand(&common), undrainCommand(&common), accessCommand(&common))
	return cmd
}

func addQueue(flags *pflag.FlagSet, queue *string) {
	cli.Var(flags, queue, "queue", "",
		"Submit to the queue of this `name`: only workers with the same --queue take such tasks. Without this flag the queue is the default one; for a command behind -- it is \"command\".", task.ParseQueue)
}

// loop is the assignment's client. It prints a line for each task.
func loop(ctx context.Context, cmd *cobra.Command, c *client.Client, count int, maxSleep time.Duration) error {
	for n := 0; count == 0 || n < count; n++ {
		payload := "0"
		if maxSleep > 0 {
			payload = strconv.FormatFloat(rand.N(maxSleep).Seconds(), 'f', 3, 64)
		}
		r, err := c.Do(ctx, []byte(payload))
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, client.ErrRemoved):
			_, err = fmt.Fprintln(cmd.OutOrStdout(), err) // somebody removed the task: go on with the next one
		case err == nil:
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "task %s: sleep %s s: %s\n", r.ID, payload, outcome(r))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func outcome(r client.Result) string {
	if r.State.Phase == task.Failed {
		return "failed: " + indented(string(r.State.Text))
	}
	return fmt.Sprintf("result %s after %s", indented(string(r.State.Text)), r.Took.Round(time.Millisecond))
}

// with runs do with a client that has a session meanwhile, one after the other. current
// returns the latest session, or nil.
func with(ctx context.Context, common *cli.Common, cfg client.Config,
	do func(ctx context.Context, c *client.Client, current func() *session.Session) error) error {
	return withConfig(ctx, common, common.Session(cfg.Logger), cfg, do)
}

// withIDs is with, for commands on existing tasks: it creates nothing in the tree.
func withIDs(ctx context.Context, common *cli.Common, log *slog.Logger,
	do func(ctx context.Context, c *client.Client, current func() *session.Session) error) error {
	cfg := common.Session(log)
	cfg.NoCreate = true
	return noChroot(common, withConfig(ctx, common, cfg, client.Config{Logger: log}, do))
}

// logger returns the log; level holds if --log-level is not given. Commands that scripts use
// log warnings only, and that a problem they warned about is over.
func logger(cmd *cobra.Command, common *cli.Common, level string) *slog.Logger {
	if !cmd.Flags().Changed("log-level") {
		common.LogLevel = level
	}
	return common.Logger()
}

// noChroot explains the error of a missing chroot.
func noChroot(common *cli.Common, err error) error {
	if !errors.Is(err, session.ErrNoChroot) {
		return err
	}
	return fmt.Errorf("no znode %s at %s: nothing was ever submitted there (--zk)", common.ZK.Chroot, strings.Join(common.ZK.Servers, ","))
}

func withConfig(ctx context.Context, common *cli.Common, cfg session.Config, of client.Config,
	do func(ctx context.Context, c *client.Client, current func() *session.Session) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	c := client.New(of)
	served := make(chan error, 1)
	var current atomic.Pointer[session.Session]
	serve := func(ctx context.Context, s *session.Session) error {
		current.Store(s)
		return c.Serve(ctx, s)
	}
	go func() {
		err := common.Run(ctx, cfg, member.Config{Role: member.Client}, serve)
		stop(err) // nothing works without a session
		served <- err
	}()
	err := do(ctx, c, current.Load)
	stop(nil)
	if serr := <-served; serr != nil {
		return serr
	}
	return err
}
