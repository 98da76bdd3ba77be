package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/lab/audit"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/lab/zktest"
)

const (
	serverTick     = 250 * time.Millisecond
	sessionTimeout = 2 * time.Second

	// batch is how many tasks a client submits at once.
	batch = 30
	// patience is how long the clients may take to end when the faults are over.
	patience = time.Minute
	// chroot is where all znodes of a run are.
	chroot = "/faults"
)

// counts is how many programs there are of each.
var counts = map[target]int{masters: 3, workers: 4, clients: 3}

// options say what is run.
type options struct {
	bin    string // the programs' folder; without, that of this very program
	other  string // a folder of the programs in another version: every second one is of these; "": none
	seed   uint64
	length time.Duration
	tls    bool // and a policy
}

// run is a run under way.
type run struct {
	// Fixed at construction.
	options
	*harness.Cluster
	out     io.Writer
	server  *zktest.Server
	members map[string]*member // by name
	began   time.Time

	carried map[kind]int // faults that were carried out; owned by attack

	mu        sync.Mutex // guards outsiders
	outsiders []int64    // the sessions that wrote junk and drains
}

// perform runs the service for a while under faults and judges it. What the programs logged and
// what the server wrote is kept in a folder if anything was wrong.
func perform(ctx context.Context, o options, out io.Writer) (err error) {
	kept, err := os.MkdirTemp("", "taskkeeper-faults-")
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(kept, "programs.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	r := &run{options: o, out: out, members: make(map[string]*member), carried: make(map[kind]int)}
	r.Cluster, err = harness.NewCluster(harness.Config{Bin: o.bin, Tick: serverTick, Timeout: sessionTimeout, TLS: o.tls, Chroot: chroot, Out: log})
	if err != nil {
		return err
	}
	defer r.Close()
	r.server = r.Servers[0]
	defer func() {
		if err == nil {
			err = os.RemoveAll(kept)
			return
		}
		cerr := os.CopyFS(filepath.Join(kept, "zookeeper"), os.DirFS(r.server.DataDir()))
		fmt.Fprintf(out, "\nthe programs' logs and ZooKeeper's are in %s; SEED=%d repeats the faults\n", kept, o.seed)
		err = errors.Join(err, cerr)
	}()

	fmt.Fprintf(out, "seed %d, %s: %d masters, %d workers with 2 slots, %d clients; session timeout %s, server tick %s",
		o.seed, o.length, counts[masters], counts[workers], counts[clients], sessionTimeout, serverTick)
	if o.tls {
		fmt.Fprint(out, "; TLS, closed by a policy")
	}
	fmt.Fprint(out, "\n\n")
	if err := r.addMembers(); err != nil {
		return err
	}
	if err := r.serve(ctx); err != nil {
		return err
	}
	return r.judge()
}

// addMembers makes the members.
func (r *run) addMembers() error {
	for class, count := range counts {
		for n := range count {
			name := fmt.Sprintf("%s-%d", class, n+1)
			proxy, err := r.Proxy(name)
			if err != nil {
				return err
			}
			args := []string{"--wait", "1m"}
			switch class {
			case workers:
				args = append(args, "--slots", "2")
			case clients:
				args = slices.Concat([]string{"run"}, payloads(r.seed, name), args)
			}
			m := &member{name: name, class: class, cluster: r.Cluster, proxy: proxy}
			m.start = func() error { return r.Start(name, args...) }
			if n%2 == 1 && r.other != "" {
				m.start = func() error { return r.StartFrom(r.other, name, args...) }
			}
			r.members[name] = m
		}
	}
	return nil
}

// serve runs the programs and the faults. When the faults are over it waits for the clients, then
// it ends the other programs. It returns when every program has ended, or one has failed.
func (r *run) serve(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.length+2*patience, errors.New("the programs do not end when the faults are over"))
	defer cancel()
	r.began = time.Now()
	all, ctx := errgroup.WithContext(ctx)
	var clientsRun sync.WaitGroup
	for _, m := range r.members {
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
		if err := r.attack(ctx); err != nil {
			return err
		}
		for _, m := range r.members {
			if m.class == clients {
				m.retire()
			}
		}
		clientsRun.Wait()
		for _, m := range r.members {
			m.retire()
		}
		return nil
	})
	return all.Wait()
}

