// Demo shows the service at work, with a failover in the middle: its own
// ZooKeeper server, two masters, two workers with two slots each, two clients.
// Half-way the leader is ended by SIGTERM and a worker by SIGKILL. It exits with
// 1 if anything is lost, or left behind.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/stage"
	"taskkeeper/internal/zktest"
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

func main() { os.Exit(cli.Main(command(), os.Exit)) }

func command() *cobra.Command {
	var tls, page bool
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Show the service at work, with a failover in the middle",
		Long:    "Run a ZooKeeper server, two masters, two workers with two slots each (each slot has\nan id) and two clients on this machine for about 20 s; end the leader and kill a worker\nhalf-way; and count what came of all tasks. The status is 1 if anything was lost or\nleft behind.",
		Example: "  make demo\n  make demo DEMO=page",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), tls, page)
		},
	}
	cmd.Flags().BoolVar(&tls, "tls", false, "Speak TLS, each program with the certificate of its role, under a policy.")
	cmd.Flags().BoolVar(&page, "page", false, "Wait before the first task until the page can be open, and at the end until Ctrl-C.")
	return cmd
}

func demo(run context.Context, tls, page bool) error {
	ctx, cancel := context.WithTimeout(run, limit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	server, err := zktest.Start(zktest.Options{Tick: serverTick, TLS: tls})
	if err != nil {
		return err
	}
	defer server.Stop()
	st := stage.New(filepath.Dir(self), server.Identity, os.Stdout)
	defer st.Strike()
	if tls {
		if err := server.Close("/demo"); err != nil {
			return err
		}
	}
	st.Say("ZooKeeper serves at %s. Two masters, two workers with two slots each, two clients follow.", server.Addr())
	common := []string{"--zk", server.Addr() + "/demo", "--session-timeout", sessionTimeout.String(), "--log-format", "json", "--log-level", "info"}
	enter := func(name, program string, args ...string) error {
		return st.Enter(name, program, append(args, common...)...)
	}

	served := []string{"--http", "0"} // its page, at a port of the system's choice
	if err := enter("master-1", "master", served...); err != nil {
		return err
	}
	if _, err := st.Await(ctx, time.Now(), "leads", func(e stage.Event) bool { return e.Msg == "leader" }); err != nil {
		return err
	}
	slots := []string{"--slots", "2"} // so that one worker is enough for both clients
	for _, c := range []struct {
		name, program string
		args          []string
	}{{"master-2", "master", served}, {"worker-1", "worker", slots}, {"worker-2", "worker", slots}} {
		if err := enter(c.name, c.program, c.args...); err != nil {
			return err
		}
	}
	serves, err := st.Await(ctx, time.Time{}, "a page", func(e stage.Event) bool { return e.From == "master-2" && e.Address != "" })
	if err != nil {
		return err
	}
	st.Say("Watch all of it at %s, the page of the second master.", serves.Address)
	if page {
		st.Say("Open it now: it goes on in %s.", toOpen)
		select {
		case <-time.After(toOpen):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, name := range []string{"client-1", "client-2"} {
		if err := enter(name, "client", "--count", fmt.Sprint(perClient), "--max-sleep", maxSleep.String()); err != nil {
			return err
		}
	}
	if err := st.Finished(ctx, perClient/2); err != nil {
		return err
	}

	// The leader leaves; the backup takes over.
	leader := st.Leader()
	st.Say("SIGTERM to %s, the leader.", leader)
	ended := time.Now()
	if err := st.Signal(leader, syscall.SIGTERM); err != nil {
		return err
	}
	elected, err := st.Await(ctx, ended, "a new leader", func(e stage.Event) bool { return e.Msg == "leader" })
	if err != nil {
		return err
	}
	if err := st.Finished(ctx, perClient); err != nil {
		return err
	}

	lost, killed, err := killBusyWorker(ctx, st, func(name string) error { return enter(name, "worker", slots...) })
	if err != nil {
		return err
	}
	again, err := st.Await(ctx, killed, "the lost task's new assignment", func(e stage.Event) bool {
		return e.Task == lost && strings.HasPrefix(e.Msg, "assigned")
	})
	if err != nil {
		return err
	}

	for _, name := range []string{"client-1", "client-2"} {
		if err := st.Exit(ctx, name, 0); err != nil {
			return err
		}
	}
	st.Say("All tasks are done.")
	if page {
		st.Say("The page stays at %s until Ctrl-C.", serves.Address)
		<-run.Done()
		ctx, cancel = context.WithTimeout(context.WithoutCancel(run), limit)
		defer cancel()
	}
	st.Say("SIGTERM to the others.")
	if err := st.Curtain(ctx); err != nil {
		return err
	}
	left, err := st.Remains(ctx, server.Addr()+"/demo")
	if err != nil {
		return err
	}
	return summary{
		submitted:  2 * perClient,
		done:       st.Results(),
		twice:      st.Twice(),
		elected:    elected.Time.Sub(ended),
		reassigned: again.Time.Sub(killed),
		left:       left,
	}.print(os.Stdout)
}

// killBusyWorker kills a worker in the middle of a task, and tells which.
func killBusyWorker(ctx context.Context, st *stage.Stage, replace func(name string) error) (task string, killed time.Time, err error) {
	for n := 3; ; n++ {
		begun, err := st.Await(ctx, time.Now(), "a task that runs", func(e stage.Event) bool { return e.Msg == "task started" })
		if err != nil {
			return "", killed, err
		}
		st.Say("SIGKILL to %s, which executes task %s.", begun.From, stage.Short(begun.Task))
		killed = time.Now()
		if err := st.Signal(begun.From, syscall.SIGKILL); err != nil {
			return "", killed, err
		}
		if err := st.Exit(ctx, begun.From, 128+int(syscall.SIGKILL)); err != nil {
			return "", killed, err
		}
		if !st.HeardOf("task done", begun.Task) {
			return begun.Task, killed, nil
		}
		st.Say("It had just finished. Another one takes its place.")
		if err := replace(fmt.Sprintf("worker-%d", n)); err != nil {
			return "", killed, err
		}
	}
}
