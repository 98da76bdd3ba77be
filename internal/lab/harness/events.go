package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"taskkeeper/internal/task"
)

// Event is a line of a program's log, by the log's keys, or a result that a client has printed.
type Event struct {
	From string `json:"-"` // the name of the program
	Time time.Time

	Msg, Task, Worker, Session, Err string

	Server    string // host:port
	Address   string // of what the program serves, a URL
	Candidate string // the znode of a master
}

// Result is the Msg of a result.
const Result = "result"

// logged keeps a line of a program's log, and shows it.
func (c *Cluster) logged(name, line string) {
	e := Event{From: name, Time: time.Now()}
	if json.Unmarshal([]byte(line), &e) != nil {
		e.Msg = line
	}
	text := e.Msg
	switch fromWorker := strings.HasPrefix(name, "worker"); {
	case e.Task != "" && e.Worker != "" && !fromWorker:
		text += " " + Short(e.Task) + " to " + Short(e.Worker)
	case e.Task != "":
		text += " " + Short(e.Task)
	case e.Worker != "":
		text += " " + Short(e.Worker)
	}
	if e.Address != "" {
		text += " at " + e.Address
	}
	if e.Err != "" {
		text += ": " + e.Err
	}
	if e.Msg == "connected" {
		text = ""
	}
	c.take(e, text)
}

// printed keeps a result, and shows it.
func (c *Cluster) printed(name, line string) {
	text := strings.TrimPrefix(line, "task ")
	if id, rest, ok := strings.Cut(text, ":"); ok {
		text = Short(id) + ":" + rest
	}
	c.take(Event{From: name, Time: time.Now(), Msg: Result}, strings.Replace(text, ": sleep", " slept", 1))
}

// take keeps an event, and shows it as a text; "" shows nothing.
func (c *Cluster) take(e Event, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events.add(false, e)
	if text != "" {
		c.show(e.Time, e.From, fmt.Sprintf("%-9s %s", e.From, text))
	}
}

// Say shows a line of the caller's own.
func (c *Cluster) Say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.show(time.Now(), " ", "───────── "+fmt.Sprintf(format, args...))
}

// colours by the first letter of the program; the caller's own lines are bold.
var colours = map[byte]string{'m': "\033[35m", 'w': "\033[36m", 'c': "\033[32m", ' ': "\033[1m"}

// show writes a line, in colours to a terminal. The caller holds mu.
func (c *Cluster) show(at time.Time, name, line string) {
	if f, ok := c.cfg.Out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" {
		line = colours[name[0]] + line + "\033[0m"
	}
	fmt.Fprintf(c.cfg.Out, "%6.2fs  %s\n", max(0, at.Sub(c.began).Seconds()), line)
}

// Short is a part of an id, enough to tell a few apart: the end, or of a client's task
// the low digits of its time, since the end is the same for all that it submits.
func Short(id string) string {
	if _, rest := task.SplitQueue(id); !task.ParseName(id).ByHand {
		return "…" + rest[9:18]
	}
	return "…" + id[max(0, len(id)-6):]
}

// Events are all events so far.
func (c *Cluster) Events() []Event { return c.events.all() }

// Await returns the first event after a moment that matches. It fails when ctx ends before
// there is one; the error then names what was waited for.
func (c *Cluster) Await(ctx context.Context, since time.Time, what string, match func(Event) bool) (Event, error) {
	for e := range c.events.follow(ctx) {
		if e.Time.After(since) && match(e) {
			return e, nil
		}
	}
	return Event{}, fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
}

// Finished waits until the clients have printed n results in all.
func (c *Cluster) Finished(ctx context.Context, n int) error {
	if n <= 0 {
		return nil
	}
	_, err := c.Await(ctx, time.Time{}, fmt.Sprintf("%d results", n), func(e Event) bool {
		if e.Msg == Result {
			n--
		}
		return n == 0
	})
	return err
}

// with are the events with a message.
func (c *Cluster) with(msg string) (events []Event) {
	for _, e := range c.Events() {
		if e.Msg == msg {
			events = append(events, e)
		}
	}
	return events
}

// Leader is the name of the master that was elected last.
func (c *Cluster) Leader() (name string) {
	for _, e := range c.with("leader") {
		name = e.From
	}
	return name
}

// Logged reports whether a line about a task was logged.
func (c *Cluster) Logged(msg, task string) bool {
	return slices.ContainsFunc(c.with(msg), func(e Event) bool { return e.Task == task })
}

// Results is how many results the clients have printed.
func (c *Cluster) Results() int { return len(c.with(Result)) }

// Repeated is how many executions were begun beyond the first of each task.
func (c *Cluster) Repeated() int {
	begun, ids := c.with("task started"), make(map[string]bool)
	for _, e := range begun {
		ids[e.Task] = true
	}
	return len(begun) - len(ids)
}
