package command

import (
	"strconv"
	"strings"
	"syscall"
)

// fate is what a supervisor reports of a command, in lines: "begins" just before the
// command does; "group" and a number, once it runs; "stopped" when it is; then "status"
// and a wait status; or "error" and a number when it could not be started. Neither of
// these two means that the supervisor was ended.
type fate struct {
	begins  bool
	group   int
	stopped bool
	status  syscall.WaitStatus
	err     syscall.Errno
	known   bool
}

// report writes a line of the above. If the worker is gone, the lifeline tells.
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
	case word == "group" && err == nil && n > 1: // else it would mean us, or all
		f.group = int(n)
	case word == "begins":
		f.begins = true
	case word == "stopped":
		f.stopped = true
	case word == "status" && err == nil:
		f.status, f.known = syscall.WaitStatus(n), true
	}
}
