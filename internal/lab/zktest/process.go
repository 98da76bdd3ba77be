package zktest

import (
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Spawn starts a command as a child process in a process group of its own. The child is killed
// when this process ends, however this process ends. The channel is closed when the child has
// ended and its output is complete. Before that, the function ended is called, unless it is nil.
func Spawn(cmd *exec.Cmd, ended func()) (done <-chan struct{}, err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // a Ctrl-C in the terminal is for this process only
		Pdeathsig: syscall.SIGKILL,
	}
	gone, started := make(chan struct{}), make(chan error)
	go func() { // ends with the child
		defer close(gone)
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
	return gone, <-started
}

// process is a server's process.
type process struct {
	cmd  *exec.Cmd
	done <-chan struct{} // closed when it has ended
}

func (p *process) alive() bool {
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

// signal sends signals to the process group. A process that has just ended needs no care: its
// number is not used again before alive is false.
func (p *process) signal(signals ...syscall.Signal) {
	for _, sig := range signals {
		if p.alive() {
			syscall.Kill(-p.cmd.Process.Pid, sig)
		}
	}
}

// end sends signals, and returns when the process has ended. A process that outlives the
// signals for ten seconds is killed.
func (p *process) end(signals ...syscall.Signal) {
	if !p.alive() {
		return
	}
	p.signal(signals...)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.signal(syscall.SIGKILL)
		<-p.done
	}
}
