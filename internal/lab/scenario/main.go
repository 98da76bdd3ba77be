// Package scenario runs one of the fault scenarios with the real programs, on a
// ZooKeeper server of its own, or several, and checks what comes of it.
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
	"1-worker-fails":      {about: "1 client, 1 worker, 1 master; the worker dies before it executes, and while it does", play: workerFails},
	"1-worker-restarts":   {about: "1 client, 1 worker, 1 master; the worker is replaced again and again in the middle of a task", play: workerRestarts},
	"1-worker-poison":     {about: "1 client, 1 worker, 1 master; a task kills each worker that executes it", play: workerPoison},
	"1-client-fails":      {about: "1 client, 1 worker, 1 master; the client dies before its task is executed, and meanwhile", play: clientFails},
	"2-worker-fails":      {about: "1 client, 2 workers, 1 master; a worker dies, and another one leaves", play: oneOfTwoWorkersFails},
	"2-worker-lags":       {about: "1 client, 2 workers, 1 master; a busy worker stands still for longer than its session", play: workerLags},
	"3-compete":           {about: "2 clients, 2 workers, 1 master; workers compete for the tasks of both clients", play: compete},
	"4-master-fails":      {about: "2 clients, 2 workers, 2 masters; the leader leaves, and another one dies", play: masterFails},
	"4-master-failover":   {about: "2 clients, 2 workers, 3 masters; three leaders end in three ways, under a steady load", play: masterFailover},
	"4-master-lags":       {about: "2 clients, 2 workers, 2 masters; the leader stands still, and its last write arrives late", play: masterLags, timeout: 4 * time.Second},
	"5-server-fails":      {about: "2 clients, 2 workers, 2 masters; the ZooKeeper server dies and comes back", play: serverFails, timeout: 4 * time.Second},
	"5-server-long-tasks": {about: "1 client, 2 workers, 1 master; the ZooKeeper server is away while long tasks run, for less and for more than the session timeout", play: longTasks, timeout: 20 * time.Second},
	"5-server-freezes":    {about: "2 clients, 2 workers, 2 masters; the ZooKeeper server stands still, sessions end all at once", play: serverFreezes},

	"ensemble-follower-fails":  {about: "2 clients, 2 workers, 2 masters, 3 servers; a server that follows dies and comes back", play: followerFails, servers: 3, timeout: 4 * time.Second},
	"ensemble-leader-fails":    {about: "2 clients, 2 workers, 2 masters, 3 servers; the server that leads dies and comes back", play: leaderFails, servers: 3, timeout: 4 * time.Second},
	"ensemble-quorum-lost":     {about: "2 clients, 2 workers, 2 masters, 3 servers; two servers die and come back", play: quorumLost, servers: 3, timeout: 4 * time.Second},
	"ensemble-rolling-restart": {about: "2 clients, 2 workers, 2 masters, 3 servers; each server is restarted in turn", play: rollingRestart, servers: 3, timeout: 4 * time.Second},
	"ensemble-partition":       {about: "2 clients, 2 workers, 2 masters, 3 servers; the leading master is cut off with a server", play: partition, servers: 3, timeout: 4 * time.Second, network: true},
}

type scenario struct {
	about   string
	play    func(*play)
	timeout time.Duration // of the sessions, if it is not the usual one
	servers int           // of an ensemble; 0 for one server alone
	network bool          // all have a network of their own
}

// notHere is the status when this machine does not allow for the scenario: it is
// Automake's for a test that did not run.
const notHere = 77

// Command is the verb.
func Command() *cobra.Command {
	names := slices.Sorted(maps.Keys(scenarios))
	var o options
	var without string
	var list, inside bool
	cmd := &cobra.Command{
		Use:   "scenario NAME",
		Short: "Run a fault scenario and check what comes of it",
		Long: "Run one fault scenario with the real programs, on ZooKeeper servers of its own;\nprint what happened as a timeline, and check it: the status is 1 if anything is\nnot as it must be.\n\n" +
			"A partition needs a network of its own inside this machine: Linux, iproute2, and\nroot or user namespaces for everyone. Without them it does not run, says why, and\nends with status 77. Nothing of that network is left when it ends.\n\n" +
			"--without takes one rule of the protocol away: it builds the programs with one line of\ntheir source changed, and the timeline shows the bug that the rule prevents. It needs the\nsource and Go. Each rule has scenarios that show it, and others are refused:\n  " + strings.Join(shown(), "\n  ") + "\n\n" +
			"Names:\n  " + strings.Join(describe(names), "\n  "),
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
			return perform(cmd.Context(), args[0], scenarios[args[0]], o)
		},
	}
	cmd.Flags().StringVar(&o.evidence, "evidence", "", "Write the timeline to NAME.txt in this `folder` as well, and the figures of some to NAME.csv.")
	cmd.Flags().BoolVar(&list, "list", false, "Print the names and end.")
	cmd.Flags().BoolVar(&o.tls, "tls", false, "Speak TLS, each program with the certificate of its role, under a policy; and judge ZooKeeper's audit log as well.")
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

// shown are the rules with the scenarios that show what happens without them.
func shown() (lines []string) {
	for _, r := range mutants.Rules {
		if len(r.Scenarios) > 0 {
			lines = append(lines, fmt.Sprintf("%-24s %s", r.Name, strings.Join(r.Scenarios, " ")))
		}
	}
	return lines
}

func describe(names []string) []string {
	var lines []string
	for _, n := range names {
		lines = append(lines, fmt.Sprintf("%-24s %s", n, scenarios[n].about))
	}
	return lines
}
