package zktest

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Process is a child process with a process group of its own.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and its output is complete
}

// Spawn starts a command as a child process. The child is killed when this process ends, however
// this process ends. When the child has ended, the function ended is called, unless it is nil.
func Spawn(cmd *exec.Cmd, ended func()) (*Process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // a Ctrl-C in the terminal is for this process only
		Pdeathsig: syscall.SIGKILL,
	}
	p, started := &Process{cmd, make(chan struct{})}, make(chan error)
	go func() { // ends with the child
		defer close(p.done)
		// The kernel sends Pdeathsig when the thread ends that started the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // ProcessState has the status
		if ended != nil {
			ended()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Pid is the process's id, also after its end.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and its output is complete.
func (p *Process) Done() <-chan struct{} { return p.done }

// State is how the process has ended.
func (p *Process) State() *os.ProcessState { return p.cmd.ProcessState }

// Alive reports whether the process runs. A nil one does not.
func (p *Process) Alive() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process. One that has ended is an error.
func (p *Process) Signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// SignalGroup sends a signal to the process, unless it has ended, and to what it has started.
func (p *Process) SignalGroup(sig syscall.Signal) {
	if p.Alive() {
		_ = syscall.Kill(-p.Pid(), sig) // fails only when all have just ended
	}
}

// Kill ends the process, unless it has ended, and what it has started. It returns when the
// process is gone.
func (p *Process) Kill() {
	if p.Alive() {
		p.SignalGroup(syscall.SIGKILL)
		<-p.done
	}
}
