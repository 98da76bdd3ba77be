package inspect

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/access"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Case is one task, and all that decides why it waits.
type Case struct {
	Task    Task
	Payload *Text // nil: there is none, or PayloadErr
	Tree    *Tree // candidates and workers

	PayloadErr error // it may not be read
	Ahead      int   // tasks that are assigned before it; counted only if it waits for a worker
	Rival      *Task // lost as often, and executed by the process of each free worker: see rival
}

// Explanation is what is known of a task. `client explain --json` prints it: the names of the
// fields stay. Seconds are numbers, times RFC 3339.
type Explanation struct {
	Time       time.Time  `json:"time"` // when it was read, by this machine's clock
	ID         string     `json:"id"`
	Queue      string     `json:"queue"`               // "" is the default queue
	State      string     `json:"state"`               // in its znode: pending (also while it runs: see Waits), done, failed, malformed or unreadable
	Losses     int        `json:"losses"`              // executions lost with their workers; only while it is pending
	Result     *Text      `json:"result,omitempty"`    // done
	Reason     *Text      `json:"reason,omitempty"`    // failed
	Submitted  *time.Time `json:"submitted,omitempty"` // missing: the state may not be read
	Age        float64    `json:"age_seconds"`         // since its submission
	Finished   *time.Time `json:"finished,omitempty"`  // done or failed
	Took       *float64   `json:"took_seconds,omitempty"`
	Kind       string     `json:"kind,omitempty"`            // of its payload, if its submitter gave it
	Timeout    float64    `json:"timeout_seconds,omitempty"` // of an execution, if its submitter gave it
	*Execution            // finished by a worker that wrote facts
	Detached   bool       `json:"detached"`          // it outlives its client
	Owner      string     `json:"owner,omitempty"`   // the session that it vanishes with: 0x…
	Payload    *Text      `json:"payload,omitempty"` // missing: there is none, or it may not be read
	Workers    []Holder   `json:"workers"`           // that list it: one at most, unless by hand
	Waits      *Wait      `json:"waits,omitempty"`   // while it is not finished
	Warnings   []Warning  `json:"warnings,omitempty"`

	noPayload string // why it is missing
}

// Execution is the worker's facts about the execution that finished a task.
type Execution struct {
	Worker  string     `json:"worker"`
	Host    string     `json:"host"` // Host and PID come from the worker's name, as in WorkerStatus
	PID     int        `json:"pid"`
	Attempt int        `json:"attempt"`         // 1, and 1 more for each execution that was lost with its worker
	Began   *time.Time `json:"began,omitempty"` // by the worker's clock; missing: it was not begun
	Ran     float64    `json:"ran_seconds"`
	Waited  float64    `json:"waited_seconds"` // from its submission until Began
	Exit    string     `json:"exit,omitempty"` // a command's status, or the signal that ended it
	Stderr  *Text      `json:"stderr,omitempty"`
}

// execution returns nil if the task has no such facts.
func execution(x *Task) *Execution {
	facts := x.Facts.Executed()
	if facts.Worker == "" {
		return nil
	}
	e := &Execution{Worker: facts.Worker, Attempt: facts.Attempt, Ran: seconds(facts.Ran), Exit: facts.Exit}
	_, e.Host, e.PID = task.ParseWorkerName(facts.Worker)
	if !facts.Began.IsZero() {
		e.Began, e.Waited = &facts.Began, seconds(max(0, facts.Began.Sub(x.Created)))
	}
	if x.Stderr.Bytes > 0 {
		e.Stderr = &x.Stderr
	}
	return e
}

// Holder is a worker that lists a task.
type Holder struct {
	ID      string    `json:"id"`
	Queue   string    `json:"queue"` // Queue, Host and PID as in WorkerStatus
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"` // its list last changed
	Seconds float64   `json:"seconds"`
	Place   int       `json:"place"` // in the list: 1 is executed, the others queue
}

// Wait is why a task is not finished. Why is one of running, queued, no_leader,
// no_worker (of its queue), all_drained (the workers of its queue), all_busy, soon, apart (from
// tasks that were lost as often), malformed (its name or state, or a read error), unreadable
// (its state or a permanent znode may not be read, so the reason is unknown).
type Wait struct {
	Why   string `json:"why"`
	Text  string `json:"text"`
	Ahead *int   `json:"ahead,omitempty"` // all_busy: tasks that are assigned before it
}

const (
	waitRunning   = "running"
	waitQueued    = "queued"
	waitLeader    = "no_leader"
	waitWorker    = "no_worker"
	waitDrained   = "all_drained"
	waitBusy      = "all_busy"
	waitSoon      = "soon"
	waitApart     = "apart"
	waitMalformed = "malformed"
	waitSecret    = "unreadable"
)

