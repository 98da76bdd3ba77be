package scenario

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

const (
	// batch is how many tasks a client submits at once.
	batch = 30
	// toEnd is how long the programs may take to end when the faults are over.
	toEnd = time.Minute
)

// counts is how many programs there are of each.
var counts = map[target]int{masters: 3, workers: 4, clients: 3}

// Faults is the verb for random faults.
func Faults() *cobra.Command {
	var f faults
	var o options
	cmd := &cobra.Command{
		Use:   "faults",
		Short: "Run the service under random faults, and judge every write",
		Long: `Run masters, workers and clients on a ZooKeeper server of their own. Kill, stop
and pause them, cut their connections, lose requests and replies, block their
logs, write junk into all znodes, drain workers, kill and freeze the server and
fill its disk, all at random. Then let all come to an end, and judge ZooKeeper's
own log, write by write. The status is 1 if anything was not as it must be.`,
		Example: "  lab faults --duration 10m\n  lab faults --seed 42",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, class := range []string{"master", "worker", "client"} {
				if _, err := os.Stat(filepath.Join(f.other, class)); f.other != "" && err != nil {
					return fmt.Errorf("--other: %w", err)
				}
			}
			if !cmd.Flags().Changed("seed") {
				f.seed = rand.IntN(1_000_000)
			}
			return f.perform(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	cli.Var(cmd.Flags(), &f.length, "duration", time.Minute, "Let faults come for this `duration`.", cli.Duration(5*time.Second, 24*time.Hour))
	cli.Var(cmd.Flags(), &f.seed, "seed", 0, "Draw the faults from this `number`: the same number, the same faults. Without it one is drawn and printed.", cli.Int(0, math.MaxInt))
	cmd.Flags().StringVar(&f.other, "other", "", "Take every second program from this `folder`, which holds another version of them.")
	cmd.Flags().BoolVar(&o.tls, "tls", false, tlsUsage)
	return cmd
}

// faults is a run under faults that come at random.
type faults struct {
	seed   int
	length time.Duration
	other  string // a folder of the programs in another version: every second one is of these; "": none

	*run
	server  *zktest.Server
	members map[string]*member // by name
	carried map[kind]int       // faults that were carried out

	mu sync.Mutex // guards run.outsiders
}

func (f *faults) perform(ctx context.Context, out io.Writer, o options) error {
	return perform(ctx, out, "faults", scenario{
		about: fmt.Sprintf("seed %d, %s; %d masters, %d workers with 2 slots, %d clients", f.seed, f.length, counts[masters], counts[workers], counts[clients]),
		tick:  250 * time.Millisecond,
		limit: f.length + 2*toEnd,
		script: func(r *run) {
			f.run, f.server, f.members, f.carried = r, r.Servers[0], make(map[string]*member), make(map[kind]int)
			f.addMembers()
			r.must(f.serve(r.ctx))
			f.judge()
		},
	}, o)
}

// addMembers makes the members.
func (f *faults) addMembers() {
	for class, count := range counts {
		for n := range count {
			name := fmt.Sprintf("%s-%d", class, n+1)
			proxy, err := f.Proxy(name)
			f.must(err)
			args := []string{"--wait", "1m"}
			switch class {
			case workers:
				args = append(args, "--slots", "2")
			case clients:
				args = slices.Concat([]string{"run"}, payloads(f.seed, name), args)
			}
			m := &member{name: name, class: class, cluster: f.Cluster, proxy: proxy, hit: make(chan struct{}, 1)}
			m.start = func() error { return f.Start(name, args...) }
			if n%2 == 1 && f.other != "" {
				m.start = func() error { return f.StartFrom(f.other, name, args...) }
			}
			f.members[name] = m
		}
	}
}

// serve runs the programs and the faults. When the faults are over it waits for the clients, then
// it ends the other programs. It returns when every program has ended, or one has failed.
func (f *faults) serve(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	var clientsRun sync.WaitGroup
	for _, m := range f.members {
		if m.class == clients {
			clientsRun.Add(1)
		}
		all.Go(func() error {
			if m.class == clients {
				defer clientsRun.Done()
			}
			return m.keep(ctx)
		})
	}
	all.Go(func() error {
		if err := f.attack(ctx); err != nil || ctx.Err() != nil { // a member has failed
			return err
		}
		for _, m := range f.members {
			if m.class == clients {
				m.retire()
			}
		}
		clientsRun.Wait()
		for _, m := range f.members {
			m.retire()
		}
		return nil
	})
	return all.Wait()
}

// attack carries the faults out, each at its time, and returns when all are over.
func (f *faults) attack(ctx context.Context) error {
	var under errgroup.Group
	began := time.Now()
	for _, next := range schedule(f.seed, f.length) {
		if harness.Pause(ctx, time.Until(began.Add(next.at))) != nil {
			break
		}
		now := time.Now()
		who, hit := f.aim(next)
		if hit == nil {
			continue // no program is there to hit
		}
		f.note(now, "", "%-12s  %s%s", next.kind, who, next.about())
		f.flush()
		f.carried[next.kind]++
		under.Go(func() error { return hit(ctx, next) })
	}
	_ = harness.Pause(ctx, time.Until(began.Add(f.length)))
	return under.Wait()
}

// aim finds what a fault hits, and how. hit is nil if there is no such program, or another fault of
// it is on.
func (f *faults) aim(next fault) (who string, hit func(context.Context, fault) error) {
	switch {
	case next.target == server:
		return "server", f.failServer
	case next.kind == drain:
		return "workers", f.drain
	case next.kind == junk:
		return "znodes", f.junk
	}
	who = fmt.Sprintf("%s-%d", next.target, next.number)
	if next.target == leader {
		who = f.Leader()
	}
	m := f.members[who]
	if m == nil {
		return "", nil
	}
	if who == f.Leader() {
		who += ", which leads"
	}
	select {
	case m.hit <- struct{}{}:
		return who, m.suffer
	default:
		return "", nil
	}
}

// failServer fails the server, and returns when the server serves again.
func (f *faults) failServer(ctx context.Context, next fault) error {
	switch next.kind {
	case stop:
		f.server.Pause()
		_ = harness.Pause(ctx, next.lasts)
		f.server.Resume()
		return nil
	case full:
		free, err := f.server.FullDisk()
		if err != nil {
			return err
		}
		_ = harness.Pause(ctx, next.lasts)
		free()
		if f.server.Alive() { // nothing was written meanwhile
			return nil
		}
		return f.server.Restart()
	case term:
		f.server.Terminate()
	default:
		f.server.Kill()
	}
	_ = harness.Pause(ctx, next.lasts)
	return f.server.Restart()
}

// judge ends the run, and checks that the clients' results are those of ZooKeeper's log.
func (f *faults) judge() {
	report := f.end()
	results, failed := 0, 0
	for _, m := range f.members {
		results, failed = results+m.results, failed+m.failed
	}
	f.check(results <= report.Done && failed <= report.Failed, "results that the clients have: %d; tasks that failed: %d", results, failed)
	fmt.Fprintln(f.out)
	for _, line := range []struct {
		what, figures string
	}{
		{"faults", strings.Trim(fmt.Sprint(f.carried), "map[]")},
		{"leaders", fmt.Sprintf("%d, one after the other", len(report.Terms))},
		{"tasks", fmt.Sprintf("%d created, %d done, %d failed, %d withdrawn with their clients; %d results fetched",
			report.Created, report.Done, report.Failed, report.Withdrawn, results)},
		{"executions", fmt.Sprintf("%d, at most %d of a task; %d given back, %d losses counted",
			report.Assigned, report.MostAssigned, report.GivenBack, report.Losses)},
		{"drains", fmt.Sprintf("%d written by leaders", report.Drained)},
		{"sessions", fmt.Sprintf("%d, %d of them expired", report.Sessions, report.Expired)},
		{"writes", fmt.Sprintf("%d in ZooKeeper's own log; %d refused to candidates that were gone", report.Txns, report.Fenced)},
		{"violations", fmt.Sprint(len(report.Violations))},
	} {
		fmt.Fprintf(f.out, "  %-12s %s\n", line.what, line.figures)
	}
}
