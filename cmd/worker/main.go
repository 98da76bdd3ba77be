// Worker executes the tasks that the leader assigns to it.
package main

import (
	"context"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/session"
	"taskkeeper/internal/worker"
)

func main() { cli.Main(command()) }

func command() *cobra.Command {
	var common cli.Common
	var slots int
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Execute the tasks that the leader assigns",
		Long: `Register under /workers and execute the tasks that the leader assigns. A task is
a simulated computation: the payload is a number of seconds to sleep, the result
is 0.

SIGTERM or SIGINT (Ctrl-C) gives the tasks back at once; another worker gets
them. After a kill -9 that takes the session timeout. A worker whose session has
lapsed cancels what it runs; its result would not count.`,
		Example: `  worker --slots 4 --zk zk1:2181,zk2:2181,zk3:2181/lab`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := common.Logger()
			cfg := worker.Config{Slots: slots, Logger: log}
			return session.Run(cmd.Context(), common.Session(log), common.Wait,
				func(ctx context.Context, s *session.Session) error { return worker.Run(ctx, s, cfg) })
		},
	}
	cli.Var(cmd.Flags(), &slots, "slots", 1,
		"Execute this `number` of tasks at a time. Each slot has its own znode.", cli.Int(1, 10_000))
	common.AddTo(cmd)
	return cmd
}
