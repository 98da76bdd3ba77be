package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/lab/zktest"
)

// Command is what to run.
type Command struct {
	Path string
	Args []string // without the program's name
	Dir  string   // the working directory; without, the parent's
	Env  []string // "KEY=value", beside the parent's environment
	In   string   // standard input; empty without

	// Identity gives the program the certificate of its role, unless Env or its flags have
	// another one. Without it, as where it returns the zero value, the parent's stands.
	Identity func(role string) identity.Files
}

func (c Command) String() string {
	return strings.Join(append([]string{filepath.Base(c.Path)}, c.Args...), " ")
}

// Process is one child process. Its methods may be called from any goroutine.
type Process struct {
	*zktest.Process
	Stdout, Stderr *Output
	command        Command
}

// drain is how long output is read on after the end, for what children of the
// process still hold open.
const drain = time.Second

// Start starts a program. The caller must see to its end: Wait or Kill.
func Start(c Command) (*Process, error) {
	p := &Process{Stdout: &Output{}, Stderr: &Output{}, command: c}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir = c.Dir
	cmd.Env = slices.Concat(os.Environ(), Environment(c.Identity, append([]string{c.Path}, c.Args...)...), c.Env)
	cmd.Stdout, cmd.Stderr = p.Stdout, p.Stderr
	if c.In != "" {
		cmd.Stdin = strings.NewReader(c.In)
	}
	cmd.WaitDelay = drain
	var err error
	p.Process, err = zktest.Spawn(cmd, func() {
		p.Stdout.end()
		p.Stderr.end()
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c, err)
	}
	return p, nil
}

func (p *Process) String() string { return p.command.String() }

// Signal sends a signal to the process. One that has ended is an error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.Process.Signal(sig); err != nil {
		return fmt.Errorf("send %v to %s: %w", sig, p, err)
	}
	return nil
}

// BlockStderr leaves what the process writes to its standard error unread, until the
// returned function is called. The pipe then holds one page at most.
func (p *Process) BlockStderr() (unblock func(), err error) {
	pipe, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", p.Pid()), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("block the log of %s: %w", p, err)
	}
	defer pipe.Close()
	p.Stderr.reading.Lock()
	if _, err := unix.FcntlInt(pipe.Fd(), unix.F_SETPIPE_SZ, os.Getpagesize()); err != nil && !errors.Is(err, unix.EBUSY) {
		p.Stderr.reading.Unlock()
		return nil, fmt.Errorf("block the log of %s: %w", p, err)
	}
	return p.Stderr.reading.Unlock, nil
}

// Wait waits for the end and returns the exit status; as in a shell, that is
// 128 and the signal's number when a signal ended it.
func (p *Process) Wait(ctx context.Context) (status int, err error) {
	select {
	case <-p.Done():
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for the end of %s: %w", p, context.Cause(ctx))
	}
	if ws, ok := p.State().Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return p.State().ExitCode(), nil
}
