package scenario

import (
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

	// afterTerm is how long it may take until work resumes after a SIGTERM, or
	// when a worker comes: 10 ms or so where the machine is quiet.
	afterTerm = 100 * time.Millisecond

	// chroot is where all znodes of a scenario are.
	chroot = "/scenario"
)

// play is a scenario under way. Once something has failed, its methods do
// nothing any more and return zeros, so that a scene reads like a script;
// perform tells what it was.
type play struct {
	*harness.Cluster
	ctx context.Context
	options
	patience time.Duration // how long a scene waits for its next step: only a failure takes so long
	out      io.Writer
	timeout  time.Duration // of the sessions
	load     int           // tasks of both clients together
	began    time.Time
	err      error    // the first failure
	wrong    []string // what is not as it must be
	written  []history.Txn
	report   *history.Report
	series   string // a table that is kept beside the timeline, if there is one
}

// options are what a scenario may be run with.
type options struct {
	tls      bool          // and a policy
	evidence string        // the folder for the timeline; "" for none
	rule     *mutants.Rule // that is taken away; nil for none
}

// perform runs a scenario.
func perform(ctx context.Context, name string, sc scenario, o options) (err error) {
	var text strings.Builder
	p := &play{options: o, patience: 30 * time.Second, out: io.MultiWriter(os.Stdout, &text), timeout: cmp.Or(sc.timeout, sessionTimeout)}
	bin, limit := "", 3*time.Minute // for what takes some 20 s
	if o.rule != nil {
		var remove func()
		if bin, remove, err = mutants.Build(ctx, *o.rule); err != nil {
			return err
		}
		defer remove()
		p.patience, limit = 10*time.Second, time.Minute // what it waits for will hardly come
	}
	var cancel context.CancelFunc
	p.ctx, cancel = context.WithTimeoutCause(ctx, limit, errors.New("the scenario takes too long"))
	defer cancel()
	p.Cluster, err = harness.NewCluster(harness.Config{
		Bin: bin, Servers: sc.servers, Network: sc.network, TLS: o.tls, Tick: serverTick, Timeout: p.timeout, Chroot: chroot,
	})
	if err != nil {
		return err
	}
	defer p.Close()

	p.began = time.Now()
	fmt.Fprintf(p.out, "%s: %s\nsession timeout %s, server tick %s", name, sc.about, p.timeout, serverTick)
	if o.tls {
		fmt.Fprint(p.out, ", TLS, closed by a policy")
	}
	fmt.Fprint(p.out, "\n\n")
	if o.rule != nil {
		fmt.Fprintf(p.out, "WITHOUT the rule %s: %s\nIt prevents: %s\n\n%s\n\n", o.rule.Name, o.rule.Says, o.rule.Prevents, o.rule.Diff())
	}
	sc.play(p)
	p.end()
	if p.err == nil && p.wrong != nil {
		p.err = fmt.Errorf("not as it must be: %s", strings.Join(p.wrong, "; "))
	}
	if p.rule != nil && ctx.Err() == nil {
		return p.conclude(ctx, name)
	}
	if p.err != nil {
		p.tail(os.Stderr)
		p.keep(os.Stderr)
		return fmt.Errorf("%s: %w", name, p.err)
	}
	if o.evidence == "" {
		return nil
	}
	if err := os.MkdirAll(o.evidence, 0o755); err != nil {
		return err
	}
	if p.series != "" {
		if err := os.WriteFile(filepath.Join(o.evidence, name+".csv"), []byte(p.series), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(o.evidence, name+".txt"), []byte(text.String()), 0o644)
}

// audited checks by the servers' audit logs that each write was by who may, and that none
// was refused.
func (p *play) audited() {
	if !p.tls || p.err != nil {
		return
	}
	r, err := audit.Check(p.written, p.Servers...)
	p.fail(err)
	for _, line := range slices.Concat(r.Violations, r.Refused) {
		fmt.Fprintln(p.out, line)
	}
	p.check(len(r.Violations) == 0, "ZooKeeper's audit log, write by write: each of %d by who may, by the policy", r.Writes)
	p.check(len(r.Refused) == 0, "attempts that were refused for want of a right: %d", len(r.Refused))
}

// end ends all who are left and has ZooKeeper's own log of all writes judged. A
// scene that looks at the judge's figures calls it, for the others perform does.
func (p *play) end() history.Report {
	if p.report != nil || p.err != nil {
		return p.figures()
	}
	p.fail(p.StopAll(p.ctx))
	left, err := p.Remains(p.ctx, nil)
	p.fail(err)
	p.check(left == 0, "znodes left when all have ended: %d", left)
	p.written = p.log()
	p.nowhere()
	report := history.Check(history.Under(p.written, chroot), history.Options{Finished: true})
	p.report = &report
	p.against(report.Violations)
	p.check(report.Err() == nil, "ZooKeeper's own log, write by write: each task finished once, by who held it, assigned by the leader")
	p.audited()
	return p.figures()
}

func (p *play) figures() history.Report {
	if p.report == nil {
		return history.Report{}
	}
	return *p.report
}

// tail shows what the programs said last.
func (p *play) tail(w io.Writer) {
	const last = 60
	events := p.Events()
	fmt.Fprintln(w, "\nwhat the programs logged last:")
	for _, e := range events[max(0, len(events)-last):] {
		fmt.Fprintf(w, "%6d ms  %-9s %s\n", e.Time.Sub(p.began).Milliseconds(), e.From, said(e, true))
	}
}

// fail takes down the first failure.
func (p *play) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// afterKill is how long it may take until work resumes after a SIGKILL: the
// servers find a session silent for its timeout, rounded up to a tick, and
// look once a tick.
func (p *play) afterKill() time.Duration { return p.timeout + 2*serverTick + 200*time.Millisecond }

// tell adds a line to the timeline.
func (p *play) tell(at time.Time, who, format string, args ...any) {
	if p.err == nil {
		fmt.Fprintf(p.out, "%6d ms  %-9s %s\n", at.Sub(p.began).Milliseconds(), who, fmt.Sprintf(format, args...))
	}
}

// moment is a line of the timeline.
type moment struct {
	at        time.Time
	who, what string
}

// heard is the moment of a line of a log.
func heard(e harness.Event) moment {
	return moment{e.Time, e.From, said(e, strings.HasPrefix(e.From, "master"))}
}

// tellAll tells what was not heard in the order of time.
func (p *play) tellAll(story ...moment) {
	slices.SortStableFunc(story, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, m := range story {
		p.tell(m.at, m.who, "%s", m.what)
	}
}

// act adds a heading.
func (p *play) act(format string, args ...any) {
	if p.err == nil {
		fmt.Fprintf(p.out, "\n"+format+"\n\n", args...)
	}
}

// check adds a line that must be true.
func (p *play) check(ok bool, format string, args ...any) {
	if p.err != nil {
		return
	}
	what, mark := fmt.Sprintf(format, args...), "ok"
	if !ok {
		mark = "WRONG"
		p.wrong = append(p.wrong, what)
	}
	fmt.Fprintf(p.out, "  %-7s %s\n", mark, what)
}

// within checks a recovery time.
func (p *play) within(what string, took, bound time.Duration) {
	p.check(took <= bound, "%s: %d ms, at most %d", what, took.Milliseconds(), bound.Milliseconds())
}
