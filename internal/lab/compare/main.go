package compare

import "github.com/spf13/cobra"

// Command is the verb.
func Command() *cobra.Command {
	var evidence string
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Compare one ZooKeeper server with an ensemble of three",
		Long: `Run the service on one ZooKeeper server and on an ensemble of three, in turns,
with the real programs. Print latency, tasks per second, and how long work
stands still when a master or a server fails. All servers are on this machine:
the ensemble's network costs nothing here, and its processors are shared.`,
		Example: "  make compare",
		RunE:    func(cmd *cobra.Command, _ []string) error { return compare(cmd.Context(), cmd.OutOrStdout(), evidence) },
	}
	cmd.Flags().StringVar(&evidence, "evidence", "", "Write compare.txt and compare-latency.csv into this `folder` as well.")
	return cmd
}
