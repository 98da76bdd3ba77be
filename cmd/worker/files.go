package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/command"
)

// otherFiles is how many files a worker opens besides those open at the start: one connection
// and the next, the look-up of a host name, and the high numbers to which the descriptors of a
// child are moved for a moment.
const otherFiles = 16

// enoughFiles fails if the limit of open files is too low for a command in each slot: a slot
// that cannot open files gives its task back. The Go runtime has raised the limit to the
// maximum already.
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
