// Package demo shows the service at work, with a failover in the middle: a ZooKeeper
// server of its own, two masters, two workers with two slots each, two clients. Half-way
// the leader is ended by SIGTERM and a worker by SIGKILL.
package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/lab/harness"
)

const (
	serverTick     = 250 * time.Millisecond
	sessionTimeout = 2 * time.Second
	perClient      = 10 // tasks
	maxSleep       = 2 * time.Second

	toOpen = 15 * time.Second // a person needs to open the page

	// limit is for what should take about 20 s.
	limit = 2 * time.Minute
)

// Command is the verb.
func Command() *cobra.Command {
	var tls, page bool
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Show the service at work, with a failover in the middle",
		Long:    "Run a ZooKeeper server, two masters, two workers with two slots each (each slot has\nan id) and two clients on this machine for about 20 s; end the leader and kill a worker\nhalf-way; and count what came of all tasks. The status is 1 if anything was lost or\nleft behind.",
		Example: "  make demo\n  make demo DEMO=page",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), os.Stdout, tls, page) // a terminal has colours
		},
	}
	cmd.Flags().BoolVar(&tls, "tls", false, "Speak TLS, each program with the certificate of its role, under a policy.")
	cmd.Flags().BoolVar(&page, "page", false, "Wait before the first task until the page can be open, and at the end until Ctrl-C.")
	return cmd
}

func demo(run context.Context, out io.Writer, tls, page bool) error {
	ctx, cancel := context.WithTimeout(run, limit)
	defer cancel()
	fmt.Fprintln(out, "Starting a ZooKeeper server on a free port.")
	c, err := harness.NewCluster(harness.Config{Tick: serverTick, Timeout: sessionTimeout, TLS: tls, Chroot: "/demo", Out: out})
	if err != nil {
		return err
	}
	defer c.Close()
	c.Say("ZooKeeper serves at %s. Two masters, two workers with two slots each, two clients follow.", c.Servers[0].Addr())
	served := []string{"--http", "0"} // its page, at a port of the system's choice
	slots := []string{"--slots", "2"} // so that one worker is enough for both clients
	if err := c.Ready(ctx, "master-1", "leader", served...); err != nil {
		return err
	}
	for _, start := range []func() error{
		func() error { return c.Start("master-2", served...) },
		func() error { return c.Start("worker-1", slots...) },
		func() error { return c.Start("worker-2", slots...) },
	} {
		if err := start(); err != nil {
			return err
		}
	}
	serves, err := c.Await(ctx, time.Time{}, "a page", func(e harness.Event) bool { return e.From == "master-2" && e.Address != "" })
	if err != nil {
		return err
	}
	c.Say("Watch all of it at %s, the page of the second master.", serves.Address)
	if page {
		c.Say("Open it now: it goes on in %s.", toOpen)
		select {
		case <-time.After(toOpen):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, name := range []string{"client-1", "client-2"} {
		if err := c.Start(name, "--count", fmt.Sprint(perClient), "--max-sleep", maxSleep.String()); err != nil {
			return err
		}
	}
	if err := c.Finished(ctx, perClient/2); err != nil {
		return err
	}

	// The leader leaves; the backup takes over.
	leader := c.Leader()
	c.Say("SIGTERM to %s, the leader.", leader)
	ended := time.Now()
	if err := c.Signal(leader, syscall.SIGTERM); err != nil {
		return err
	}
	elected, err := c.Await(ctx, ended, "a new leader", func(e harness.Event) bool { return e.Msg == "leader" })
	if err != nil {
		return err
	}
	if err := c.Finished(ctx, perClient); err != nil {
		return err
	}

	lost, killed, err := killBusyWorker(ctx, c, slots)
	if err != nil {
		return err
	}
	again, err := c.Await(ctx, killed, "the lost task's new assignment", func(e harness.Event) bool {
		return e.Task == lost && strings.HasPrefix(e.Msg, "assigned")
	})
	if err != nil {
		return err
	}

	for _, name := range []string{"client-1", "client-2"} {
		if err := c.Exit(ctx, name, 0); err != nil {
			return err
		}
	}
	c.Say("All tasks are done.")
	if page {
		c.Say("The page stays at %s until Ctrl-C.", serves.Address)
		<-run.Done()
		ctx, cancel = context.WithTimeout(context.WithoutCancel(run), limit)
		defer cancel()
	}
	c.Say("SIGTERM to the others.")
	if err := c.StopAll(ctx); err != nil {
		return err
	}
	left, err := c.Remains(ctx, nil)
	if err != nil {
		return err
	}
	return summary{
		submitted:  2 * perClient,
		done:       c.Results(),
		repeated:   c.Repeated(),
		elected:    elected.Time.Sub(ended),
		reassigned: again.Time.Sub(killed),
		left:       left,
	}.print(out)
}

// killBusyWorker kills a worker in the middle of a task, and tells which task.
func killBusyWorker(ctx context.Context, c *harness.Cluster, slots []string) (task string, killed time.Time, err error) {
	for n := 3; ; n++ {
		begun, err := c.Await(ctx, time.Now(), "a task that runs", func(e harness.Event) bool { return e.Msg == "task started" })
		if err != nil {
			return "", killed, err
		}
		c.Say("SIGKILL to %s, which executes task %s.", begun.From, harness.Short(begun.Task))
		killed = time.Now()
		if err := c.Signal(begun.From, syscall.SIGKILL); err != nil {
			return "", killed, err
		}
		if err := c.Exit(ctx, begun.From, 128+int(syscall.SIGKILL)); err != nil {
			return "", killed, err
		}
		if !c.Logged("task done", begun.Task) {
			return begun.Task, killed, nil
		}
		c.Say("It had just finished. Another one takes its place.")
		if err := c.Start(fmt.Sprintf("worker-%d", n), slots...); err != nil {
			return "", killed, err
		}
	}
}
