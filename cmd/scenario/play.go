package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"taskkeeper/internal/history"
	"taskkeeper/internal/stage"
	"taskkeeper/internal/task"
	"taskkeeper/internal/zktest"
)

const (
	serverTick     = 500 * time.Millisecond
	sessionTimeout = 2 * time.Second

	// afterKill is how long it may take until work resumes after a SIGKILL: the
	// servers find a session silent for its timeout, rounded up to a tick, and
	// look once a tick.
	afterKill = sessionTimeout + 2*serverTick + 200*time.Millisecond
	// afterTerm is the same after a SIGTERM.
	afterTerm = 100 * time.Millisecond
)

// play is a scenario under way.
type play struct {
	ctx    context.Context
	st     *stage.Stage
	server *zktest.Server
	out    io.Writer
	began  time.Time
	wrong  []string // what is not as it must be
}

// perform runs a scenario.
func perform(ctx context.Context, name string, sc scenario, evidence string) error {
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
	p := &play{ctx: ctx, st: stage.New(filepath.Dir(self), logs), out: io.MultiWriter(os.Stdout, &text)}
	if p.server, err = zktest.Start(zktest.Options{Tick: serverTick}); err != nil {
		return err
	}
	defer p.server.Stop()
	defer p.st.Strike()

	p.began = time.Now()
	fmt.Fprintf(p.out, "%s: %s\nsession timeout %s, server tick %s\n\n", name, sc.about, sessionTimeout, serverTick)
	if err := sc.play(p); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := p.st.Curtain(ctx); err != nil {
		return err
	}
	left, err := stage.Remains(ctx, p.connect())
	if err != nil {
		return err
	}
	p.check(left == 0, "znodes left when all have ended: %d", left)
	if err := p.judge(); err != nil {
		return err
	}
	if evidence != "" && p.wrong == nil {
		if err := os.MkdirAll(evidence, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(evidence, name+".txt"), []byte(text.String()), 0o644); err != nil {
			return err
		}
	}
	if p.wrong != nil {
		return fmt.Errorf("%s: not as it must be: %s", name, strings.Join(p.wrong, "; "))
	}
	return nil
}

// judge has ZooKeeper's own log of all writes judged.
func (p *play) judge() error {
	txns, err := history.Read(p.server.DataDir())
	if err != nil {
		return err
	}
	report := history.Check(history.Under(txns, chroot), history.Options{Finished: true})
	if err := report.Err(); err != nil {
		fmt.Fprintln(p.out, err)
	}
	p.check(report.Err() == nil, "ZooKeeper's own log, write by write: each task finished once, by who held it, assigned by the leader")
	return nil
}

// chroot is where all znodes of a scenario are.
const chroot = "/scenario"

func (p *play) connect() string { return p.server.Addr() + chroot }

// tell adds a line to the timeline.
func (p *play) tell(at time.Time, who, format string, args ...any) {
	fmt.Fprintf(p.out, "%6d ms  %-9s %s\n", at.Sub(p.began).Milliseconds(), who, fmt.Sprintf(format, args...))
}

// check adds a line that must be true.
func (p *play) check(ok bool, format string, args ...any) {
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

func (p *play) enter(name, program string, args ...string) error {
	return p.st.Enter(name, program, append(args, "--zk", p.connect(), "--session-timeout", sessionTimeout.String(), "--log-format", "json")...)
}

// start starts a program and waits for what it logs when it is ready.
func (p *play) start(name, program, ready string, args ...string) error {
	since := time.Now()
	if err := p.enter(name, program, args...); err != nil {
		return err
	}
	_, err := p.see(since, func(e stage.Event) bool { return e.From == name && e.Msg == ready })
	return err
}

// see waits for an event and tells it.
func (p *play) see(since time.Time, match func(stage.Event) bool) (stage.Event, error) {
	e, err := p.st.Await(p.ctx, since, "the next step", match)
	if err == nil {
		text := e.Msg
		if e.Task != "" {
			text += ", task " + stage.Short(e.Task)
		}
		if e.Worker != "" && strings.HasPrefix(e.From, "master") {
			text += ", worker " + stage.Short(e.Worker)
		}
		p.tell(e.Time, e.From, "%s", text)
	}
	return e, err
}

// tasks waits until there are n tasks.
func (p *play) tasks(n int) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		names, err := stage.Children(p.ctx, p.connect(), task.TasksDir)
		if err != nil {
			return err
		}
		if len(names) == n {
			p.tell(time.Now(), "", "%d tasks in %s", n, task.TasksDir)
			return nil
		}
		select {
		case <-ticker.C:
		case <-p.ctx.Done():
			return fmt.Errorf("wait for %d tasks, there are %d: %w", n, len(names), context.Cause(p.ctx))
		}
	}
}

// send sends a signal and tells it.
func (p *play) send(name string, sig syscall.Signal) (time.Time, error) {
	at := time.Now()
	if err := p.st.Signal(name, sig); err != nil {
		return at, err
	}
	p.tell(at, "", "%s to %s", map[syscall.Signal]string{
		syscall.SIGTERM: "SIGTERM", syscall.SIGKILL: "SIGKILL", syscall.SIGSTOP: "SIGSTOP", syscall.SIGCONT: "SIGCONT",
	}[sig], name)
	return at, nil
}

// did matches what a program logs.
func did(from, msg string) func(stage.Event) bool {
	return func(e stage.Event) bool { return strings.HasPrefix(e.From, from) && e.Msg == msg }
}

// assigned matches an assignment of a task, or of any if id is "".
func assigned(id string) func(stage.Event) bool {
	return func(e stage.Event) bool {
		return strings.HasPrefix(e.Msg, "assigned") && (id == "" || e.Task == id)
	}
}
