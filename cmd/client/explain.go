package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/inspect"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func explainCommand(common *cli.Common) *cobra.Command {
	var asJSON bool
	var id string
	cmd := &cobra.Command{
		Use:   "explain ID",
		Short: "Print what is known of one task, and why it waits",
		Long: `Print a task's state, its worker, its owner, its payload, and why it is not
finished. The command writes nothing. Exit status: 3 when there is no such task.`,
		Example: `  client explain 01a207c9-8e59-7962-bc7e-5e5f3265b972
  client explain t1 --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cli.Args("ID")(cmd, args); err != nil {
				return err
			}
			if id = strings.TrimPrefix(args[0], task.TasksDir+"/"); !session.ValidName(id) {
				return fmt.Errorf("ID: %q is no name of a task", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			var e inspect.Explanation
			err := reading(cmd.Context(), cmd, common, "warn", func(ctx context.Context, s *session.Session) error {
				c, err := inspect.Look(ctx, s, id, inspect.Limits{})
				if err == nil {
					e = inspect.Explain(c, time.Now())
				}
				return err
			})
			switch {
			case errors.Is(err, task.ErrNotFound):
				return &cli.ExitError{Status: statusUnknown, Err: err}
			case err != nil:
				return err
			case asJSON:
				return encode(cmd.OutOrStdout(), e)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), e.Text())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print one JSON object.")
	return cmd
}
