package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/task"
)

// Event is a line of a program's log, or a result that a client has printed.
type Event struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Msg     string    `json:"msg"`
	Task    string    `json:"task"`
	Worker  string    `json:"worker"`
	Session string    `json:"session"`
	Server  string    `json:"server"`  // host:port
	Address string    `json:"address"` // of what it serves, a URL
	Err     string    `json:"err"`

	Candidate string `json:"candidate"` // the znode of a master

	From string `json:"-"` // the name of the program that logged it
}

// Result is the Msg of a result.
const Result = "result"

// Programs are running programs, and what they have logged, as one stream.
type Programs struct {
	// Fixed at construction.
	identity func(role string) identity.Files
	out      io.Writer
	colour   bool
	began    time.Time
	follow   sync.WaitGroup

	mu     sync.Mutex // guards the rest, and out
	procs  map[string]*Process
	order  []string // names in the order of their start
	events []Event
	more   chan struct{} // closed, and made anew, when there is another event
	done   int           // results that clients have printed
}

// newPrograms shows what programs log on out, in colours if that is a terminal.
func newPrograms(out io.Writer, identity func(role string) identity.Files) *Programs {
	f, ok := out.(*os.File)
	return &Programs{
		identity: identity, out: out, began: time.Now(), procs: make(map[string]*Process), more: make(chan struct{}),
		colour: ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "",
	}
}

// run starts a command under a name, which begins with the program's: master, worker or
// client. The program must log JSON. Lines on its stdout count as results.
func (ps *Programs) run(name string, command []string) error {
	p, err := Start(Command{Path: command[0], Args: command[1:], Identity: ps.identity})
	if err != nil {
		return err
	}
	ps.mu.Lock()
	ps.procs[name] = p
	ps.order = append(ps.order, name)
	ps.mu.Unlock()
	ps.follow.Go(func() {
		for line := range p.Stderr.Follow(context.Background()) {
			ps.logged(name, line)
		}
	})
	ps.follow.Go(func() {
		for line := range p.Stdout.Follow(context.Background()) {
			ps.printed(name, line)
		}
	})
	return nil
}

// logged keeps a line of a program's log, and shows it.
func (ps *Programs) logged(name, line string) {
	e := Event{From: name, Time: time.Now()}
	if json.Unmarshal([]byte(line), &e) != nil {
		e.Msg = line
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.add(e)
	text := e.Msg
	for _, id := range []string{e.Task, e.Worker} {
		switch {
		case id == "" || id == e.Worker && e.Task != "" && strings.HasPrefix(name, "worker"):
		case id == e.Worker && e.Task != "":
			text += " to " + Short(id)
		default:
			text += " " + Short(id)
		}
	}
	if e.Address != "" {
		text += " at " + e.Address
	}
	if e.Err != "" {
		text += ": " + e.Err
	}
	if e.Msg != "connected" {
		ps.show(e.Time, name, text)
	}
}

// printed keeps a result, and shows it.
func (ps *Programs) printed(name, line string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	e := Event{From: name, Time: time.Now(), Msg: Result}
	ps.done++
	ps.add(e)
	ps.show(e.Time, name, strings.NewReplacer("task ", "", ": sleep", " slept").Replace(shorten(line)))
}

// add keeps an event. The caller holds mu.
func (ps *Programs) add(e Event) {
	ps.events = append(ps.events, e)
	close(ps.more)
	ps.more = make(chan struct{})
}

// Say shows a line of the caller's own.
func (ps *Programs) Say(format string, args ...any) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.show(time.Now(), "", fmt.Sprintf(format, args...))
}

// colours by the first letter of the program; the caller's own lines are bold.
var colours = map[byte]string{'m': "\033[35m", 'w': "\033[36m", 'c': "\033[32m", ' ': "\033[1m"}

func (ps *Programs) show(at time.Time, name, text string) {
	line := fmt.Sprintf("%-9s %s", name, text)
	if name == "" {
		line = "───────── " + text
	}
	if ps.colour {
		key := byte(' ')
		if name != "" {
			key = name[0]
		}
		line = colours[key] + line + "\033[0m"
	}
	fmt.Fprintf(ps.out, "%6.2fs  %s\n", max(0, at.Sub(ps.began).Seconds()), line)
}

