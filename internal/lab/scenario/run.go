package scenario

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/lab/audit"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/lab/mutants"
)

const (
	serverTick     = 500 * time.Millisecond
	sessionTimeout = 2 * time.Second
	usualLimit     = 3 * time.Minute // for a scenario, which takes some 20 s

	// chroot is where all znodes of a scenario are.
	chroot = "/scenario"
)

// run is one run of a scenario. The methods that a script calls end the script when they
// fail, as t.Fatal ends a test.
type run struct {
	*harness.Cluster
	options
	ctx      context.Context
	patience time.Duration // how long a script waits for an event: only a failure takes so long
	timeout  time.Duration // of the sessions
	tick     time.Duration // of the servers
	out      io.Writer
	began    time.Time

	moments   []moment // of the timeline, not printed yet
	submitted int      // tasks, by all clients together
	wrong     []string // the checks that failed
	txns      []history.Txn
	outsiders []int64         // sessions whose writes are not judged
	report    *history.Report // nil until the end
	series    string          // the CSV that is kept beside the timeline; "" for none
}

// options are what a scenario may be run with.
type options struct {
	bin      string        // the programs' folder; "" for that of this very program
	tls      bool          // and a policy
	evidence string        // the folder for the timeline; "" for none
	rule     *mutants.Rule // that is taken away; nil for none
}

// perform runs a scenario, prints its timeline, and fails if a check failed.
func perform(ctx context.Context, out io.Writer, name string, sc scenario, o options) (err error) {
	var text strings.Builder
	printed := &checkedWriter{Writer: out}
	r := &run{
		options: o, patience: 30 * time.Second, out: io.MultiWriter(&text, printed),
		timeout: cmp.Or(sc.timeout, sessionTimeout), tick: cmp.Or(sc.tick, serverTick),
	}
	if o.evidence != "" {
		if err := os.MkdirAll(o.evidence, 0o755); err != nil {
			return fmt.Errorf("--evidence: %w", err)
		}
	}
	limit := cmp.Or(sc.limit, usualLimit)
	if o.rule != nil {
		var remove func()
		if r.bin, remove, err = mutants.Build(ctx, *o.rule); err != nil {
			return err
		}
		defer remove()
		r.patience, limit = 10*time.Second, time.Minute // the event hardly comes without the rule
	}
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s takes longer than %s", name, limit))
	defer cancel()
	r.Cluster, err = harness.NewCluster(harness.Config{
		Bin: r.bin, Servers: sc.servers, Network: sc.network, TLS: o.tls, Tick: r.tick, Timeout: r.timeout, Chroot: chroot,
	})
	if err != nil {
		return err
	}
	defer r.Close()

	r.began = time.Now()
	fmt.Fprintf(r.out, "%s: %s\nsession timeout %s, server tick %s", name, sc.about, r.timeout, r.tick)
	if o.tls {
		fmt.Fprint(r.out, ", TLS, closed by a policy")
	}
	fmt.Fprint(r.out, "\n\n")
	if o.rule != nil {
		fmt.Fprintf(r.out, "WITHOUT the rule %s: %s\nIt prevents: %s\n\n%s\n\n", o.rule.Name, o.rule.Says, o.rule.Prevents, o.rule.Diff())
	}
	err = attempt(func() {
		sc.script(r)
		if r.report == nil {
			r.end()
		}
	})
	r.flush()
	if err == nil && r.wrong != nil {
		err = fmt.Errorf("not as it must be: %s", strings.Join(r.wrong, "; "))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // a signal
	}
	if o.rule != nil {
		return r.conclude(name, err)
	}
	if err != nil {
		r.diagnose(os.Stderr)
		return fmt.Errorf("%s: %w", name, err)
	}
	if o.evidence == "" {
		return printed.err
	}
	if r.series != "" {
		err = os.WriteFile(filepath.Join(o.evidence, name+".csv"), []byte(r.series), 0o644)
	}
	return errors.Join(printed.err, err, os.WriteFile(filepath.Join(o.evidence, name+".txt"), []byte(text.String()), 0o644))
}

// checkedWriter keeps its first error, and takes what comes later.
type checkedWriter struct {
	io.Writer
	err error
}

func (w *checkedWriter) Write(p []byte) (int, error) {
	if w.err == nil {
		_, w.err = w.Writer.Write(p)
	}
	return len(p), nil
}

// stopped is the panic by which a method ends the script.
type stopped struct{ err error }

