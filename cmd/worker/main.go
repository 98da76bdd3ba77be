// Worker executes the tasks that the leader assigns to it.
package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/command"
	"taskkeeper/internal/member"
	"taskkeeper/internal/metrics"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
	"taskkeeper/internal/web"
	"taskkeeper/internal/worker"
)

func main() {
	if command.Supervise() {
		return
	}
	os.Exit(cli.Main(root(cli.Tune()), os.Exit))
}

// long bounds durations: no sensible one is longer.
const long = 30 * 24 * time.Hour

// commandQueue keeps command lines away from workers that take payloads for something else.
const commandQueue = "command"

func root(cpus int) *cobra.Command {
	var common cli.Common
	var endpoint web.Endpoint
	var cfg worker.Config
	var what executed
	var cutOff string
	cmd := &cobra.Command{
		Use:   "worker [flags] [-- COMMAND ARGUMENT...]",
		Short: "Execute the tasks that the leader assigns",
		Long: `Register under /workers and execute the tasks that the leader assigns.

With --exec, or a command behind --, a task is one run of that command. The
payload is the standard input. Or the payload replaces {} in the arguments; then
standard input is empty. $TASK_ID holds the task's id, $WORKER_ID the worker's.
The command's standard output is the result. The task fails if the command ends
with an exit status other than 0 or by a signal; the reason holds the last lines
of standard error. Processes that the command leaves in the background are
killed.

{} stands by itself, or among letters, digits and _./:=,+@%- (out/{}.png), since
other text may be code. Behind a program that is known to run code or another
program (sh, python, env, timeout) {} stands only among the arguments of that
code or program. Behind a program that joins its arguments or reads them as code
(ssh, su, awk, xargs) {} is refused. Every other program is trusted to read an
argument as data, but not the value of an option that usually takes code (-c,
-e, -x, --exec). Where a payload may begin with a dash, write -- before {}.

With --any-command the payload is the command line itself, and standard input is
empty. Whoever may submit a task may then run anything here as this worker's
user. No shell reads the line; for a shell write sh -c and a script between
single quotes. If the program is missing the task fails with exit status 127, if
it cannot be executed with 126. Such a worker fails tasks that are no command
lines; all other workers fail tasks that are.

Without a command a task is a simulated computation: the payload is a number of
seconds to sleep, the result is 0.

SIGTERM or SIGINT (Ctrl-C) ends running tasks and gives all tasks back, at once
or after --drain; another worker gets them. A second signal ends the worker
immediately. A command never outlives its worker, not even after a kill -9; then
the task is assigned again after the session timeout.

A worker that gets no answer from a server for its session timeout cannot know
whether its session has ended and its tasks are assigned again: see --cut-off.
If the session has ended, the worker ends its running tasks, because their
results would not count. If the session goes on, the worker executes again the
tasks that it has cancelled.`,
		Example: `  worker --exec 'gzip -9'
  worker --slots 0 --timeout 1m -- gzip -9c -- {}
  worker --shell --exec 'curl -fsS -- "$1" | sha256sum' --drain 30s
  worker --any-command --slots 0
  worker --slots 4 --zk zk1:2181,zk2:2181,zk3:2181/lab`,
		Args: arguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			log := common.Logger()
			cfg.Logger = log
			cfg.Ready = func() { cli.Ready(log) }
			cfg.RunOn = cutOff == "continue"
			if cfg.Slots == 0 {
				cfg.Slots = cpus
			}
			if what.any {
				cfg.Kind = task.KindCommand
				if !cmd.Flags().Changed("queue") {
					cfg.Queue = commandQueue
				}
			}
			if err := cfg.Check(common.ZK); err != nil {
				return cli.WrongUse("%w", err)
			}
			s := common.Session(log)
			s.Leave = cfg.Drain
			c, err := what.command(cmd, args, log)
			if err != nil {
				return err
			}
			if c != nil {
				if err := enoughFiles(cfg.Slots); err != nil {
					return err
				}
				defer c.Close()
				cfg.Run = c.Execute
				s.Leave += what.killAfter
			}
			registry, err := endpoint.Open()
			if err != nil {
				return err
			}
			if registry != nil {
				s.Meter, cfg.Metrics = metrics.NewSession(registry), metrics.NewWorker(registry)
			}
			well := func() error { return nil } // each slot has its own loop: none of them can stop the others
			defer endpoint.Serve(cmd.Context(), log, web.Site{Healthy: well, Ready: cfg.Metrics.Ready})()
			defer command.ReapOrphans()()
			return common.Run(cmd.Context(), s, member.Config{Role: member.Worker, Queue: cfg.Queue, HTTP: endpoint.Address()},
				endpoint.Within(func(ctx context.Context, s *session.Session) error { return worker.Run(ctx, s, cfg) }))
		},
	}
	flags := cmd.Flags()
	cli.Var(flags, &cfg.Queue, "queue", "",
		"Take only tasks of the queue of this `name`. Without this flag the queue is the default one; with --any-command it is \"command\".", task.ParseQueue)
	cli.Var(flags, &cfg.Slots, "slots", 1,
		"Execute this `number` of tasks at a time. Each slot has its own znode. 0 means the number of CPUs.", cli.Int(0, 10_000))
	what.addTo(flags)
	cli.Var(flags, &cfg.Timeout, "timeout", 0,
		"Fail a task that runs for longer than this `duration`, and end its command. Without this flag there is no limit.", limit)
	cli.Var(flags, &cfg.Drain, "drain", 0,
		"On SIGTERM or SIGINT take no more tasks, and let running tasks finish within this `duration`. Then give back the rest. Without this flag all tasks are given back at once.", cli.Duration(0, long))
	cli.Var(flags, &cutOff, "cut-off", "cancel",
		"What to do with running tasks when no server has answered for the session timeout. The `mode` cancel ends them, so that no other worker executes them at the same time; continue lets them run on, which suits long tasks in an outage of the servers. An outage of up to two thirds of --session-timeout ends nothing.",
		cli.OneOf("cancel", "continue"))
	for _, name := range []string{"timeout", "drain"} {
		flags.Lookup(name).DefValue = "" // "default 0s" would not say that there is no limit
	}
	endpoint.AddTo(cmd)
	common.AddTo(cmd)
	return cmd
}
