package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/audit"
	"taskkeeper/internal/history"
	"taskkeeper/internal/identity"
	"taskkeeper/internal/stage"
	"taskkeeper/internal/zktest"
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
	ctx      context.Context
	st       *stage.Stage
	tls      bool                     // also a policy
	server   *zktest.Server           // the only one,
	ensemble *zktest.Ensemble         // or these
	network  *zktest.Network          // of servers and programs, if they have one of their own
	proxies  map[string]*zktest.Proxy // by who connects through it
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

// perform runs a scenario.
func perform(ctx context.Context, name string, sc scenario, tls bool, evidence string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	logs, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // the timeline tells what matters
	if err != nil {
		return err
	}
	defer logs.Close()
	var text strings.Builder
	p := &play{
		ctx: ctx, tls: tls, proxies: make(map[string]*zktest.Proxy),
		out: io.MultiWriter(os.Stdout, &text), timeout: cmp.Or(sc.timeout, sessionTimeout),
	}
	if err := p.raise(sc); err != nil {
		return err
	}
	defer p.raze()
	p.st = stage.New(filepath.Dir(self), p.who, logs)
	defer func() {
		p.st.Strike()
		for _, proxy := range p.proxies {
			proxy.Close()
		}
	}()

	p.began = time.Now()
	fmt.Fprintf(p.out, "%s: %s\nsession timeout %s, server tick %s", name, sc.about, p.timeout, serverTick)
	if tls {
		fmt.Fprint(p.out, ", TLS, closed by a policy")
	}
	fmt.Fprint(p.out, "\n\n")
	sc.play(p)
	p.end()
	if p.err == nil && p.wrong != nil {
		p.err = fmt.Errorf("not as it must be: %s", strings.Join(p.wrong, "; "))
	}
	if p.err != nil {
		p.tail(os.Stderr)
		p.keep(os.Stderr)
		return fmt.Errorf("%s: %w", name, p.err)
	}
	if evidence == "" {
		return nil
	}
	if err := os.MkdirAll(evidence, 0o755); err != nil {
		return err
	}
	if p.series != "" {
		if err := os.WriteFile(filepath.Join(evidence, name+".csv"), []byte(p.series), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(evidence, name+".txt"), []byte(text.String()), 0o644)
}

// raise starts the servers.
func (p *play) raise(sc scenario) (err error) {
	o := zktest.Options{Tick: serverTick, TLS: p.tls}
	if sc.servers == 0 {
		if p.server, err = zktest.Start(o); err == nil {
			err = p.close()
		}
		return err
	}
	if sc.network {
		if p.network, err = zktest.NewNetwork(); err != nil {
			return err
		}
		for i := range sc.servers {
			h, err := p.network.Host(serverName(i))
			if err != nil {
				return err
			}
			o.Hosts = append(o.Hosts, h)
		}
	}
	if p.ensemble, err = zktest.StartEnsemble(sc.servers, o); err == nil {
		err = p.close()
	}
	return err
}

// close closes the chroot by a policy, under TLS.
func (p *play) close() error {
	if !p.tls {
		return nil
	}
	return p.servers()[0].Close(chroot)
}

// servers are all that there are.
func (p *play) servers() []*zktest.Server {
	if p.ensemble != nil {
		return p.ensemble.Servers
	}
	return []*zktest.Server{p.server}
}

// who gives the files of a role.
func (p *play) who(role string) identity.Files { return p.servers()[0].Identity(role) }

// audited checks by the servers' audit logs that each write was by who may, and that none
// was refused.
func (p *play) audited() {
	if !p.tls || p.err != nil {
		return
	}
	r, err := audit.Check(p.written, p.servers()...)
	p.fail(err)
	for _, line := range slices.Concat(r.Violations, r.Refused) {
		fmt.Fprintln(p.out, line)
	}
	p.check(len(r.Violations) == 0, "ZooKeeper's audit log, write by write: each of %d by who may, by the policy", r.Writes)
	p.check(len(r.Refused) == 0, "attempts that were refused for want of a right: %d", len(r.Refused))
}

// raze ends the servers and removes what is theirs.
func (p *play) raze() {
	if p.ensemble != nil {
		p.ensemble.Stop()
	} else {
		p.server.Stop()
	}
}

// end ends all who are left and has ZooKeeper's own log of all writes judged. A
// scene that looks at the judge's figures calls it, for the others perform does.
func (p *play) end() history.Report {
	if p.report != nil || p.err != nil {
		return p.figures()
	}
	p.fail(p.st.Curtain(p.ctx))
	left, err := p.st.Remains(p.ctx, p.connect())
	p.fail(err)
	p.check(left == 0, "znodes left when all have ended: %d", left)
	p.written = p.log()
	p.nowhere()
	report := history.Check(history.Under(p.written, chroot), history.Options{Finished: true})
	p.report = &report
	if err := report.Err(); err != nil {
		fmt.Fprintln(p.out, err)
	}
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
	events := p.st.Events()
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

func (p *play) connect() string {
	if p.ensemble != nil {
		return p.ensemble.Connect() + chroot
	}
	return p.server.Addr() + chroot
}

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
func heard(e stage.Event) moment {
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
