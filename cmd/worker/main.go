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

// long is longer than anything that is meant.
const long = 30 * 24 * time.Hour

// commandQueue keeps command lines from workers that would take them for something else.
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
payload is its standard input; or it stands for {} in its arguments, and
standard input is empty. The task's id is in $TASK_ID, the worker's in
$WORKER_ID. What it prints to standard output is the result. With an exit status
other than 0, or by a signal, the task fails; the reason holds the last lines of
standard error. Processes that the command leaves in the background are killed.

{} stands by itself, or amid letters, digits and _./:=,+@%- (out/{}.png), since
other text may be code. Behind a program that is known to run code or another
program (sh, python, env, timeout) it stands only among the arguments of what
that runs, and behind one that joins its arguments or reads them as code (ssh,
su, awk, xargs) nowhere. Every other program is trusted to take an argument for
data, but not as the value of an option that usually takes code (-c, -e, -x,
--exec); where a payload may begin with a dash, write -- before {}.

With --any-command the payload is the command line itself, and standard input is
empty: whoever may submit a task may run anything here as this worker's user. No
shell reads the line; for one it says sh -c and a script between single quotes.
A program that is missing or cannot be executed fails the task, with exit status
127 or 126. Such a worker fails tasks that are no command lines, and the others
fail those that are.

Without a command a task is a simulated computation: the payload is a number of
seconds to sleep, the result is 0.

SIGTERM or SIGINT (Ctrl-C) ends what runs and gives the tasks back, at once or
after --drain; another worker gets them. A second signal ends the worker
immediately. A command never outlives its worker, not even a kill -9; the task
is then assigned again after the session timeout.

A worker that hears no server for its session timeout cannot know whether its
session has ended and its tasks are assigned again: see --cut-off. When its
session turns out to be over it ends what runs; its result would not count. When
the session goes on it executes again what it has cancelled.`,
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
			well := func() error { return nil } // each slot has a loop of its own
			defer endpoint.Serve(cmd.Context(), log, web.Site{Healthy: well, Ready: cfg.Metrics.Ready})()
			defer command.ReapOrphans()()
			return common.Run(cmd.Context(), s, member.Config{Role: member.Worker, Queue: cfg.Queue, HTTP: endpoint.Address()},
				endpoint.Within(func(ctx context.Context, s *session.Session) error { return worker.Run(ctx, s, cfg) }))
		},
	}
	flags := cmd.Flags()
	cli.Var(flags, &cfg.Queue, "queue", "",
		"Take only tasks of the queue of this `name`. Without this flag it is the default queue; with --any-command it is \"command\".", task.ParseQueue)
	cli.Var(flags, &cfg.Slots, "slots", 1,
		"Execute this `number` of tasks at a time. Each slot has its own znode. 0 stands for the number of CPUs.", cli.Int(0, 10_000))
	what.addTo(flags)
	cli.Var(flags, &cfg.Timeout, "timeout", 0,
		"Fail a task that runs for longer than this `duration`, and end its command. Without this flag there is no limit.", limit)
	cli.Var(flags, &cfg.Drain, "drain", 0,
		"When told to end, take no more tasks, and finish within this `duration` those that run. What is left then is given back; without this flag all is, at once.", cli.Duration(0, long))
	cli.Var(flags, &cutOff, "cut-off", "cancel",
		"What becomes of a task that runs while no server is heard for the session timeout: with the `mode` cancel it is ended, so that no other worker executes it at the same time; with continue it runs on, as a long one should through an outage of the servers. An outage of up to two thirds of --session-timeout ends nothing.",
		cli.OneOf("cancel", "continue"))
	for _, name := range []string{"timeout", "drain"} {
		flags.Lookup(name).DefValue = "" // 0s would say too little
	}
	endpoint.AddTo(cmd)
	common.AddTo(cmd)
	return cmd
}
