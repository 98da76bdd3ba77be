package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/task"
)

// ErrCannotStart is wrapped by each error of Execute that is the fault of this
// worker, not of the task: the program is missing, may not be executed, is being
// written or names no interpreter, or processes, memory or descriptors ran out.
// Every other error is the task's failure.
var ErrCannotStart = errors.New("cannot start the command")

// ErrAbandoned is wrapped by those of them that came when the command had begun: its
// supervisor ended by itself. So a command that has begun proves nothing then.
var ErrAbandoned = errors.New("its supervisor ended while the command ran")

// Config says what to execute.
type Config struct {
	Words     []string      // the program and its arguments
	KillAfter time.Duration // what a command has to end in after SIGTERM; default: nothing
	KeepEnd   bool          // leave the newline at the end of a result
	MaxResult int           // in bytes; what is larger fails; default 800,000
	Logger    *slog.Logger  // default: none
}

// hopeless is how much output is worth counting: a command that writes more
// may never stop, so it is ended.
const hopeless = 64 << 20

// Command executes tasks. It holds nothing of an execution, so it may be used
// for any number at a time.
type Command struct {
	cfg   Config
	self  string // this program
	path  string
	fills bool // {} stands in an argument; then standard input is empty
}

// New looks the program up.
func New(cfg Config) (*Command, error) {
	if cfg.MaxResult == 0 {
		cfg.MaxResult = 800_000
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Words) == 0 || cfg.Words[0] == "" {
		return nil, errors.New("the command is empty: give a program and its arguments")
	}
	program := cfg.Words[0]
	if err := checkPlaceholders(cfg.Words); err != nil {
		return nil, err
	}
	path, err := exec.LookPath(program)
	if err != nil {
		for inner := err; inner != nil; inner = errors.Unwrap(inner) {
			err = inner // those around it name the program, too
		}
		return nil, fmt.Errorf("cannot run %q: %w", program, err)
	}
	self, err := executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return &Command{cfg: cfg, self: self, path: path, fills: slices.ContainsFunc(cfg.Words, holds)}, nil
}

// Execute is a task.Func. When ctx ends it ends the command, with all that it
// has started, and returns when that is done.
func (c *Command) Execute(ctx context.Context, e task.Execution) (task.Outcome, error) {
	words, err := fill(c.cfg.Words, e.Payload)
	if err != nil {
		return task.Outcome{}, err
	}
	life, lifeline, err := os.Pipe()
	if err != nil {
		return task.Outcome{}, c.cannotStart(err)
	}
	end := sync.OnceFunc(func() { lifeline.Close() })
	defer end()
	told, report, err := os.Pipe()
	if err != nil {
		life.Close()
		return task.Outcome{}, c.cannotStart(err)
	}
	defer told.Close()

	stdout := &head{keep: c.cfg.MaxResult + 1, most: hopeless, giveUp: end}
	stderr := &tail{}
	cmd := exec.Command(c.self)
	cmd.Args = append([]string{supervisorName, c.cfg.KillAfter.String(), c.path}, words...)
	cmd.Env = append(cmd.Environ(), "TASK_ID="+e.Task, "WORKER_ID="+e.Worker)
	if !c.fills {
		cmd.Stdin = bytes.NewReader(e.Payload)
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.ExtraFiles = []*os.File{lifeFD - 3: life, reportFD - 3: report}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C in the terminal is for the worker
	cmd.WaitDelay = time.Second                           // for a process that got away and holds the output open
	err = startSupervisor(cmd)
	life.Close()
	report.Close()
	if err != nil {
		return task.Outcome{}, c.startError(err, len(e.Payload))
	}
	defer context.AfterFunc(ctx, func() {
		end()
		_ = cmd.Process.Signal(syscall.SIGCONT) // a supervisor that is stopped would not notice
	})()

	watched := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { c.watch(ctx, e, cmd.Process, watched) })

	var fate fate
	for lines := bufio.NewScanner(told); lines.Scan(); { // until the supervisor is gone
		warned := fate.stopped
		fate.add(lines.Text())
		if fate.stopped && !warned {
			c.cfg.Logger.Warn("command is stopped and counts as running; kill -CONT continues it",
				"task", e.Task, "worker", e.Worker, "pid", fate.group)
		}
	}
	if fate.group > 0 && !fate.known {
		_ = syscall.Kill(-fate.group, syscall.SIGKILL) // fails only when all are gone
	}
	close(watched)
	watching.Wait()
	waitForSupervisor(cmd)
	switch {
	case ctx.Err() != nil:
		return task.Outcome{}, context.Cause(ctx)
	case !fate.known && fate.group == 0 && !(fate.begins && signaled(cmd.ProcessState)):
		return task.Outcome{}, c.cannotStart(fmt.Errorf("its supervisor ended before the command began: %v", cmd.ProcessState))
	case !fate.known && cmd.ProcessState.Exited(): // the Go runtime, for want of threads or memory
		return task.Outcome{}, c.cannotStart(fmt.Errorf("%w: %v", ErrAbandoned, cmd.ProcessState))
	case !fate.known:
		return task.Outcome{}, fmt.Errorf("the supervisor of %s was ended: %v", words[0], cmd.ProcessState)
	case fate.err != 0:
		return task.Outcome{}, c.startError(fate.err, len(e.Payload))
	case stdout.size > hopeless:
		return task.Outcome{}, fmt.Errorf("result of more than %d bytes is too large: at most %d", hopeless, c.cfg.MaxResult)
	case fate.status != 0:
		return task.Outcome{Exit: exit(fate.status), Stdout: stdout.data, Stderr: stderr.data}, errors.New(reason(fate.status, stderr.String()))
	}
	result := stdout.data
	if !c.cfg.KeepEnd {
		result = bytes.TrimSuffix(result, []byte("\n"))
	}
	if len(result) > c.cfg.MaxResult {
		return task.Outcome{}, fmt.Errorf("result of %d bytes is too large: at most %d", stdout.size, c.cfg.MaxResult)
	}
	return task.Outcome{Result: result, Exit: "0", Stderr: stderr.data}, nil
}

// startError is why the supervisor, or the command, could not be executed.
func (c *Command) startError(err error, payload int) error {
	if errors.Is(err, syscall.E2BIG) && c.fills {
		return fmt.Errorf("start %s: the payload of %d bytes is too long for an argument: %s", c.cfg.Words[0], payload, withoutPlaceholder)
	}
	if _, missing := os.Stat(c.path); missing == nil && err == syscall.ENOENT {
		err = fmt.Errorf("%w: the file is there, but not the interpreter that its first line names", err)
	}
	return c.cannotStart(err)
}

func (c *Command) cannotStart(err error) error {
	return fmt.Errorf("%w: %s: %w", ErrCannotStart, c.cfg.Words[0], err)
}

// reason says how a command failed, and what it said about that.
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

// exit is how a command ended, as task.Outcome has it.
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
