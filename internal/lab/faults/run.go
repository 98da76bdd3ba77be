package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/lab/audit"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

const (
	serverTick     = 250 * time.Millisecond
	sessionTimeout = 2 * time.Second

	// batch is how many tasks a client submits at once.
	batch = 30
	// patience is how long all may take to come to an end when the faults have.
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
	keep   bool // the logs, also when nothing was wrong
}

// run is a run under way.
type run struct {
	// Fixed at construction.
	options
	*harness.Cluster
	out     io.Writer
	server  *zktest.Server
	members []*member
	began   time.Time

	results atomic.Int64 // that clients got
	failed  atomic.Int64 // tasks that failed because they lost so many workers

	mu    sync.Mutex // guards the rest, and out
	hits  []hit
	hands []int64 // sessions that wrote junk
}

// perform runs the service for a while under faults and judges it. What the
// programs logged and what the server wrote is kept in a folder if anything was
// wrong.
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
	r := &run{options: o, out: out}
	r.Cluster, err = harness.NewCluster(harness.Config{Bin: o.bin, Tick: serverTick, Timeout: sessionTimeout, TLS: o.tls, Chroot: chroot, Out: log})
	if err != nil {
		return err
	}
	defer r.Close()
	r.server = r.Servers[0]
	defer func() {
		if err == nil && !o.keep {
			err = os.RemoveAll(kept)
			return
		}
		cerr := os.CopyFS(filepath.Join(kept, "zookeeper"), os.DirFS(r.server.DataDir()))
		fmt.Fprintf(out, "\nthe programs' logs and ZooKeeper's are in %s; SEED=%d repeats the faults\n", kept, o.seed)
		err = errors.Join(err, cerr)
	}()

	faults := schedule(o.seed, o.length, counts)
	fmt.Fprintf(out, "seed %d, %s: %d masters, %d workers with 2 slots, %d clients; session timeout %s, server tick %s",
		o.seed, o.length, counts[masters], counts[workers], counts[clients], sessionTimeout, serverTick)
	if o.tls {
		fmt.Fprint(out, "; TLS, closed by a policy")
	}
	fmt.Fprint(out, "\n\n")
	if err := r.play(ctx, faults); err != nil {
		return err
	}
	return r.judge()
}

// play runs the programs and the faults, lets all come to an end, and returns when
// every program has left.
func (r *run) play(ctx context.Context, faults []fault) error {
	if err := r.engage(); err != nil {
		return err
	}
	r.began = time.Now()
	all, ctx := errgroup.WithContext(ctx)
	work, noMoreWork := context.WithCancel(ctx)
	defer noMoreWork()
	service, noMoreService := context.WithCancel(ctx)
	defer noMoreService()
	var clientsLeft sync.WaitGroup
	for _, m := range r.members {
		if m.class != clients {
			all.Go(func() error { return m.keep(service) })
			continue
		}
		clientsLeft.Add(1)
		all.Go(func() error {
			defer clientsLeft.Done()
			return m.keep(work)
		})
	}
	all.Go(func() error {
		if err := r.attack(ctx, faults); err != nil {
			return err
		}
		noMoreWork()
		left := make(chan struct{})
		go func() { clientsLeft.Wait(); close(left) }()
		select {
		case <-left:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(patience):
			return fmt.Errorf("the clients do not come to an end within %s after the faults; /tasks: %s", patience, r.open())
		}
		noMoreService()
		for _, m := range r.members {
			if m.class != clients {
				m.signal(syscall.SIGTERM, 0)
			}
		}
		return nil
	})
	done := make(chan error, 1)
	go func() { done <- all.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		r.KillAll() // keepers wait for their programs
		return <-done
	}
}

// open tells what is left in /tasks.
func (r *run) open() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	names, err := r.Children(ctx, task.TasksDir)
	return fmt.Sprint(names, err)
}

// engage makes the members.
func (r *run) engage() error {
	for _, class := range []target{masters, workers, clients} {
		for n := range counts[class] {
			name := fmt.Sprintf("%s-%d", class, n+1)
			proxy, err := r.Proxy(name)
			if err != nil {
				return err
			}
			m := &member{
				name: name, class: class, cluster: r.Cluster, proxy: proxy,
				ended: func(*harness.Process, int) bool { return false },
			}
			args := []string{"--wait", "1m"}
			switch class {
			case workers:
				args = append(args, "--slots", "2")
			case clients:
				m.ended = r.client
				args = slices.Concat([]string{"run"}, payloads(r.seed, name), args)
			}
			m.start = func() error { return r.Start(name, args...) }
			if n%2 == 1 && r.other != "" {
				m.start = func() error { return r.StartFrom(r.other, name, args...) }
			}
			r.members = append(r.members, m)
		}
	}
	return nil
}

