package bench

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/session"
)

// Command is the verb.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "bench [ROW...]",
		Short: "Measure the service beside the bare ZooKeeper calls it is made of",
		Long: `Measure latency, tasks per second, recovery and memory with the real programs,
in turns with the floor: the bare calls that a task costs, made by the same
library, without any coordination. There are several rounds in one run, so that
whatever else this machine does affects both. A figure is the median of the
rounds; a ratio is the median of the ratios, each within one round.

Without --zk the bench starts a ZooKeeper server, as scripts/zookeeper does,
which writes with fsync, and for the row tls a second one with TLS. With --zk
the bench puts a running, open installation under load: in a new chroot
/bench-<uuid> below the given one, which the bench removes at the end, also
after a failure or Ctrl-C. Everyone who uses the servers feels the load. The
bench never stops or pauses the servers. After a second Ctrl-C, or a kill -9,
the chroot is left: its name was printed first.

The status is 1 if a row could not be measured. A missed target does not change
it.

Rows:
` + describe(),
		Example: "  make bench\n  lab bench idle throughput --rounds 5\n  lab bench --zk zk1:2181,zk2:2181,zk3:2181/lab",
		Args: func(_ *cobra.Command, args []string) (err error) {
			o.rows, err = chosen(args, o.running())
			return err
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	cli.Var(f, &o.installation, "zk", session.Address{}, "Put a running installation under load: `servers` as host:port[,host:port…], and /chroot after the last of them.", session.ParseAddress)
	f.Lookup("zk").DefValue = ""
	cli.Var(f, &o.rounds, "rounds", 3, "Measure everything this `number` of times.", cli.Int(1, 1000))
	cli.Var(f, &o.scale, "scale", 1, "Take this `share` of all amounts, for a quick look. The targets are meant for 1.", share)
	cli.Var(f, &o.timeout, "session-timeout", 0, "Ask for sessions of this `duration`. Without this flag: 2s on a server of its own, else 4s.", cli.Duration(0, time.Hour))
	f.Lookup("session-timeout").DefValue = ""
	f.BoolVar(&o.json, "json", false, "Print one object with all figures, for machines.")
	return cmd
}

func share(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0.001 && v <= 1) {
		return 0, fmt.Errorf("must be a number from 0.001 to 1, not %q", s)
	}
	return v, nil
}

func describe() string {
	var b strings.Builder
	for _, r := range rows() {
		fmt.Fprintf(&b, "  %-14s %s\n", r.name, r.about)
	}
	return b.String()
}
