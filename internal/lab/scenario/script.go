package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// afterTerm is how long it may take until work resumes after a SIGTERM, or
	// when a worker comes: 10 ms or so where the machine is quiet.
	afterTerm = 100 * time.Millisecond

	// afterReturn is how long it may take until work resumes when a server is
	// back, or another one is there: clients dial twice a second.
	afterReturn = 3 * time.Second
)

// after is how long it may take until work resumes after a signal to a program. After SIGKILL
// and SIGSTOP the servers find a session silent for its timeout, rounded up to a tick, and look
// once a tick.
func (r *run) after(sig syscall.Signal) time.Duration {
	if sig == syscall.SIGTERM {
		return afterTerm
	}
	return r.timeout + 2*r.tick + 200*time.Millisecond
}

// bothClients are the clients of the scenarios that have two.
var bothClients = []string{"client-1", "client-2"}

// launch starts a program under a name, which begins with the program's.
func (r *run) launch(name string, args ...string) (at time.Time) {
	at = time.Now()
	r.must(r.Start(name, args...))
	return at
}

// start starts a program and waits for what it logs when it is ready.
func (r *run) start(name, ready string, args ...string) harness.Event {
	return r.wait(r.launch(name, args...), logs(name, ready))
}

// masters starts two: the first one leads, the second is its backup.
func (r *run) masters() {
	r.start("master-1", "leader")
	r.start("master-2", "backup")
}

// workers starts two.
func (r *run) workers(args ...string) {
	r.start("worker-1", "registered", args...)
	r.start("worker-2", "registered", args...)
}

// submit starts a client that submits n tasks at once.
func (r *run) submit(client string, n int, seconds string) (at time.Time) {
	r.submitted += n
	at = r.launch(client, append([]string{"run"}, slices.Repeat([]string{seconds}, n)...)...)
	what := "a task"
	if n > 1 {
		what = fmt.Sprintf("%d tasks", n)
	}
	r.note(at, client, "submits %s of %s s", what, seconds)
	return at
}

// submitBoth starts both clients, each with n tasks at once.
func (r *run) submitBoth(n int, seconds string) {
	for _, client := range bothClients {
		r.submit(client, n, seconds)
	}
}

// streams starts both clients, each with a stream of short tasks.
func (r *run) streams(each int, most time.Duration) {
	for _, client := range bothClients {
		r.submitted += each
		at := r.launch(client, "--count", fmt.Sprint(each), "--max-sleep", most.String())
		r.note(at, client, "begins %d tasks of up to %g s, one after the other", each, most.Seconds())
	}
}

// service starts two masters, two workers with two slots, and both clients.
func (r *run) service(each int) {
	r.masters()
	r.workers("--slots", "2")
	r.streams(each, 200*time.Millisecond)
}

// served waits until both clients have all their results.
func (r *run) served() {
	for _, c := range bothClients {
		r.exits(c, 0)
	}
	r.check(r.Results() == r.submitted, "results: %d of %d", r.Results(), r.submitted)
}

// line is a line of a program's log, or a result that a client prints.
type line struct {
	from, msg string // what they begin with
	task      string // "" for any
}

func logs(from, msg string) line { return line{from: from, msg: msg} }

func (l line) of(task string) line {
	l.task = task
	return l
}

func (l line) is(e harness.Event) bool {
	return strings.HasPrefix(e.From, l.from) && strings.HasPrefix(e.Msg, l.msg) && (l.task == "" || l.task == e.Task)
}

var (
	assigned = logs("master", "assigned")
	result   = logs("client", harness.Result)
)

// wait waits for a line of a log, and adds it to the timeline.
func (r *run) wait(since time.Time, l line) harness.Event {
	e := r.await(since, l)
	r.note(e.Time, e.From, "%s", said(e))
	return e
}

// timed waits for a line of a log, and checks how long that took since a signal.
func (r *run) timed(what string, sig syscall.Signal, since time.Time, l line) harness.Event {
	e := r.wait(since, l)
	r.within(what+" after "+signals[sig], e.Time.Sub(since), r.after(sig))
	return e
}

// await waits for a line of a log.
func (r *run) await(since time.Time, l line) harness.Event {
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.patience, fmt.Errorf("not within %s", r.patience))
	defer cancel()
	e, err := r.Await(ctx, since, fmt.Sprintf("%s to log %q", l.from, l.msg), l.is)
	r.must(err)
	return e
}

// waitEach waits for a line of each of some programs.
func (r *run) waitEach(since time.Time, programs []string, msg string) {
	for _, name := range programs {
		r.wait(since, logs(name, msg))
	}
}

