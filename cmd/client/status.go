package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/inspect"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// inspectCommands are the commands that only look.
func inspectCommands(common *cli.Common) []*cobra.Command {
	return []*cobra.Command{statusCommand(common), explainCommand(common), doctorCommand(common)}
}

func statusCommand(common *cli.Common) *cobra.Command {
	var asJSON, again bool
	var interval time.Duration
	var only onlyFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Print who leads, who works, and how many tasks wait",
		Long: `Print who leads and since when, how many tasks wait, run and are not collected,
which versions run, what is drained, the worker processes by host, and problems
that a person should look at. Each process has a line: how many of its slots are
busy, and the task that has run for longest. The command writes nothing: it does
not create a missing chroot either. --watch goes on until SIGINT (Ctrl-C), also
while ZooKeeper is away. Exit status: 1 when a part may not be read.

--host and --queue restrict the workers, the drains, and the numbers of workers,
in JSON as well; --queue also the numbers of tasks. The rest is about the whole
installation.

Ages are by the clock of ZooKeeper's servers. A warning says when that clock is
known to be wrong: ahead of this machine's clock, or behind the clock of a
client with a task there.`,
		Example: `  client status
  client status --host node1,node2
  client status --watch --interval 5s
  client status --json | jq .tasks.pending`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !again && cmd.Flags().Changed("interval") {
				return cli.WrongUse("--interval goes with --watch")
			}
			if again {
				return watch(cmd.Context(), cmd, common, interval, only.filter(), newScreen(cmd.OutOrStdout(), asJSON))
			}
			var s inspect.Status
			err := reading(cmd.Context(), cmd, common, "warn", func(ctx context.Context, ss *session.Session) error {
				tree, err := inspect.Read(ctx, ss)
				if err == nil {
					s = inspect.Summarize(tree, time.Now(), only.filter())
				}
				return err
			})
			if err != nil {
				return err
			}
			if asJSON {
				err = encode(cmd.OutOrStdout(), s)
			} else {
				_, err = io.WriteString(cmd.OutOrStdout(), s.Text())
			}
			if err == nil && len(s.Unreadable) > 0 {
				err = fmt.Errorf("may not be read: %s", strings.Join(s.Unreadable, ", "))
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&again, "watch", false, "Print the status again and again; on a terminal in the same place.")
	cli.Var(f, &interval, "interval", time.Second,
		"With --watch: wait for this `duration` between two looks, or four times as long as a look took if that is longer.", cli.Duration(50*time.Millisecond, 24*time.Hour))
	only.flags(f)
	f.BoolVar(&asJSON, "json", false, "Print one JSON object; with --watch one a line, and one with \"away_since\" when ZooKeeper is away.")
	return cmd
}

// onlyFlags restrict what status shows.
type onlyFlags struct {
	hosts list
	queue string // "-" is the default queue, and "" any
}

// list is words with commas between them.
type list []string

func (l list) String() string { return strings.Join(l, ",") }

// defaultQueue is how the table and --queue name the queue without a name.
const defaultQueue = "-"

func (o *onlyFlags) flags(f *pflag.FlagSet) {
	cli.Var(f, &o.hosts, "host", nil, "Show only the workers on hosts with these `names`, one line for each worker. Separate names by commas, or repeat the flag.",
		func(s string) (list, error) {
			for host := range strings.SplitSeq(s, ",") {
				if !isName(host) {
					return nil, fmt.Errorf("%.80q is no name of a host", host)
				}
				o.hosts = append(o.hosts, host)
			}
			return o.hosts, nil
		})
	cli.Var(f, &o.queue, "queue", "", "Show only the workers and the tasks of the queue of this `name`; "+defaultQueue+" is the default queue.",
		func(s string) (string, error) {
			if s == defaultQueue {
				return s, nil
			}
			return task.ParseQueue(s)
		})
}

func (o *onlyFlags) filter() inspect.Filter {
	f := inspect.Filter{Hosts: o.hosts}
	if o.queue != "" {
		queue := strings.TrimPrefix(o.queue, defaultQueue)
		f.Queue = &queue
	}
	return f
}

func encode(out io.Writer, v any) error {
	line, err := printable.JSON(v)
	if err != nil {
		return err
	}
	_, err = out.Write(line)
	return err
}

// reading runs do with a session that creates nothing in the tree, and again with a new one
// when the session ends, until do succeeds. level is the log's, without --log-level.
func reading(ctx context.Context, cmd *cobra.Command, common *cli.Common, level string, do session.Role) error {
	cfg := common.Session(logger(cmd, common, level))
	cfg.NoCreate = true
	answered := false
	err := session.Run(ctx, cfg, common.Wait, func(ctx context.Context, s *session.Session) error {
		err := do(ctx, s)
		answered = err == nil
		return err
	})
	if err == nil && !answered {
		return ctx.Err()
	}
	return noChroot(common, err)
}