// Short is a part of an id, enough to tell a few apart: the end, or of a client's task
// the low digits of its time, since the end is the same for all that it submits.
func Short(id string) string {
	if _, rest := task.SplitQueue(id); !task.ParseName(id).ByHand {
		return "…" + rest[9:18]
	}
	return "…" + id[max(0, len(id)-6):]
}

// shorten shortens the id in a line that begins with it.
func shorten(line string) string {
	word, rest, ok := strings.Cut(strings.TrimPrefix(line, "task "), ":")
	if !ok {
		return line
	}
	return Short(word) + ":" + rest
}

// Await returns the first event after a moment that matches. It fails when ctx ends before
// there is one; what says what was waited for.
func (ps *Programs) Await(ctx context.Context, since time.Time, what string, match func(Event) bool) (Event, error) {
	for n := 0; ; {
		ps.mu.Lock()
		events, more := ps.events[n:], ps.more
		ps.mu.Unlock()
		for _, e := range events {
			if e.Time.After(since) && match(e) {
				return e, nil
			}
		}
		n += len(events)
		select {
		case <-more:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		}
	}
}

// Finished waits until the clients have printed n results in all.
func (ps *Programs) Finished(ctx context.Context, n int) error {
	if n <= 0 {
		return nil
	}
	_, err := ps.Await(ctx, time.Time{}, fmt.Sprintf("%d results", n), func(e Event) bool {
		if e.Msg == Result {
			n--
		}
		return n <= 0
	})
	return err
}

// Leader is the name of the master that was elected last.
func (ps *Programs) Leader() (name string) {
	for _, e := range ps.Events() {
		if e.Msg == "leader" {
			name = e.From
		}
	}
	return name
}

// Events are all events so far.
func (ps *Programs) Events() []Event {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return slices.Clone(ps.events)
}

// Logged tells whether a line about a task was logged.
func (ps *Programs) Logged(msg, task string) bool {
	return slices.ContainsFunc(ps.Events(), func(e Event) bool { return e.Msg == msg && e.Task == task })
}

// Results is how many results the clients have printed.
func (ps *Programs) Results() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.done
}

// Repeated is how many executions were begun beyond the first of each task.
func (ps *Programs) Repeated() int {
	begun, ids := 0, map[string]bool{}
	for _, e := range ps.Events() {
		if e.Msg == "task started" {
			begun++
			ids[e.Task] = true
		}
	}
	return begun - len(ids)
}

// Process is the one that was started last under a name.
func (ps *Programs) Process(name string) *Process {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.procs[name]
}

// Signal sends a signal to a program. One that has ended is an error.
func (ps *Programs) Signal(name string, sig syscall.Signal) error {
	return ps.Process(name).Signal(sig)
}

// Exit waits for a program's end, which must have the wanted status.
func (ps *Programs) Exit(ctx context.Context, name string, want int) error {
	status, err := ps.Process(name).Wait(ctx)
	if err == nil && status != want {
		err = fmt.Errorf("%s ended with status %d, not %d", name, status, want)
	}
	return err
}

// StopAll ends all programs that still run by SIGTERM, the last one that was started first.
// Each must end with status 0.
func (ps *Programs) StopAll(ctx context.Context) error {
	ps.mu.Lock()
	names := slices.Clone(ps.order)
	ps.mu.Unlock()
	for _, name := range slices.Backward(names) {
		if ps.Signal(name, syscall.SIGTERM) != nil {
			continue // it has ended before
		}
		if err := ps.Exit(ctx, name, 0); err != nil {
			return err
		}
	}
	return nil
}

// KillAll kills all programs that still run.
func (ps *Programs) KillAll() {
	ps.mu.Lock()
	procs := ps.procs
	ps.mu.Unlock()
	for _, p := range procs {
		p.Kill()
	}
	ps.follow.Wait()
}

// programPath is the path of the program that a name begins with.
func programPath(dir, name string) string {
	program, _, _ := strings.Cut(name, "-")
	return filepath.Join(dir, program)
}
