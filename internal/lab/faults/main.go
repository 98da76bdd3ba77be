// Package faults runs the service with the real programs, on a ZooKeeper server of its
// own, while processes are killed, stopped and paused, connections cut and the
// server restarted at random; then it judges every write by ZooKeeper's own log.
package faults

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
)

// Command is the verb.
func Command() *cobra.Command {
	var length time.Duration
	var seed uint64
	var keep, tls bool
	var other string
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
				seed = rand.Uint64N(1_000_000)
			}
			o := options{seed: seed, length: length, tls: tls, keep: keep}
			if other != "" {
				var err error
				if o.other, err = filepath.Abs(other); err != nil {
					return err
				}
			}
			return perform(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	cli.Var(cmd.Flags(), &length, "duration", time.Minute, "Let faults come for this `duration`.", cli.Duration(5*time.Second, 24*time.Hour))
	cli.Var(cmd.Flags(), &seed, "seed", 0, "Draw the faults from this `number`: the same number, the same faults. Without it one is drawn and printed.",
		func(s string) (uint64, error) {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("must be a number from 0 to %d, not %q", uint64(math.MaxUint64), s)
			}
			return n, nil
		})
	cmd.Flags().StringVar(&other, "other", "", "Take every second program from this `folder`, which holds another version of them.")
	cmd.Flags().BoolVar(&tls, "tls", false, "Speak TLS, each program with the certificate of its role, under a policy; and judge ZooKeeper's audit log as well.")
	cmd.Flags().BoolVar(&keep, "keep", false, "Keep the logs, also when nothing was wrong.")
	return cmd
}