// client judges that a client ended by itself: it has a result for each task; or
// it says of those that it has none for that they lost too many workers.
func (r *run) client(p *harness.Process, status int) bool {
	results := len(p.Stdout.Lines())
	lost := 0
	for _, line := range p.Stderr.Lines() {
		if strings.HasPrefix(line, "payload ") && strings.Contains(line, "failed: lost with ") {
			lost++
		}
	}
	if results+lost != batch || status != min(lost, 1) {
		return false
	}
	r.results.Add(int64(results))
	r.failed.Add(int64(lost))
	return true
}

// attack carries the faults out, each at its time, and returns when all are over.
func (r *run) attack(ctx context.Context, faults []fault) error {
	var under errgroup.Group
	for _, f := range faults {
		_ = harness.Pause(ctx, time.Until(r.began.Add(f.at)))
		if ctx.Err() != nil {
			break
		}
		h := hit{fault: f, began: time.Now()}
		if suffer := map[target]func(context.Context, fault) error{server: r.serverFault, tree: r.treeFault}[f.target]; suffer != nil {
			h.name = string(f.target)
			under.Go(func() error {
				err := suffer(ctx, f)
				h.served = time.Now()
				r.note(h)
				return err
			})
			r.tell(h)
			continue
		}
		m := r.pick(f)
		if m == nil {
			continue // all that it could hit are down
		}
		h.name, h.led = m.name, m.name == r.Leader()
		r.tell(h)
		under.Go(func() error {
			m.suffer(ctx, f)
			m.leave()
			r.note(h)
			return nil
		})
	}
	_ = harness.Pause(ctx, time.Until(r.began.Add(r.length)))
	return under.Wait()
}

func (r *run) note(h hit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hits = append(r.hits, h)
}

func (r *run) tell(h hit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	who := h.name
	if h.led {
		who += ", which leads"
	}
	fmt.Fprintf(r.out, "%6.2fs  %-12s  %s%s\n", h.began.Sub(r.began).Seconds(), h.kind, who, h.about())
}

// pick finds the member that a fault hits, and claims it.
func (r *run) pick(f fault) *member {
	for _, m := range r.members {
		hit := m.class == f.target && strings.HasSuffix(m.name, fmt.Sprintf("-%d", f.number)) ||
			f.target == leader && m.name == r.Leader()
		if hit && m.take() {
			return m
		}
	}
	return nil
}

// serverFault fails the server, and returns when it serves again.
func (r *run) serverFault(ctx context.Context, f fault) error {
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

// treeFault writes into the tree what nobody needs, and removes it.
func (r *run) treeFault(ctx context.Context, f fault) error {
	if f.kind == drain {
		return r.drain(ctx, f)
	}
	return r.junk(ctx, f)
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
	report := history.Check(history.Under(txns, chroot), history.Options{Finished: true, Manual: r.hands})
	var carried []fault
	for _, h := range r.hits {
		carried = append(carried, h.fault)
	}
	fmt.Fprintf(r.out, "\n  faults         %s\n", tally(carried))
	fmt.Fprintf(r.out, "  leaders        %d, one after the other\n", len(report.Terms))
	fmt.Fprintf(r.out, "  tasks          %d created, %d done, %d failed, %d withdrawn with their clients; %d results fetched\n",
		report.Created, report.Done, report.Failed, report.Withdrawn, r.results.Load())
	fmt.Fprintf(r.out, "  executions     %d, at most %d of a task; %d given back, %d losses counted\n",
		report.Assigned, report.MostAssigned, report.GivenBack, report.Losses)
	fmt.Fprintf(r.out, "  drains         %d told by leaders\n", report.Drained)
	fmt.Fprintf(r.out, "  sessions       %d, %d of them expired\n", report.Sessions, report.Expired)
	fmt.Fprintf(r.out, "  writes         %d in ZooKeeper's own log; %d refused to candidates that were gone\n", report.Txns, report.Fenced)
	fmt.Fprintf(r.out, "  work resumed   %-62s %6s %8s %8s\n", "(in ms, other faults in between included)", "faults", "median", "worst")
	for _, c := range recoveries(r.hits, r.Events()) {
		fmt.Fprintf(r.out, "    %-75s %6d %8d %8d\n", c.what, len(c.times), c.median().Milliseconds(), c.worst().Milliseconds())
	}
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
	if int64(report.Done) < r.results.Load() || int64(report.Failed) < r.failed.Load() {
		return fmt.Errorf("the clients have %d results and %d failures, ZooKeeper's log has %d and %d", r.results.Load(), r.failed.Load(), report.Done, report.Failed)
	}
	return errors.Join(report.Err(), audited.Err())
}
