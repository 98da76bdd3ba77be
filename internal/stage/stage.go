// Package stage runs the built programs together, shows what they log as one
// stream, and waits for what happens in it.
package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/term"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/proc"
	"taskkeeper/internal/session"
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

	From string `json:"-"` // who logged it
}

// Result is the Msg of a result.
const Result = "result"

// Stage runs the programs and shows what they log, in one stream.
type Stage struct {
	// Fixed at construction.
	bin    string
	who    Identity
	out    io.Writer
	colour bool
	began  time.Time
	follow sync.WaitGroup

	mu     sync.Mutex // guards the rest, and out
	cast   map[string]*proc.Process
	order  []string // names in the order of their entry
	events []Event
	more   chan struct{} // closed, and made anew, when there is another
	done   int           // results printed by clients
}

// Identity gives the files of a role; the zero value without TLS.
type Identity func(role string) identity.Files

// New returns an empty stage for the programs in the folder bin, each with the certificate
// of its role; who may be nil. What they log is shown on out, in colours if that is a terminal.
func New(bin string, who Identity, out *os.File) *Stage {
	if who == nil {
		who = func(string) identity.Files { return identity.Files{} }
	}
	return &Stage{
		bin: bin, who: who, out: out, began: time.Now(), cast: make(map[string]*proc.Process), more: make(chan struct{}),
		colour: term.IsTerminal(int(out.Fd())) && os.Getenv("NO_COLOR") == "",
	}
}

// Strike ends whoever is still there.
func (st *Stage) Strike() {
	st.mu.Lock()
	cast := st.cast
	st.mu.Unlock()
	for _, p := range cast {
		p.Kill()
	}
	st.follow.Wait()
}

// Enter starts a program under a name, which begins with the program's: master,
// worker or client. The program is one of the folder, or a path. It is to log as JSON. Lines on its stdout count as results.
func (st *Stage) Enter(name, program string, args ...string) error {
	return st.EnterWithin(nil, name, program, args...)
}

// EnterWithin is Enter, by a command that runs the program somewhere else on this
// machine, and becomes it: ip netns exec NAME is one.
func (st *Stage) EnterWithin(command []string, name, program string, args ...string) error {
	if !filepath.IsAbs(program) {
		program = filepath.Join(st.bin, program)
	}
	args = slices.Concat(command, []string{program}, args)
	p, err := proc.Start(proc.Command{Path: args[0], Args: args[1:], Identity: st.who})
	if err != nil {
		return err
	}
	st.mu.Lock()
	st.cast[name] = p
	st.order = append(st.order, name)
	st.mu.Unlock()
	st.follow.Go(func() {
		for line := range p.Stderr.Follow(context.Background()) {
			st.heard(name, line)
		}
	})
	st.follow.Go(func() {
		for line := range p.Stdout.Follow(context.Background()) {
			at := time.Now()
			st.mu.Lock()
			st.done++
			st.add(Event{From: name, Time: at, Msg: Result})
			st.print(at, name, strings.NewReplacer("task ", "", ": sleep", " slept").Replace(shorten(line)))
			st.mu.Unlock()
		}
	})
	return nil
}

// heard shows a line of a log and keeps it.
func (st *Stage) heard(name, line string) {
	e := Event{From: name, Time: time.Now()}
	if json.Unmarshal([]byte(line), &e) != nil {
		e.Msg = line
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.add(e)
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
		st.print(e.Time, name, text)
	}
}

// add takes an event down. The caller holds mu.
func (st *Stage) add(e Event) {
	st.events = append(st.events, e)
	close(st.more)
	st.more = make(chan struct{})
}

// Say shows a line of the caller's own.
func (st *Stage) Say(format string, args ...any) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.print(time.Now(), "", fmt.Sprintf(format, args...))
}

// colours by the first letter of who speaks; the demo itself is bold.
var colours = map[byte]string{'m': "\033[35m", 'w': "\033[36m", 'c': "\033[32m", ' ': "\033[1m"}

