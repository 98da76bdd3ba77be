package scenario

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
	perClient = 10               // tasks
	toOpen    = 15 * time.Second // a person needs to open the page
	demoLimit = 2 * time.Minute  // for what should take about 15 s
)

// Demo is the verb for the demo: the service at work, with a failover in the middle.
func Demo() *cobra.Command {
	var tls, page bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the service at work, with a failover in the middle",
		Long: `Run a ZooKeeper server, two masters, two workers with two slots each (each slot
has an id) and two clients on this machine for about 15 s; end the leader and
kill a worker half-way; and count what came of all tasks. The status is 1 if
anything was lost or left behind.`,
		Example: "  make demo\n  make demo DEMO=page",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), os.Stdout, tls, page) // a terminal has colours
		},
	}
	cmd.Flags().BoolVar(&tls, "tls", false, "Speak TLS, each program with the certificate of its role, under a policy.")
	cmd.Flags().BoolVar(&page, "page", false, "Wait before the first task until the page can be open, and at the end until Ctrl-C.")
	return cmd
}

func demo(ctx context.Context, out io.Writer, tls, page bool) (err error) {
	r := &run{out: io.Discard, patience: demoLimit, timeout: sessionTimeout, tick: 250 * time.Millisecond}
	fmt.Fprintln(out, "Starting a ZooKeeper server on a free port.")
	r.Cluster, err = harness.NewCluster(harness.Config{Tick: r.tick, Timeout: r.timeout, TLS: tls, Chroot: "/demo", Out: out})
	if err != nil {
		return err
	}
	defer r.Close()
	var rows []row
	err = attempt(func() { rows = r.demo(ctx, page) })
	if err != nil {
		return err
	}
	return printRows(out, rows)
}

// demo runs the programs, and returns what came of all tasks.
func (r *run) demo(ctx context.Context, page bool) []row {
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(ctx, demoLimit)
	defer cancel()
	r.Say("ZooKeeper serves at %s. Two masters, two workers with two slots each, two clients follow.", r.Servers[0].Addr())
	pages := []string{"--http", "0"}  // at a port of the system's choice
	slots := []string{"--slots", "2"} // so that one worker is enough for both clients
	r.start("master-1", "leader", pages...)
	r.launch("master-2", pages...)
	r.launch("worker-1", slots...)
	r.launch("worker-2", slots...)
	serves, err := r.Await(r.ctx, time.Time{}, "a page", func(e harness.Event) bool { return e.From == "master-2" && e.Address != "" })
	r.must(err)
	r.Say("Watch all of it at %s, the page of the second master.", serves.Address)
	if page {
		r.Say("Open it now: it goes on in %s.", toOpen)
		r.pause(toOpen)
	}
	for _, name := range bothClients {
		r.launch(name, "--count", fmt.Sprint(perClient), "--max-sleep", "2s")
	}
	r.finished(perClient / 2)

	// The leader leaves; the backup takes over.
	leader := r.Leader()
	r.Say("SIGTERM to %s, the leader.", leader)
	ended := r.signal(leader, syscall.SIGTERM)
	elected := r.wait(ended, logs("master", "leader")).Time
	r.finished(perClient)

	// A worker is killed in the middle of a task.
	var lost string
	var killed time.Time
	for n := 3; ; n++ {
		begun := r.wait(time.Now(), logs("worker", "task started"))
		r.Say("SIGKILL to %s, which executes task %s.", begun.From, harness.Short(begun.Task))
		lost, killed = begun.Task, r.signal(begun.From, syscall.SIGKILL)
		r.exits(begun.From, 128+int(syscall.SIGKILL))
		if !r.Logged("task done", lost) {
			break
		}
		r.Say("It had just finished. Another one takes its place.")
		r.launch(fmt.Sprintf("worker-%d", n), slots...)
	}
	again := r.wait(killed, assigned.of(lost)).Time

	for _, name := range bothClients {
		r.exits(name, 0)
	}
	r.Say("All tasks are done.")
	if page {
		r.Say("The page stays at %s until Ctrl-C.", serves.Address)
		<-ctx.Done()
		r.ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), demoLimit)
		defer cancel()
	}
	r.Say("SIGTERM to the others.")
	r.must(r.StopAll(r.ctx))
	left, err := r.Remains(r.ctx, nil)
	r.must(err)

	missing, took, reassigned := 2*perClient-r.Results(), elected.Sub(ended), again.Sub(killed)
	return []row{
		{"tasks submitted", fmt.Sprint(2 * perClient), "by two clients", true},
		{"tasks done", fmt.Sprint(r.Results()), "each counted once", true},
		{"tasks lost", fmt.Sprint(missing), "", missing == 0},
		{"executions begun again", fmt.Sprint(r.Repeated()), "the tasks of the killed worker", r.Repeated() == 1 || r.Repeated() == 2},
		{"time to the new leader", ms(took), "after its SIGTERM", took <= r.timeout},
		{"time to the reassignment", ms(reassigned), "after SIGKILL: the session timeout is " + r.timeout.String(), reassigned <= r.timeout+2*r.tick+2*time.Second},
		{"znodes left", fmt.Sprint(left), "", left == 0},
	}
}

// row is a line of the table at the end.
type row struct {
	what, value, note string
	ok                bool // it is as it must be
}

// printRows prints the table, and fails if anything is not as it must be.
func printRows(out io.Writer, rows []row) error {
	var wrong []string
	fmt.Fprintln(out)
	for _, r := range rows {
		if !r.ok {
			r.note += "  ← not as it must be"
			wrong = append(wrong, r.what)
		}
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %-26s %8s  %s", r.what, r.value, r.note), " "))
	}
	fmt.Fprintln(out)
	if wrong != nil {
		return fmt.Errorf("not as it must be: %s", strings.Join(wrong, ", "))
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
