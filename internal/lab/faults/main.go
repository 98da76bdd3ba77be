// Package faults runs the service with the real programs, on a ZooKeeper server of its own, while
// processes are killed, stopped and paused, connections cut and the server restarted at random.
// Then it judges every write by ZooKeeper's own log.
package faults

import (
	"math/rand/v2"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
)

// Command is the verb.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "faults",
		Short: "Run the service under random faults, and judge every write",
		Long: `Run masters, workers and clients on a ZooKeeper server of their own. Kill, stop
and pause them, cut their connections, lose requests and replies, block their
logs, write junk into all znodes, drain workers, kill and freeze the server and
fill its disk, all at random. Then let all come to an end, and judge ZooKeeper's
own log, write by write. The status is 1 if anything was not as it must be.`,
		Example: "  lab faults --duration 10m\n  lab faults --seed 42",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("seed") {
				o.seed = rand.Uint64N(1_000_000)
			}
			return perform(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	cli.Var(cmd.Flags(), &o.length, "duration", time.Minute, "Let faults come for this `duration`.", cli.Duration(5*time.Second, 24*time.Hour))
	cmd.Flags().Uint64Var(&o.seed, "seed", 0, "Draw the faults from this `number`: the same number, the same faults. Without it one is drawn and printed.")
	cmd.Flags().StringVar(&o.other, "other", "", "Take every second program from this `folder`, which holds another version of them.")
	cmd.Flags().BoolVar(&o.tls, "tls", false, "Speak TLS, each program with the certificate of its role, under a policy; and judge ZooKeeper's audit log as well.")
	return cmd
}
