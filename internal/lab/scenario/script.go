package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/task"
)

// launch starts a program under a name, which begins with the program's.
func (p *play) launch(name string, args ...string) (at time.Time) {
	at = time.Now()
	if p.err == nil {
		p.fail(p.Start(name, args...))
	}
	return at
}

// start starts a program and waits for what it logs when it is ready.
func (p *play) start(name, ready string, args ...string) harness.Event {
	return p.see(p.launch(name, args...), did(name, ready))
}

// masters starts two: the first one leads, the second is its backup.
func (p *play) masters() {
	p.start("master-1", "leader")
	p.start("master-2", "backup")
}

// workers starts two.
func (p *play) workers(args ...string) {
	p.start("worker-1", "registered", args...)
	p.start("worker-2", "registered", args...)
}

// submit starts a client that submits n tasks at once.
func (p *play) submit(client string, n int, seconds string) (at time.Time) {
	at = p.launch(client, append([]string{"run"}, slices.Repeat([]string{seconds}, n)...)...)
	what := "a task"
	if n > 1 {
		what = fmt.Sprintf("%d tasks", n)
	}
	p.tell(at, client, "submits %s of %s s", what, seconds)
	return at
}

// streams starts two clients with a stream of short tasks each.
func (p *play) streams(each int, most time.Duration) {
	p.load = each * len(clients)
	for _, client := range clients {
		at := p.launch(client, "--count", fmt.Sprint(each), "--max-sleep", most.String())
		p.tell(at, client, "begins %d tasks of up to %g s, one after the other", each, most.Seconds())
	}
}

// service starts two masters, two workers with two slots, and two clients with a
// stream of short tasks each.
func (p *play) service(each int) {
	p.masters()
	p.workers("--slots", "2")
	p.streams(each, 200*time.Millisecond)
}

// clients of streams.
var clients = []string{"client-1", "client-2"}

// line is a line of a program's log.
type line struct {
	from, msg string // what they begin with
	task      string // "" for any
}

func did(from, msg string) line { return line{from: from, msg: msg} }

// assigned is an assignment of a task, or of any if id is "".
func assigned(id string) line { return did("master", "assigned").of(id) }

func (l line) of(task string) line {
	l.task = task
	return l
}

func (l line) is(e harness.Event) bool {
	return strings.HasPrefix(e.From, l.from) && strings.HasPrefix(e.Msg, l.msg) && (l.task == "" || l.task == e.Task)
}

// see waits for a line of a log and tells it.
func (p *play) see(since time.Time, l line) harness.Event {
	e := p.hear(since, l)
	p.tellAll(heard(e))
	return e
}

// hear waits for a line of a log.
func (p *play) hear(since time.Time, l line) (e harness.Event) {
	if p.err != nil {
		return e
	}
	ctx, cancel := context.WithTimeoutCause(p.ctx, p.patience, fmt.Errorf("not within %s", p.patience))
	defer cancel()
	e, err := p.Await(ctx, since, fmt.Sprintf("%s to log %q", l.from, l.msg), l.is)
	p.fail(err)
	return e
}

// executes waits until a worker executes a task. Both the leader and the worker
// have said so then: who looks for an assignment from then on finds another one.
func (p *play) executes(since time.Time, worker string) (begun harness.Event) {
	first := p.see(since, assigned(""))
	return p.see(since, did(worker, "task started").of(first.Task))
}

// said is an event as one line.
func said(e harness.Event, worker bool) string {
	text := e.Msg
	if e.Task != "" {
		text += ", task " + harness.Short(e.Task)
	}
	if e.Worker != "" && worker {
		text += ", worker " + harness.Short(e.Worker)
	}
	if e.Err != "" {
		text += ": " + e.Err
	}
	return text
}

// logged are such lines so far, in the order of time.
func (p *play) logged(l line) []harness.Event {
	events := slices.DeleteFunc(p.Events(), func(e harness.Event) bool { return !l.is(e) })
	slices.SortStableFunc(events, func(a, b harness.Event) int { return a.Time.Compare(b.Time) })
	return events
}

// count is how many such lines there are so far.
func (p *play) count(l line) int { return len(p.logged(l)) }

// told waits until there are n such lines: a client may have a result before the
// worker has logged it.
func (p *play) told(l line, n int) {
	p.poll(fmt.Sprintf("%d times %q", n, l.msg), func() (bool, string) {
		got := p.count(l)
		return got == n, fmt.Sprint(got)
	})
}

// exits waits for the end of a program, with a status.
func (p *play) exits(name string, status int) {
	if p.err == nil {
		p.fail(p.Exit(p.ctx, name, status))
	}
}

// finished waits until the clients have n results in all.
func (p *play) finished(n int) {
	if p.err == nil {
		p.fail(p.Finished(p.ctx, n))
	}
}

// more waits until they have so many more than now. It fails where fewer are left.
func (p *play) more(n int) {
	had := p.Results()
	if p.err == nil && had+n > p.load {
		p.fail(fmt.Errorf("%d of the %d tasks are done already, and the scene needs %d more: is the machine too slow?", had, p.load, n))
	}
	p.finished(had + n)
}

// pass lets time pass, where that is the scene's own and nothing is waited for.
func (p *play) pass(d time.Duration) {
	if p.err != nil {
		return
	}
	select {
	case <-time.After(d):
	case <-p.ctx.Done():
		p.fail(context.Cause(p.ctx))
	}
}

// tasks waits until there are n tasks.
func (p *play) tasks(n int) {
	at := p.poll(fmt.Sprintf("%s holds %d tasks", task.TasksDir, n), func() (bool, string) {
		names, err := p.Children(p.ctx, task.TasksDir)
		p.fail(err)
		return len(names) == n || err != nil, fmt.Sprintf("it holds %d", len(names))
	})
	p.tell(at, "", "%d tasks in %s", n, task.TasksDir)
}

// send sends a signal and tells it.
func (p *play) send(name string, sig syscall.Signal) (at time.Time) {
	at = time.Now()
	if p.err == nil {
		p.fail(p.Signal(name, sig))
		p.tell(at, "", "%s to %s", signals[sig], name)
	}
	return at
}

var signals = map[syscall.Signal]string{
	syscall.SIGTERM: "SIGTERM", syscall.SIGKILL: "SIGKILL", syscall.SIGSTOP: "SIGSTOP", syscall.SIGCONT: "SIGCONT",
}
