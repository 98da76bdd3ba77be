package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/task"
)

// ErrCannotStart is wrapped by each error of Execute that is the fault of this worker, not
// of the task: the program or its interpreter is missing, must not be executed or is being
// written; processes, memory or descriptors ran out; or the supervisor ended by itself.
// Every other error is the task's failure.
var ErrCannotStart = errors.New("cannot start the command")

// ErrAbandoned is wrapped as well if the supervisor ended by itself after the command had
// begun. Then a later command that has begun does not show that the fault is over.
var ErrAbandoned = errors.New("its supervisor ended while the command ran")

// Config configures a Command.
type Config struct {
	Words     []string      // the program and its arguments
	Any       bool          // no Words: each payload is a command line
	KillAfter time.Duration // from SIGTERM to SIGKILL; default 0
	KeepEnd   bool          // keep the newline at the end of a result
	MaxResult int           // in bytes; a task with a larger result fails; default 800,000
	Logger    *slog.Logger  // default: nothing is logged
}

// maxOutput is how many bytes of standard output a command may write. A command that writes
// more may never stop, so it is ended.
const maxOutput = 64 << 20

// Command executes tasks, any number at a time.
type Command struct {
	cfg  Config
	self string // this program
	path string
	fed  bool // the payload is standard input; if not, standard input is empty
	idle idle // the supervisors that wait for the next command
}

// New checks the configuration, and looks the program up.
func New(cfg Config) (*Command, error) {
	if cfg.MaxResult == 0 {
		cfg.MaxResult = 800_000
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	self, err := executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	createThreads(4) // now, before commands may use up the user's threads
	if cfg.Any {
		return &Command{cfg: cfg, self: self}, nil
	}
	if len(cfg.Words) == 0 || cfg.Words[0] == "" {
		return nil, errEmpty
	}
	program := cfg.Words[0]
	if err := checkPlaceholders(cfg.Words); err != nil {
		return nil, err
	}
	path, err := lookPath(program)
	if err != nil {
		return nil, err
	}
	return &Command{cfg: cfg, self: self, path: path, fed: !slices.ContainsFunc(cfg.Words, holds)}, nil
}

var errEmpty = errors.New("the command is empty: give a program and its arguments")

func lookPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		for inner := err; inner != nil; inner = errors.Unwrap(inner) {
			err = inner // the outer errors name the program as well
		}
		return "", fmt.Errorf("cannot run %.200q: %w", program, err)
	}
	return path, nil
}

// Execute is a task.Func. When ctx ends, Execute ends the command and all processes that
// the command has started, waits for their end, and returns.
func (c *Command) Execute(ctx context.Context, e task.Execution) (task.Outcome, error) {
	path, words := c.path, c.cfg.Words
	var err error
	if c.cfg.Any {
		var status string
		if path, words, status, err = parseLine(e.Payload); err != nil {
			return task.Outcome{Exit: status}, err
		}
	} else if words, err = fill(words, e.Payload); err != nil {
		return task.Outcome{}, err
	}
	r, err := request{path: path, task: e.Task, worker: e.Worker, words: words}.encode()
	if err != nil {
		return c.startError(err, path, words[0], len(e.Payload))
	}
	for {
		if ctx.Err() != nil {
			return task.Outcome{}, context.Cause(ctx)
		}
		s, err := c.take()
		if err != nil {
			return task.Outcome{}, cannotStart(words[0], err)
		}
		used := s.used
		x, err := c.execute(ctx, e, s, r)
		if err != nil {
			return task.Outcome{}, cannotStart(words[0], err)
		}
		if x.left != nil && !x.fate.begins && used { // the supervisor ended while it was idle
			continue
		}
		return c.outcome(ctx, x, path, words[0], len(e.Payload))
	}
}

// execution is the outcome of a command.
type execution struct {
	fate   fate
	stdout *head
	stderr *tail
	left   *os.ProcessState // of the supervisor, if it ended before it reported the outcome
}

