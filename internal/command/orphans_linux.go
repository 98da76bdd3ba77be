package command

import (
	"bytes"
	"iter"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// adopts: processes whose parents end become children of the supervisor, so
// that none is left when it has no child.
const adopts = true

// showName gives this process the name that ps and top show.
func showName(name string) { _ = os.WriteFile("/proc/self/comm", []byte(name), 0) }

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
	for pid := range children() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// children are this process's, each with its state, Z for one that has ended.
func children() iter.Seq2[int, byte] {
	return func(yield func(pid int, state byte) bool) {
		all, _ := os.ReadDir("/proc")
		for _, entry := range all {
			pid, err := strconv.Atoi(entry.Name())
			if err != nil {
				continue
			}
			stat, _ := os.ReadFile("/proc/" + entry.Name() + "/stat")
			fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name before may hold anything
			if len(fields) < 2 || string(fields[1]) != strconv.Itoa(os.Getpid()) {
				continue
			}
			if !yield(pid, fields[0][0]) {
				return
			}
		}
	}
}

// reap waits for the children that have ended, but for those of which the
// function says that somebody else does.
func reap(awaited func(pid int) bool) {
	for pid, state := range children() {
		if state == 'Z' && !awaited(pid) {
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
	}
}

// isStopped tells whether a child of this process is stopped.
func isStopped(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}