// why says why a task is not finished; "" if it is.
func (c *Case) why(holders []Holder) string {
	queue := c.Task.queue()
	crew := c.Tree.crew(&queue)
	switch {
	case c.Task.Err == nil && (c.Task.Phase == task.Done || c.Task.Phase == task.Failed):
		return ""
	case slices.ContainsFunc(holders, func(h Holder) bool { return h.Place == 1 }):
		return waitRunning
	case len(holders) > 0:
		return waitQueued
	case session.Refused(c.Task.Err):
		return waitSecret
	case !c.Task.wellFormed():
		return waitMalformed
	case len(c.Tree.Dirs) > 0:
		return waitSecret
	case len(c.Tree.Candidates) == 0:
		return waitLeader
	case crew.total == 0:
		return waitWorker
	case crew.total == crew.draining:
		return waitDrained
	case crew.free == 0:
		return waitBusy
	case c.Rival != nil:
		return waitApart
	}
	return waitSoon
}

func (c *Case) holders(now time.Time) []Holder {
	all := []Holder{}
	for _, w := range c.Tree.holders()[c.Task.Name] {
		place := 1
		for w.Tasks[place-1] != c.Task.Name {
			place++
		}
		queue, host, pid := task.ParseWorkerName(w.Name)
		all = append(all, Holder{w.Name, queue, host, pid, w.Modified, seconds(since(now, w.Modified)), place})
	}
	return all
}

// Explain explains a case.
func Explain(c *Case, now time.Time) Explanation {
	x := &c.Task
	at := now.Truncate(time.Millisecond)
	now, warnings := (&Tree{Candidates: c.Tree.Candidates, Workers: c.Tree.Workers, Tasks: []Task{*x}}).clocks(now)
	e := Explanation{
		Time: at, Warnings: warnings, ID: x.Name, Queue: x.queue(), State: x.Phase.String(), Losses: x.Losses, Payload: c.Payload,
		Workers: c.holders(now),
	}
	if c.PayloadErr != nil {
		e.noPayload = c.Tree.Access.unreadable(c.PayloadErr)
	}
	switch {
	case session.Refused(x.Err):
		e.State = "unreadable"
	case x.Err != nil || x.Phase == task.Malformed:
		e.State = "malformed"
	}
	if x.Err == nil {
		e.Submitted, e.Age = &x.Created, seconds(since(now, x.Created))
		e.Detached = x.Owner == 0
		if !e.Detached {
			e.Owner = fmt.Sprintf("%#x", x.Owner)
		}
		switch took := seconds(since(x.Modified, x.Created)); x.Phase {
		case task.Done:
			e.Result, e.Finished, e.Took = &x.Text, &x.Modified, &took
		case task.Failed:
			e.Reason, e.Finished, e.Took = &x.Text, &x.Modified, &took
		}
	}
	e.Kind, e.Timeout = x.Facts.Get(task.FactKind), seconds(x.Facts.Duration(task.FactTimeout))
	e.Execution = execution(x)
	e.Waits = c.wait(e.Workers)
	return e
}

func (c *Case) wait(holders []Holder) *Wait {
	w := &Wait{Why: c.why(holders)}
	queue := c.Task.queue()
	crew := c.Tree.crew(&queue)
	switch w.Why {
	case "":
		return nil
	case waitRunning:
		w.Text = "its worker has not committed a result yet"
	case waitQueued:
		w.Text = fmt.Sprintf("%s %s before it in its worker's list", count(holders[0].Place-1, "task"), are(holders[0].Place-1))
	case waitMalformed:
		w.Text = malformed(&c.Task)
	case waitSecret:
		what, why := "its state", c.Task.Err
		if why == nil {
			what, why = c.Tree.Dirs[0].Name, c.Tree.Dirs[0].Err
		}
		w.Text = "the reason is not known: " + what + " " + unreadable(why)
	case waitLeader:
		w.Text = "there is no leader: start a master"
	case waitWorker:
		w.Text = NoWorker(queue, c.Tree.crew(nil).total)
	case waitDrained:
		w.Text = AllDrained(queue, crew.total, crew.drains)
	case waitBusy:
		w.Ahead = &c.Ahead
		that := ""
		if crew.draining > 0 {
			that = "not drained"
		}
		w.Text = allWorkers(crew.total-crew.draining, queue, that, "busy")
		if c.Ahead > 0 {
			w.Text += fmt.Sprintf(", and %s %s ahead of it", count(c.Ahead, "task"), are(c.Ahead))
		}
	case waitSoon:
		w.Text = "a worker is free: the leader is about to assign it (a task that left a worker's list unfinished is retried after some seconds; after several such returns, after minutes)"
	case waitApart:
		w.Text = fmt.Sprintf("a worker is free, but its process executes task %s, which was lost %s as well: they run in different processes, because one of them may be what ends the process",
			name(c.Rival.Name), often(c.Rival.Losses))
	}
	if c.Tree.Access.Err != nil && slices.Contains([]string{waitLeader, waitWorker, waitSecret}, w.Why) {
		w.Text = "until the policy can be read no program creates anything: " + access.Znode + ": " + c.Tree.Access.why()
	}
	return w
}