// execute executes one command by a supervisor. It keeps the supervisor for the next
// command if that can still be used.
func (c *Command) execute(ctx context.Context, e task.Execution, s *supervisor, request []byte) (x execution, err error) {
	pipes, err := openStreams(c.fed)
	if err != nil {
		c.keep(s)
		return x, err
	}
	x.stdout, x.stderr = &head{keep: c.cfg.MaxResult + 1, most: maxOutput, giveUp: s.end}, &tail{}
	unwatch := c.watch(ctx, e, s)
	undo := context.AfterFunc(ctx, s.end)
	if c.fed {
		pipes.feed(e.Payload)
	}
	s.used = true
	sent := s.send(request, pipes.theirs)
	pipes.closeTheirs()
	pipes.collect(x.stdout, x.stderr)
	if sent == nil {
		s.listen(&x.fate, func() {
			c.cfg.Logger.Warn("command is stopped and counts as running; kill -CONT continues it",
				"task", e.Task, "worker", e.Worker, "pid", x.fate.group)
		})
	}
	unwatch()
	switch {
	case x.fate.known:
	case x.fate.group > 0:
		_ = syscall.Kill(-x.fate.group, syscall.SIGKILL) // fails only when the whole group is gone
	case x.fate.begins: // the supervisor ended before it reported the group
		killByName(e.Task, e.Worker)
	}
	pipes.finish()
	if undo() && x.fate.known && s.reusable() {
		c.keep(s)
		return x, nil
	}
	state := s.drop()
	if !x.fate.known {
		x.left = state
	}
	return x, nil
}

// outcome returns the task's outcome.
func (c *Command) outcome(ctx context.Context, x execution, path, program string, payload int) (task.Outcome, error) {
	f, state := x.fate, x.left
	o := task.Outcome{Stderr: x.stderr.end()}
	if f.known && f.err == 0 {
		o.Exit = exit(f.status)
	}
	failed := func(format string, args ...any) (task.Outcome, error) {
		o.Stdout = x.stdout.beginning()
		return o, fmt.Errorf(format, args...)
	}
	switch {
	case ctx.Err() != nil:
		return failed("%w", context.Cause(ctx))
	case !f.known && f.group == 0 && !(f.begins && signaled(state)):
		return task.Outcome{}, cannotStart(program, fmt.Errorf("its supervisor ended before the command began: %v", state))
	case !f.known && state.Exited(): // by the Go runtime, when it got no thread or memory
		return task.Outcome{}, cannotStart(program, fmt.Errorf("%w: %v", ErrAbandoned, state))
	case !f.known:
		return failed("the supervisor of %.200s was ended: %v", program, state)
	case f.err != 0:
		return c.startError(f.err, path, program, payload)
	case x.stdout.size > maxOutput:
		return failed("result of more than %d bytes is too large: at most %d", maxOutput, c.cfg.MaxResult)
	case f.status != 0:
		return failed("%s", reason(f.status, x.stderr.String()))
	}
	result := x.stdout.data
	if !c.cfg.KeepEnd {
		result = bytes.TrimSuffix(result, []byte("\n"))
	}
	if len(result) > c.cfg.MaxResult {
		return failed("result of %d bytes is too large: at most %d", x.stdout.size, c.cfg.MaxResult)
	}
	o.Result = result
	return o, nil
}

// startError is the error of a command that could not be executed.
func (c *Command) startError(err error, path, program string, payload int) (task.Outcome, error) {
	switch _, missing := os.Stat(path); {
	case errors.Is(err, syscall.E2BIG) && !c.cfg.Any && !c.fed:
		return task.Outcome{}, fmt.Errorf("start %s: the payload of %d bytes is too long for an argument: %s", program, payload, withoutPlaceholder)
	case missing == nil && err == syscall.ENOENT:
		err = fmt.Errorf("%w: the file is there, but not the interpreter that its first line names", err)
	}
	if c.cfg.Any && !isWorkersFault(err) {
		return task.Outcome{Exit: exitOf(err)}, fmt.Errorf("cannot run %.200q: %w", program, err)
	}
	return task.Outcome{}, cannotStart(program, err)
}

func cannotStart(program string, err error) error {
	return fmt.Errorf("%w: %.200s: %w", ErrCannotStart, program, err)
}

// reason says how a command failed, and adds the end of its standard error.
func reason(status syscall.WaitStatus, stderr string) string {
	how := "exit status " + strconv.Itoa(status.ExitStatus())
	if status.Signaled() {
		how = "ended by " + signalName(status.Signal())
	}
	if stderr == "" {
		return how
	}
	return how + ": " + stderr
}

// exit is the exit status or signal of a command, for task.Outcome.
func exit(status syscall.WaitStatus) string {
	if status.Signaled() {
		return signalName(status.Signal())
	}
	return strconv.Itoa(status.ExitStatus())
}

func signaled(s *os.ProcessState) bool { return s.Sys().(syscall.WaitStatus).Signaled() }

// signalName is the name of a signal. Real-time signals have none.
func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(int(sig))
}
