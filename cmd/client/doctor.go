package main

import (
	"bufio"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/inspect"
	"taskkeeper/internal/session"
)

func doctorCommand(common *cli.Common) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Find what is wrong in the tree, and how to mend it",
		Long: `Look for what no program of the service leaves behind, twice, so that nothing is
reported that was merely in motion. Each finding is a line, followed by the command
of ZooKeeper's shell that mends it, indented by four blanks. It writes nothing. Exit
status: 1 when there is a finding.`,
		Example: `  client doctor
  client doctor --zk zk1:2181,zk2:2181,zk3:2181/lab`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var summary string
			var findings []inspect.Finding
			err := reading(cmd.Context(), cmd, common, "warn", func(ctx context.Context, s *session.Session) error {
				tree, found, err := inspect.Diagnose(ctx, s, common.ZK.Chroot)
				if err == nil {
					summary, findings = tree.String(), found
				}
				return err
			})
			if err != nil {
				return err
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			for _, f := range findings {
				fmt.Fprint(out, f)
			}
			if len(findings) == 0 {
				fmt.Fprintf(out, "nothing wrong: %s\n", summary)
			}
			if err := out.Flush(); err != nil || len(findings) == 0 {
				return err
			}
			return fmt.Errorf("findings: %d, in %s", len(findings), summary)
		},
	}
}
