package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/command"
)

// otherFiles is what a worker opens beside what it has open at the start: one
// connection and the next, what looks a host name up, and the numbers above all
// others that a child's descriptors get for a moment.
const otherFiles = 16

// enoughFiles fails when the limit of open files is too low for that many commands
// at a time: a slot that gets none gives its task back. Go has raised the limit as
// far as it may be.
func enoughFiles(slots int) error {
	var limit unix.Rlimit
	open, err := os.ReadDir("/dev/fd")
	if err != nil || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return nil
	}
	need := len(open) + otherFiles + slots*command.Files
	switch {
	case uint64(need) <= uint64(limit.Cur):
		return nil
	case slots == 1:
		return fmt.Errorf("a command needs %d open files, the limit is %d: raise it (ulimit -n)", need, limit.Cur)
	}
	return fmt.Errorf("%d slots need %d open files, the limit is %d: raise it (ulimit -n), or lower --slots", slots, need, limit.Cur)
}
