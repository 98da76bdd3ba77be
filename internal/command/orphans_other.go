//go:build !linux

package command

import (
	"os"
	"syscall"
)

func showName(string) {}

func adoptOrphans() error { return nil }

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func executable() (string, error) { return os.Executable() }

// change is a child that has ended and is reaped already; or a child that was stopped.
type change struct {
	pid     int
	stopped bool
	status  syscall.WaitStatus
}

func nextChange(block bool) (c change, err error) {
	options := syscall.WUNTRACED
	if !block {
		options |= syscall.WNOHANG
	}
	for err = error(syscall.EINTR); err == syscall.EINTR; {
		c.pid, err = syscall.Wait4(-1, &c.status, options, nil)
	}
	c.stopped = err == nil && c.pid > 0 && c.status.Stopped()
	return c, err
}

func (c change) reap() syscall.WaitStatus { return c.status }

// Processes that left the group are not known here.
func killChildren()     {}
func killNear(int) bool { return false }

func reap(func(int) bool) {}

// isStopped cannot be implemented here without reaping a child that has ended.
func isStopped(int) bool { return false }

func pipe() (read, write int, err error) {
	var p [2]int
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err = syscall.Pipe(p[:]); err == nil {
		syscall.CloseOnExec(p[0])
		syscall.CloseOnExec(p[1])
	}
	return p[0], p[1], err
}

func killByName(string, string) {}