// executes waits until a worker executes a task. Then the leader and the worker have both logged
// that: an assignment from then on is another one.
func (r *run) executes(since time.Time, worker string) (begun harness.Event) {
	first := r.wait(since, assigned)
	return r.wait(since, logs(worker, "task started").of(first.Task))
}

// said is an event as one line.
func said(e harness.Event) string {
	text := e.Msg
	if e.Task != "" {
		text += ", task " + harness.Short(e.Task)
	}
	if e.Worker != "" && strings.HasPrefix(e.From, "master") {
		text += ", worker " + harness.Short(e.Worker)
	}
	if e.Err != "" {
		text += ": " + e.Err
	}
	return text
}

// logged are such lines since a moment, in the order of time.
func (r *run) logged(since time.Time, l line) []harness.Event {
	events := slices.DeleteFunc(r.Events(), func(e harness.Event) bool { return !l.is(e) || e.Time.Before(since) })
	slices.SortStableFunc(events, func(a, b harness.Event) int { return a.Time.Compare(b.Time) })
	return events
}

// count is how many such lines there are so far. A client may have a result before its worker has
// logged that the task is done, so such lines are counted after the end.
func (r *run) count(l line) int { return len(r.logged(time.Time{}, l)) }

// gap checks the longest time without such a line, from a moment to the last such line.
func (r *run) gap(what string, since time.Time, l line, bound time.Duration) {
	r.within(what, longest(since, r.logged(since, l)), bound)
}

// longest is the longest time without an event, from a moment to the last of some events.
func longest(since time.Time, events []harness.Event) (longest time.Duration) {
	for _, e := range events {
		longest = max(longest, e.Time.Sub(since))
		since = e.Time
	}
	return longest
}

// resumes waits until work goes on: a task is assigned, and a client has a result.
func (r *run) resumes(since time.Time, what string, bound time.Duration) (next harness.Event) {
	next = r.wait(since, assigned)
	first := r.wait(since, result)
	r.within("an assignment "+what, next.Time.Sub(since), bound)
	r.within("a result "+what, first.Time.Sub(since), bound)
	return next
}

// poll waits until something is so. It fails with what it saw last.
func (r *run) poll(what string, look func() (ok bool, seen string)) (at time.Time) {
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.patience, fmt.Errorf("not within %s", r.patience))
	defer cancel()
	for {
		ok, seen := look()
		if ok {
			return time.Now()
		}
		if err := harness.Pause(ctx, 10*time.Millisecond); err != nil {
			r.must(fmt.Errorf("wait until %s: %w; %s", what, err, seen))
		}
	}
}

// exits waits for the end of a program, with a status.
func (r *run) exits(name string, status int) {
	r.flush()
	r.must(r.Exit(r.ctx, name, status))
}

// finished waits until the clients have n results in all.
func (r *run) finished(n int) {
	r.flush()
	r.must(r.Finished(r.ctx, n))
}

// more waits for n results more than the clients have now. It fails if fewer tasks are left.
func (r *run) more(n int) {
	had := r.Results()
	if had+n > r.submitted {
		r.must(fmt.Errorf("%d of the %d tasks are done already, and the script needs %d more: is the machine too slow?", had, r.submitted, n))
	}
	r.finished(had + n)
}

// pause lets time pass, where a script waits for nothing.
func (r *run) pause(d time.Duration) {
	r.flush()
	r.must(harness.Pause(r.ctx, d))
}

// tasks waits until there are n tasks.
func (r *run) tasks(n int) {
	at := r.poll(fmt.Sprintf("%s holds %d tasks", task.TasksDir, n), func() (bool, string) {
		names, err := r.Children(r.ctx, task.TasksDir)
		r.must(err)
		return len(names) == n, fmt.Sprintf("it holds %d", len(names))
	})
	r.note(at, "", "%d tasks in %s", n, task.TasksDir)
}

// signal sends a signal to a program.
func (r *run) signal(name string, sig syscall.Signal) (at time.Time) {
	at = time.Now()
	r.must(r.Signal(name, sig))
	r.note(at, "", "%s to %s", signals[sig], name)
	r.flush()
	return at
}

var signals = map[syscall.Signal]string{
	syscall.SIGTERM: "SIGTERM", syscall.SIGKILL: "SIGKILL", syscall.SIGSTOP: "SIGSTOP", syscall.SIGCONT: "SIGCONT",
}

// admin does something on a session of its own, as a person would in a shell.
func (r *run) admin(do func(*session.Session)) {
	s, err := r.Session(r.ctx, "admin", "")
	r.must(err)
	defer s.Close()
	do(s)
}
