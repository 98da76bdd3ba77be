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
		Short: "Tell who leads, who works, and how many tasks wait",
		Long: `Print who leads and since when, how many tasks wait, run and are not collected,
which versions there are, what is drained, the worker processes by host, and
what a person should look at. A process has a line: how many of its slots are
busy, and the task that has run for longest. It writes nothing, not even a
chroot that is missing. --watch goes on until SIGINT (Ctrl-C), also while
ZooKeeper is away. Exit status: 1 when a part may not be read.

--host and --queue restrict the workers and the drains, in JSON as well, and the
numbers of workers with them; --queue also those of tasks. The rest is about
all.

Ages are by the clock of ZooKeeper's servers. A warning tells when that clock is
known to be wrong: ahead of this machine's, or behind that of a client with a
task there.`,
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
	f.BoolVar(&again, "watch", false, "Print it again and again; on a terminal in the same place.")
	cli.Var(f, &interval, "interval", time.Second,
		"With --watch: for this `duration` between two looks, or for four times as long as one took.", cli.Duration(50*time.Millisecond, 24*time.Hour))
	only.flags(f)
	f.BoolVar(&asJSON, "json", false, "Print it as an object of JSON; with --watch one a line, and one with \"away_since\" when ZooKeeper is away.")
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
	cli.Var(f, &o.hosts, "host", nil, "Show only the workers of the hosts of these `names`, each worker in a line. Several names have commas between them, or a flag each.",
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

// reading runs do on a session that creates nothing, with another one when that
// ends, until it succeeds. It logs what has at least the level, if none is asked for.
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