// attack carries the faults out, each at its time, and returns when all are over.
func (r *run) attack(ctx context.Context) error {
	var under errgroup.Group
	for _, f := range schedule(r.seed, r.length, counts) {
		if harness.Pause(ctx, time.Until(r.began.Add(f.at))) != nil {
			break
		}
		began := time.Since(r.began)
		who, hit := r.aim(f)
		if hit == nil {
			continue // no program is there to hit
		}
		fmt.Fprintf(r.out, "%6.2fs  %-12s  %s%s\n", began.Seconds(), f.kind, who, f.about())
		r.carried[f.kind]++
		under.Go(func() error { return hit(ctx, f) })
	}
	_ = harness.Pause(ctx, time.Until(r.began.Add(r.length)))
	return under.Wait()
}

// aim finds what a fault hits, and how. A program that it finds is claimed until the fault is over.
func (r *run) aim(f fault) (who string, hit func(context.Context, fault) error) {
	switch {
	case f.target == server:
		return "server", r.failServer
	case f.kind == drain:
		return "znodes", r.drain
	case f.kind == junk:
		return "znodes", r.junk
	}
	who = fmt.Sprintf("%s-%d", f.target, f.number)
	if f.target == leader {
		who = r.Leader()
	}
	m := r.members[who]
	if m == nil || !m.claim() {
		return "", nil
	}
	if who == r.Leader() {
		who += ", which leads"
	}
	return who, m.suffer
}

// failServer fails the server, and returns when the server serves again.
func (r *run) failServer(ctx context.Context, f fault) error {
	switch f.kind {
	case stop:
		r.server.Pause()
		_ = harness.Pause(ctx, f.lasts)
		r.server.Resume()
		return nil
	case full:
		free, err := r.server.FullDisk()
		if err != nil {
			return err
		}
		_ = harness.Pause(ctx, f.lasts)
		free()
		if r.server.Alive() { // nothing was written meanwhile
			return nil
		}
		return r.server.Restart()
	case term:
		r.server.Terminate()
	default:
		r.server.Kill()
	}
	_ = harness.Pause(ctx, f.lasts)
	return r.server.Restart()
}

// judge prints what came of the run, and fails if anything is not as it must be.
func (r *run) judge() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	left, err := r.Remains(ctx, nil)
	if err != nil {
		return err
	}
	txns, err := history.Read(r.server.DataDir())
	if err != nil {
		return err
	}
	report := history.Check(history.Under(txns, chroot), history.Options{Finished: true, Hands: r.outsiders})
	results, failed := 0, 0
	for _, m := range r.members {
		results, failed = results+m.results, failed+m.failed
	}
	fmt.Fprintf(r.out, "\n  faults         %s\n", tally(r.carried))
	fmt.Fprintf(r.out, "  leaders        %d, one after the other\n", len(report.Terms))
	fmt.Fprintf(r.out, "  tasks          %d created, %d done, %d failed, %d withdrawn with their clients; %d results fetched\n",
		report.Created, report.Done, report.Failed, report.Withdrawn, results)
	fmt.Fprintf(r.out, "  executions     %d, at most %d of a task; %d given back, %d losses counted\n",
		report.Assigned, report.MostAssigned, report.GivenBack, report.Losses)
	fmt.Fprintf(r.out, "  drains         %d told by leaders\n", report.Drained)
	fmt.Fprintf(r.out, "  sessions       %d, %d of them expired\n", report.Sessions, report.Expired)
	fmt.Fprintf(r.out, "  writes         %d in ZooKeeper's own log; %d refused to candidates that were gone\n", report.Txns, report.Fenced)
	var audited audit.Report
	if r.tls {
		if audited, err = audit.Check(txns, r.server); err != nil {
			return err
		}
		fmt.Fprintf(r.out, "  audit log      %s\n", audited)
	}
	fmt.Fprintf(r.out, "  violations     %d\n", len(report.Violations)+len(audited.Violations))
	if left > 0 {
		return fmt.Errorf("%d znodes are left when all have ended", left)
	}
	if report.Done < results || report.Failed < failed {
		return fmt.Errorf("the clients have %d results and %d failures, ZooKeeper's log has %d and %d", results, failed, report.Done, report.Failed)
	}
	return errors.Join(report.Err(), audited.Err())
}
