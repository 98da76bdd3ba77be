// Master is a candidate for leader; the leader assigns tasks to workers.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/master"
	"taskkeeper/internal/member"
	"taskkeeper/internal/metrics"
	"taskkeeper/internal/session"
	"taskkeeper/internal/web"
)

func main() {
	cli.Tune()
	os.Exit(cli.Main(command(), os.Exit))
}

func command() *cobra.Command {
	var common cli.Common
	var maxLosses int
	var retention time.Duration
	var endpoint web.Endpoint
	cmd := &cobra.Command{
		Use:   "master",
		Short: "Assign waiting tasks to free workers, or stand by to do so",
		Long: `Run for leader under /master. The leader assigns the tasks that wait in /tasks
to the free workers in /workers. Every other master is a backup: it takes over
when the masters before it are gone. Start two or three.

The leader also removes leftovers: results of tasks that outlive their clients
and are not collected within --retention, and payloads without a task.

SIGTERM or SIGINT (Ctrl-C) resigns at once. After a kill -9 a backup takes over
when the session has timed out. A master that was paused and wakes up does no
harm: ZooKeeper refuses its writes.`,
		Example: `  master --zk zk1:2181,zk2:2181,zk3:2181/lab`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := common.Logger()
			host, _ := os.Hostname() // a text for people
			cfg := master.Config{
				Who: fmt.Sprintf("%s:%d", host, os.Getpid()), MaxLosses: maxLosses, Retention: retention, Logger: log,
				Monitor: new(master.Monitor),
				Ready:   func() { cli.Ready(log) },
				Stuck:   func(err error) { common.Abort(os.Exit, "giving up, so that another master leads", err) },
			}
			if maxLosses == 0 {
				cfg.MaxLosses = -1
			}
			if retention == 0 {
				cfg.Retention = -1
			}
			s := common.Session(log)
			registry, err := endpoint.Open()
			if err != nil {
				return err
			}
			site := web.Site{Healthy: cfg.Monitor.Healthy, Ready: cfg.Monitor.Ready}
			if registry != nil {
				cfg.Metrics = metrics.NewMaster(registry)
				cfg.Metrics.Watch(registry, cfg.Monitor)
				s.Meter = metrics.NewSession(registry)
				if site.Page, err = endpoint.Page(s, web.Identity{Program: "master", Who: cfg.Who, Version: cli.Version()}, cfg.Monitor); err != nil {
					return err
				}
				log = site.Page.Records(log)
				s.Logger, cfg.Logger = log, log
			}
			defer endpoint.Serve(cmd.Context(), log, site)()
			return common.Run(cmd.Context(), s, member.Config{Role: member.Master, HTTP: endpoint.Address()},
				endpoint.Within(func(ctx context.Context, s *session.Session) error { return master.Run(ctx, s, cfg) }))
		},
	}
	cli.Var(cmd.Flags(), &maxLosses, "max-losses", master.DefaultMaxLosses,
		"Fail a task that was lost with this `number` of workers, one after the other: the task may be what kills them. 0 assigns it for ever.",
		cli.Int(0, 1_000_000))
	cli.Var(cmd.Flags(), &retention, "retention", master.DefaultRetention,
		"Keep the result of a task that outlives its client for this `duration`, then remove it if nobody collected it. Ages are by the clock of the servers, whichever master leads. 0 keeps it for ever.",
		parseRetention)
	endpoint.AddTo(cmd)
	endpoint.AddPageTo(cmd)
	common.AddTo(cmd)
	return cmd
}

// parseRetention reads a retention time. The leader looks once a second, so it cannot keep
// a shorter one.
func parseRetention(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d != 0 && (d < time.Second || d > 8760*time.Hour) {
		return 0, fmt.Errorf("must be 0 (for ever), or a duration from 1s to 8760h, such as 36h, not %q", s)
	}
	return d, nil
}
