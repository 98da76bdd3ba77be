// Lab runs the built programs on ZooKeeper servers of its own: to show them, to break
// them, to measure them, and to write the report. It also runs the tests.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/lab/bench"
	"taskkeeper/internal/lab/compare"
	"taskkeeper/internal/lab/mutants"
	"taskkeeper/internal/lab/report"
	"taskkeeper/internal/lab/scenario"
	"taskkeeper/internal/lab/suite"
)

func main() { os.Exit(cli.Main(command(), os.Exit)) }

func command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Show, break, measure and test the service",
		Long: `Run the programs beside this one on ZooKeeper servers of its own: show them at
work, fail them, measure them, and write the report. It also runs all tests.`,
	}
	cmd.AddCommand(scenario.Demo(), scenario.Command(), mutants.Command(), scenario.Faults(), bench.Command(), compare.Command(), report.Command(), suite.Command())
	return cmd
}