// Text is the explanation for people.
func (e Explanation) Text() string {
	var b strings.Builder
	for _, l := range e.Lines() {
		fmt.Fprintf(&b, "%-11s%s\n", l.Label, l.Text)
	}
	return b.String()
}

// Line is one of Text's. It is printable.
type Line struct{ Label, Text string }

// Lines is Text, line by line.
func (e Explanation) Lines() (lines []Line) {
	line := func(label, format string, args ...any) {
		lines = append(lines, Line{label, fmt.Sprintf(format, args...)})
	}
	secs := func(sec float64) string { return age(time.Duration(sec * float64(time.Second))) }
	line("task", "%s", name(e.ID))
	if e.Queue != "" {
		line("queue", "%s", name(e.Queue))
	}
	state := e.State
	if e.Waits != nil && e.Waits.Why == waitRunning && state == task.Pending.String() {
		state = "running" // as in status
	}
	switch {
	case e.Result != nil:
		state += fmt.Sprintf(", %s: %s", count(e.Result.Bytes, "byte"), quoted(*e.Result))
	case e.Reason != nil:
		state += ": " + e.Reason.String()
	case e.Losses > 0:
		state += fmt.Sprintf(", %s lost with %s", count(e.Losses, "execution"), map[bool]string{true: "its worker", false: "their workers"}[e.Losses == 1])
	}
	line("state", "%s", state)
	for _, w := range e.Workers {
		switch {
		case e.Finished != nil:
			line("listed", "by worker %s, for %s: it frees itself", name(w.ID), secs(w.Seconds))
		case w.Place == 1:
			line("runs", "on worker %s, for %s: no result is committed yet", name(w.ID), secs(w.Seconds))
		default:
			line("queues", "on worker %s, for %s", name(w.ID), secs(w.Seconds))
		}
	}
	if e.Waits != nil && e.Waits.Why != waitRunning {
		line("waits", "%s", e.Waits.Text)
	}
	if e.Submitted != nil {
		line("submitted", "%s ago, at %s", secs(e.Age), clock(*e.Submitted))
	}
	if e.Finished != nil {
		line("finished", "%s after that, at %s", secs(*e.Took), clock(*e.Finished))
	}
	if x := e.Execution; x != nil {
		on := "on worker " + name(x.Worker)
		if x.Began == nil {
			line("executed", "not at all: refused %s", on)
		} else {
			line("executed", "%s, for %s, %s after its submission, at %s", on, secs(x.Ran), secs(x.Waited), clock(*x.Began))
		}
		if x.Attempt > 1 {
			line("attempt", "%d", x.Attempt)
		}
		if x.Exit != "" {
			line("exit", "%s", printable.Line(x.Exit))
		}
		if x.Stderr != nil {
			line("stderr", "%s: %s", count(x.Stderr.Bytes, "byte"), quoted(*x.Stderr))
		}
	}
	switch {
	case e.Owner != "":
		line("owner", "session %s, with which it vanishes", e.Owner)
	case e.Detached:
		line("owner", "none: it is detached, and outlives its client")
	}
	for _, w := range e.Warnings {
		line("warning", "%s", w.Text)
	}
	if e.Kind != "" {
		line("kind", "%s", printable.Line(e.Kind))
	}
	if e.Timeout > 0 {
		line("timeout", "%s for an execution", secs(e.Timeout))
	}
	switch {
	case e.Payload != nil:
		line("payload", "%s: %s", count(e.Payload.Bytes, "byte"), quoted(*e.Payload))
	case e.noPayload != "":
		line("payload", "%s", e.noPayload)
	default:
		line("payload", "none")
	}
	return lines
}

func quoted(t Text) string {
	s := inQuotes(t.Beginning)
	if t.Bytes > beginning {
		s += "…"
	}
	return s
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