func (st *Stage) print(at time.Time, name, text string) {
	line := fmt.Sprintf("%-9s %s", name, text)
	if name == "" {
		line = "───────── " + text
	}
	if st.colour {
		key := byte(' ')
		if name != "" {
			key = name[0]
		}
		line = colours[key] + line + "\033[0m"
	}
	fmt.Fprintf(st.out, "%6.2fs  %s\n", max(0, at.Sub(st.began).Seconds()), line)
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

// Await returns the first event since then that matches.
func (st *Stage) Await(ctx context.Context, since time.Time, what string, match func(Event) bool) (Event, error) {
	for n := 0; ; {
		st.mu.Lock()
		events, more := st.events[n:], st.more
		st.mu.Unlock()
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

// Finished waits for n results in all.
func (st *Stage) Finished(ctx context.Context, n int) error {
	for {
		st.mu.Lock()
		done, more := st.done, st.more
		st.mu.Unlock()
		if done >= n {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d results: %w", n, context.Cause(ctx))
		}
	}
}

// Leader is the master that was elected last.
func (st *Stage) Leader() (name string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, e := range st.events {
		if e.Msg == "leader" {
			name = e.From
		}
	}
	return name
}

// Events are all that was logged so far, results among it.
func (st *Stage) Events() []Event {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.events)
}

// HeardOf tells whether an event about a task was logged.
func (st *Stage) HeardOf(msg, task string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.ContainsFunc(st.events, func(e Event) bool { return e.Msg == msg && e.Task == task })
}

// Results is how many results the clients have printed.
func (st *Stage) Results() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.done
}

// Twice is how many executions were begun beyond the first of each task.
func (st *Stage) Twice() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	begun, ids := 0, map[string]bool{}
	for _, e := range st.events {
		if e.Msg == "task started" {
			begun++
			ids[e.Task] = true
		}
	}
	return begun - len(ids)
}

// Process is the one that entered last under a name.
func (st *Stage) Process(name string) *proc.Process {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.cast[name]
}

// Signal sends a signal to a program; one that has ended is an error.
func (st *Stage) Signal(name string, sig syscall.Signal) error {
	st.mu.Lock()
	p := st.cast[name]
	st.mu.Unlock()
	return p.Signal(sig)
}

// Exit waits for a program's end, which must have the wanted status.
func (st *Stage) Exit(ctx context.Context, name string, want int) error {
	st.mu.Lock()
	p := st.cast[name]
	st.mu.Unlock()
	status, err := p.Wait(ctx)
	if err == nil && status != want {
		err = fmt.Errorf("%s ended with status %d", name, status)
	}
	return err
}

// Curtain ends those who are left by SIGTERM, the last to enter first.
func (st *Stage) Curtain(ctx context.Context) error {
	st.mu.Lock()
	names := slices.Clone(st.order)
	st.mu.Unlock()
	for _, name := range slices.Backward(names) {
		if st.Signal(name, syscall.SIGTERM) != nil {
			continue // it has ended before
		}
		if err := st.Exit(ctx, name, 0); err != nil {
			return err
		}
	}
	return nil
}

// Children lists a permanent znode; nil if it is missing.
func (st *Stage) Children(ctx context.Context, connect, dir string) ([]string, error) {
	address, err := session.ParseAddress(connect)
	if err != nil {
		return nil, err
	}
	s, err := session.Open(ctx, session.Config{Address: address, TLS: st.who("viewer")})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	names, _, err := s.Children(dir)
	if errors.Is(err, zk.ErrNoNode) {
		return nil, nil
	}
	return names, err
}

// Remains counts the znodes below the permanent ones.
func (st *Stage) Remains(ctx context.Context, connect string) (n int, err error) {
	for _, dir := range task.Dirs() {
		names, err := st.Children(ctx, connect, dir)
		if err != nil {
			return 0, err
		}
		n += len(names)
	}
	return n, nil
}
