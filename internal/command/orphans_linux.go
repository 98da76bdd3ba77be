package command

import (
	"bytes"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// adopts: processes whose parents end become children of the supervisor, so
// that none is left when it has no child.
const adopts = true

func adoptOrphans() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// executable is this very program, also when its file has been replaced.
func executable() (string, error) {
	_, err := os.Stat("/proc/self/exe")
	return "/proc/self/exe", err
}

// killLeft kills the command's group, while the command itself keeps its number
// from being used again, and the supervisor's children. Their own children become
// the supervisor's by that, so it is called again when one has ended.
func killLeft(group int, ended bool) {
	if !ended {
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
	all, _ := os.ReadDir("/proc")
	for _, entry := range all {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && parent(pid) == os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// parent is 0 for a process that is gone.
func parent(pid int) int {
	stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name before may hold anything
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(string(fields[1]))
	return ppid
}
