package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/election"
	"taskkeeper/internal/member"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func drainCommand(common *cli.Common) *cobra.Command {
	var o drainOptions
	cmd := &cobra.Command{
		Use:   "drain NAME...",
		Short: "Let machines finish what they have, and give them no more tasks",
		Long: `Have the leader assign no more tasks to the workers of each NAME: a machine, as
'client status' shows it, or one process there (node3:4711), or one
worker by its whole id. They finish what they have. The drain holds until
'client undrain', also when the workers of that machine are started
again.
By hand it is the znode /drain/NAME, which the leader sets to "drained" when
those workers are free.

--wait returns when that is so. Exit status: 0 when done, 1 when it failed, when
it was not so within --timeout, or when somebody undrained a NAME meanwhile, 2
for wrong use, 3 when a NAME has no worker: then nothing is drained.`,
		Example: `  client drain node3 --wait
  client drain node3:4711`,
		Args: names,
		RunE: func(cmd *cobra.Command, names []string) error {
			return operate(cmd, common, func(ctx context.Context, s *session.Session) error {
				return drain(ctx, cmd, s, names, o)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.wait, "wait", false, "Return when those workers are free, which is when nothing runs there any more.")
	cli.Var(f, &o.timeout, "timeout", 0, "With --wait: stop waiting after this `duration`. The drain holds. 0s waits for ever.", cli.Duration(0, 30*24*time.Hour))
	f.BoolVar(&o.missingOK, "missing-ok", false, "Drain a NAME as well of which no worker is registered: those that come get no tasks.")
	return cmd
}

type drainOptions struct {
	wait, missingOK bool
	timeout         time.Duration
}

func undrainCommand(common *cli.Common) *cobra.Command {
	return &cobra.Command{
		Use:   "undrain NAME...",
		Short: "Give machines that were drained tasks again",
		Long: `End what 'client drain' began for each NAME. A NAME that is not
drained is told on stderr, and is no error. Exit status: 0 when done, 1 when it
failed, 2 for wrong use.`,
		Example: `  client undrain node3`,
		Args:    names,
		RunE: func(cmd *cobra.Command, names []string) error {
			return operate(cmd, common, func(_ context.Context, s *session.Session) error {
				for _, name := range names {
					says, err := "takes tasks again", client.Undrain(s, name)
					out := cmd.OutOrStdout()
					if errors.Is(err, client.ErrNotDrained) {
						says, out, err = "was not drained", cmd.ErrOrStderr(), nil
					}
					if err == nil {
						_, err = fmt.Fprintf(out, "%s: %s\n", name, says)
					}
					if err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
				}
				return nil
			})
		},
	}
}

// names checks the names of machines, processes and workers.
func names(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("NAME is missing: a machine, as 'client status' shows it, or a worker's id")
	}
	for _, name := range args {
		if !isName(name) {
			return fmt.Errorf("%.80q is no name of a machine or a worker", name)
		}
	}
	return nil
}

// isName tells whether a text can name a machine, a process or a worker.
func isName(s string) bool {
	return s != "" && len(s) <= task.MaxID && s != "." && s != ".." && !strings.Contains(s, "/") && printable.Line(s) == s
}

// operate runs what an operator asks for, as a member, and again where the session ends.
func operate(cmd *cobra.Command, common *cli.Common, do session.Role) error {
	cfg := common.Session(logger(cmd, common, "warn"))
	cfg.NoCreate = true
	done := false
	err := common.Run(cmd.Context(), cfg, member.Config{Role: member.Client}, func(ctx context.Context, s *session.Session) error {
		err := do(ctx, s)
		done = err == nil
		return err
	})
	if err == nil && !done {
		err = cli.SoFar(cmd.Context().Err(), "what is drained stays so until it is undrained")
	}
	return noChroot(common, err)
}

func drain(ctx context.Context, cmd *cobra.Command, s *session.Session, names []string, o drainOptions) error {
	workers, err := client.Workers(s)
	if err != nil {
		return err
	}
	var missing []string
	for _, name := range names {
		known := slices.ContainsFunc(workers, func(w string) bool { return slices.Contains(task.Drains(w), name) })
		if before, behind, dotted := strings.Cut(name, "."); dotted && !known && !strings.Contains(name, ":") {
			return cli.WrongUse("no worker is called %s: of a machine say what stands before its first dot, %s, and no queue, %s", name, before, behind)
		}
		if !known {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 && !o.missingOK {
		return &cli.ExitError{Status: 3, Err: fmt.Errorf("no worker of %s is registered: nothing is drained (--missing-ok drains it all the same)", strings.Join(missing, ", "))}
	}
	for _, name := range names {
		if err := client.Drain(s, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !o.wait {
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: draining\n", name); err != nil {
				return err
			}
		}
	}
	if !o.wait {
		return nil
	}
	if path, _, err := election.Leader(s); err == nil && path == "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "there is no leader, which is to say when they are drained: start a master")
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not drained within %s; the drain holds", o.timeout))
		defer cancel()
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, name := range names {
		g.Go(func() error {
			err := client.WaitDrained(ctx, s, name)
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: drained\n", name)
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			return err
		})
	}
	return g.Wait()
}
