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
		Short: "Give hosts no more tasks, and let them finish what they have",
		Long: `The leader assigns no more tasks to the workers of each NAME: a host (see
'client status'), a process on a host (node3:4711), or the whole id
of a worker. The workers finish the tasks that they have. The drain holds until
'client undrain', also for workers of that NAME that start later.

A drain is the znode /drain/NAME. You may also create and delete it by hand.
When the workers are free the leader writes "drained" into it; then --wait
returns.

Exit status: 0 when done, 1 when the command failed, when --timeout came first,
or when somebody undrained a NAME meanwhile, 2 for wrong use, 3 when a NAME has
no worker: then nothing is drained.`,
		Example: `  client drain node3 --wait
  client drain node3:4711`,
		Args: names,
		RunE: func(cmd *cobra.Command, names []string) error {
			return operate(cmd, common, true, untilUndrained, func(ctx context.Context, s *session.Session) error {
				return drain(ctx, cmd, s, names, o)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.wait, "wait", false, "Wait until the workers are free, so that nothing runs there any more.")
	cli.Var(f, &o.timeout, "timeout", 0, "With --wait: stop waiting after this `duration`. The drain still holds. 0s waits for ever.", cli.Duration(0, 30*24*time.Hour))
	f.BoolVar(&o.missingOK, "missing-ok", false, "Also drain a NAME that has no worker. Workers that come later get no tasks.")
	return cmd
}

type drainOptions struct {
	wait, missingOK bool
	timeout         time.Duration
}

func undrainCommand(common *cli.Common) *cobra.Command {
	return &cobra.Command{
		Use:   "undrain NAME...",
		Short: "Give drained hosts tasks again",
		Long: `End the drain of each NAME. A NAME that was not drained is reported on stderr;
that is no error. Exit status: 0 when done, 1 when the command failed, 2 for
wrong use.`,
		Example: `  client undrain node3`,
		Args:    names,
		RunE: func(cmd *cobra.Command, names []string) error {
			return operate(cmd, common, true, untilUndrained, func(_ context.Context, s *session.Session) error {
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

// names checks the names of hosts, processes and workers.
func names(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("NAME is missing: a host, as 'client status' shows it, or a worker's id")
	}
	for _, name := range args {
		if !isName(name) {
			return fmt.Errorf("%.80q is no name of a host or a worker", name)
		}
	}
	return nil
}

// isName reports whether a text can name a host, a process or a worker.
func isName(s string) bool {
	return s != "" && len(s) <= task.MaxID && s != "." && s != ".." && !strings.Contains(s, "/") && printable.Line(s) == s
}

// untilUndrained is printed when a signal stops the command.
const untilUndrained = "what was drained stays drained until it is undrained"

// operate runs do as a member, and again with a new session when the session ends. When a
// signal stops it, its error says soFar.
func operate(cmd *cobra.Command, common *cli.Common, noCreate bool, soFar string, do session.Role) error {
	cfg := common.Session(logger(cmd, common, "warn"))
	cfg.NoCreate = noCreate
	done := false
	err := common.Run(cmd.Context(), cfg, member.Config{Role: member.Client}, func(ctx context.Context, s *session.Session) error {
		err := do(ctx, s)
		done = err == nil
		return err
	})
	if err == nil && !done {
		err = cli.SoFar(cmd.Context().Err(), "%s", soFar)
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
			return cli.WrongUse("no worker is called %s: give a host by its name up to the first dot (%s), without a queue (%s)", name, before, behind)
		}
		if !known {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 && !o.missingOK {
		return &cli.ExitError{Status: 3, Err: fmt.Errorf("no worker of %s is registered: nothing is drained (--missing-ok drains it anyway)", strings.Join(missing, ", "))}
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
		fmt.Fprintln(cmd.ErrOrStderr(), "there is no leader to say when they are drained: start a master")
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