// must ends the script if there is an error.
func (r *run) must(err error) {
	if err != nil {
		panic(stopped{err})
	}
}

// attempt calls steps, and returns the error that ended them.
func attempt(steps func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case stopped:
			err = p.err
		default:
			panic(p)
		}
	}()
	steps()
	return nil
}

// end stops all programs, and judges every write by ZooKeeper's own log. A script calls end
// if it checks the report; perform calls end for the other scripts.
func (r *run) end() history.Report {
	r.must(r.StopAll(r.ctx))
	left, err := r.Remains(r.ctx, nil)
	r.must(err)
	r.check(left == 0, "znodes left when all have ended: %d", left)
	r.txns = r.readLogs()
	if len(r.Servers) > 1 {
		for _, s := range r.Servers { // each by itself: one may lag behind, or hold what the others do not
			r.poll("nothing is left at "+r.Name(s), func() (bool, string) {
				left, err := r.Remains(r.ctx, s)
				return left == 0 && err == nil, fmt.Sprintf("%d znodes, %v", left, err)
			})
		}
	}
	report := history.Check(history.Under(r.txns, chroot), history.Options{Finished: true, Manual: r.outsiders})
	r.report = &report
	r.explain(report.Violations)
	r.check(report.Err() == nil, "ZooKeeper's own log, write by write: each task finished once, by who held it, assigned by the leader")
	if r.tls {
		a, err := audit.Check(r.txns, r.Servers...)
		r.must(err)
		for _, line := range slices.Concat(a.Violations, a.Refused) {
			fmt.Fprintln(r.out, line)
		}
		r.check(len(a.Violations) == 0, "ZooKeeper's audit log, write by write: each of %d by who may, by the policy", a.Writes)
		r.check(len(a.Refused) == 0 || r.outsiders != nil, "attempts that were refused for want of a right: %d", len(a.Refused))
	}
	return report
}

// diagnose prints what the programs logged last, and keeps their logs and what the servers have
// written.
func (r *run) diagnose(w io.Writer) {
	const last = 60
	fmt.Fprintln(w, "\nwhat the programs logged last:")
	events := r.Events()
	var log bytes.Buffer
	for i, e := range events {
		r.print(&log, e.Time, e.From, said(e))
		if i >= len(events)-last {
			r.print(w, e.Time, e.From, said(e))
		}
	}
	kept, err := os.MkdirTemp("", "taskkeeper-scenario-")
	if err == nil {
		err = os.WriteFile(filepath.Join(kept, "programs.log"), log.Bytes(), 0o644)
	}
	for _, s := range r.Servers {
		if err == nil {
			err = os.CopyFS(filepath.Join(kept, r.Name(s)), os.DirFS(filepath.Dir(s.DataDir())))
		}
	}
	fmt.Fprintf(w, "\nwhat the programs have logged and the servers have written is in %s\n", kept)
	if err != nil {
		fmt.Fprintln(w, err)
	}
}

// moment is a line of the timeline.
type moment struct {
	at        time.Time
	who, what string
}

// note adds a line to the timeline.
func (r *run) note(at time.Time, who, format string, args ...any) {
	r.moments = append(r.moments, moment{at, who, fmt.Sprintf(format, args...)})
}

// flush prints the new lines of the timeline. A script waits for events in an order of its
// own, so flush sorts them by time.
func (r *run) flush() {
	slices.SortStableFunc(r.moments, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, m := range r.moments {
		r.print(r.out, m.at, m.who, m.what)
	}
	r.moments = nil
}

func (r *run) print(w io.Writer, at time.Time, who, what string) {
	fmt.Fprintf(w, "%6d ms  %-9s %s\n", at.Sub(r.began).Milliseconds(), who, what)
}

// section prints a heading.
func (r *run) section(format string, args ...any) {
	r.flush()
	fmt.Fprintf(r.out, "\n"+format+"\n\n", args...)
}

// check prints a line that must be true. The script goes on if it is not.
func (r *run) check(ok bool, format string, args ...any) {
	r.flush()
	what, mark := fmt.Sprintf(format, args...), "ok"
	if !ok {
		mark = "WRONG"
		r.wrong = append(r.wrong, what)
	}
	fmt.Fprintf(r.out, "  %-7s %s\n", mark, what)
}

// within checks a time.
func (r *run) within(what string, took, bound time.Duration) {
	r.check(took <= bound, "%s: %d ms, at most %d", what, took.Milliseconds(), bound.Milliseconds())
}
