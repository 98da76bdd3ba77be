package scenario

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/lab/mutants"
	"taskkeeper/internal/lab/zktest"
)

// scenarios by name. The names count clients, workers and masters as the
// assignment does.
var scenarios = map[string]scenario{
	"1-worker-fails":      {about: "1 client, 1 worker, 1 master; the worker dies before it executes, and while it does", script: workerFails},
	"1-worker-restarts":   {about: "1 client, 1 worker, 1 master; the worker is replaced five times during one task", script: workerRestarts},
	"1-worker-poison":     {about: "1 client, 1 worker, 1 master; a task kills each worker that executes it", script: workerPoison},
	"1-client-fails":      {about: "1 client, 1 worker, 1 master; the client dies before its task runs, and amid it", script: clientFails},
	"2-worker-fails":      {about: "1 client, 2 workers, 1 master; a worker dies, and another one leaves", script: oneOfTwoWorkersFails},
	"2-worker-lags":       {about: "1 client, 2 workers, 1 master; a busy worker stands still longer than its session", script: workerLags},
	"3-compete":           {about: "2 clients, 2 workers, 1 master; workers compete for the tasks of both clients", script: compete},
	"4-master-fails":      {about: "2 clients, 2 workers, 2 masters; the leader leaves, and another one dies", script: masterFails},
	"4-master-failover":   {about: "2 clients, 2 workers, 3 masters; three leaders end in three ways, under a steady load", script: masterFailover},
	"4-master-lags":       {about: "2 clients, 2 workers, 2 masters; the leader stands still, and its last write is late", script: masterLags, timeout: 4 * time.Second},
	"5-server-fails":      {about: "2 clients, 2 workers, 2 masters; the ZooKeeper server dies and comes back", script: serverFails, timeout: 4 * time.Second},
	"5-server-long-tasks": {about: "1 client, 2 workers, 1 master; the ZooKeeper server is away while long tasks run", script: longTasks, timeout: 20 * time.Second},
	"5-server-freezes":    {about: "2 clients, 2 workers, 2 masters; the ZooKeeper server stands still", script: serverFreezes},

	"ensemble-follower-fails":  {about: "2 clients, 2 workers, 2 masters, 3 servers; a server that follows dies and comes back", script: followerFails, servers: 3, timeout: 4 * time.Second},
	"ensemble-leader-fails":    {about: "2 clients, 2 workers, 2 masters, 3 servers; the server that leads dies and comes back", script: leaderFails, servers: 3, timeout: 4 * time.Second},
	"ensemble-quorum-lost":     {about: "2 clients, 2 workers, 2 masters, 3 servers; two servers die and come back", script: quorumLost, servers: 3, timeout: 4 * time.Second},
	"ensemble-rolling-restart": {about: "2 clients, 2 workers, 2 masters, 3 servers; each server is restarted in turn", script: rollingRestart, servers: 3, timeout: 4 * time.Second},
	"ensemble-partition":       {about: "2 clients, 2 workers, 2 masters, 3 servers; the leading master is cut off with a server", script: partition, servers: 3, timeout: 4 * time.Second, network: true},
}

type scenario struct {
	about   string
	script  func(*run)
	timeout time.Duration // of the sessions; 0 for the usual one
	tick    time.Duration // of the servers; 0 for the usual one
	limit   time.Duration // for all of it; 0 for the usual one
	servers int           // of an ensemble; 0 for one server alone
	network bool          // each program and each server has a host of its own
}

// notHere is the status when the scenario cannot run on this machine: Automake's for a test that
// did not run.
const notHere = 77

const tlsUsage = "Speak TLS, each program with the certificate of its role, under a policy; and judge ZooKeeper's audit log as well."

// Command is the verb.
func Command() *cobra.Command {
	names := slices.Sorted(maps.Keys(scenarios))
	var about, rules []string
	for _, name := range names {
		_, what, _ := strings.Cut(scenarios[name].about, "; ")
		about = append(about, fmt.Sprintf("  %-24s %s", name, what))
	}
	for _, r := range mutants.Rules {
		if len(r.Scenarios) > 0 {
			rules = append(rules, fmt.Sprintf("  %-24s %s", r.Name, strings.Join(r.Scenarios, " ")))
		}
	}
	var o options
	var without string
	var list, inside bool
	cmd := &cobra.Command{
		Use:   "scenario NAME",
		Short: "Run a fault scenario and check what comes of it",
		Long: `Run one fault scenario with the real programs, on ZooKeeper servers of its own;
print what happened as a timeline, and check it: the status is 1 if anything is
not as it must be.

A partition needs a network of its own inside this machine: Linux, iproute2, and
root or user namespaces for everyone. Without them it does not run, says why,
and ends with status 77. Nothing of that network is left when it ends.

--without takes one rule of the protocol away: it builds the programs with one
line of their source changed, and the timeline shows the bug that the rule
prevents. It needs the source and Go. Each rule has scenarios that show it, and
others are refused:
` + strings.Join(rules, "\n") + "\n\nNames:\n" + strings.Join(about, "\n"),
		Example: "  lab scenario 2-worker-fails\n  lab scenario --without fence 4-master-lags",
		Args: func(_ *cobra.Command, args []string) error {
			if list {
				return cli.Args()(nil, args)
			}
			if len(args) != 1 {
				return errors.New("give the NAME of one scenario; --list prints them")
			}
			if _, ok := scenarios[args[0]]; !ok {
				return fmt.Errorf("there is no scenario %.60q; --list prints their names", args[0])
			}
			if without == "" {
				return nil
			}
			r, err := mutants.Find(without)
			if err != nil {
				return err
			}
			o.rule = &r
			if o.evidence != "" {
				return errors.New("--without and --evidence exclude each other: what happens without a rule is no evidence")
			}
			return r.Shown(args[0])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Join(names, "\n"))
				return err
			}
			if scenarios[args[0]].network && !inside {
				return enter(args[0])
			}
			return perform(cmd.Context(), cmd.OutOrStdout(), args[0], scenarios[args[0]], o)
		},
	}
	cmd.Flags().StringVar(&o.evidence, "evidence", "", "Write the timeline to NAME.txt in this `folder` as well, and the figures of some to NAME.csv.")
	cmd.Flags().BoolVar(&list, "list", false, "Print the names and end.")
	cmd.Flags().BoolVar(&o.tls, "tls", false, tlsUsage)
	cmd.Flags().StringVar(&without, "without", "", "Take this `rule` away first.")
	cmd.Flags().BoolVar(&inside, "inside", false, "This process has a network of its own.")
	_ = cmd.Flags().MarkHidden("inside")
	return cmd
}

// enter runs this very command again, in a network of its own, in place of this
// process. So signals reach it, and nothing is left of the network when it ends.
func enter(name string) error {
	command, err := zktest.PrivateNetwork()
	if err != nil {
		return &cli.ExitError{Status: notHere, Err: fmt.Errorf("%s did not run: %w", name, err)}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	args := slices.Concat(command, []string{self, "scenario", "--inside"}, os.Args[2:])
	return fmt.Errorf("run %s: %w", path, syscall.Exec(path, args, os.Environ()))
}
