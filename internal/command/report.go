package command

import (
	"strconv"
	"strings"
	"syscall"
)

// fate is what a supervisor reports about a command, in lines: "begins" just before the
// command starts; "group" and the process group when it runs; "stopped" when it is stopped;
// at last "status" and the wait status, or "error" and the errno if it could not be started.
// Without the last line the supervisor ended too early.
type fate struct {
	begins  bool
	group   int
	stopped bool
	status  syscall.WaitStatus
	err     syscall.Errno
	known   bool
}

// report writes such a line. It ignores errors: if the worker is gone, the lifeline closes.
func report(line string) {
	for {
		if _, err := syscall.Write(requestFD, []byte(line)); err != syscall.EINTR {
			return
		}
	}
}

func (f *fate) add(line string) {
	word, rest, _ := strings.Cut(line, " ")
	n, err := strconv.ParseUint(rest, 10, 32)
	switch {
	case word == "error" && err == nil:
		f.err, f.known = syscall.Errno(n), true
	case word == "group" && err == nil && n > 1: // 0 and 1 would signal the worker's group, or all processes
		f.group = int(n)
	case word == "begins":
		f.begins = true
	case word == "stopped":
		f.stopped = true
	case word == "status" && err == nil:
		f.status, f.known = syscall.WaitStatus(n), true
	}
}
