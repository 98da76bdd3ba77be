package command

import (
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// showName sets the name of this process that ps and top show.
func showName(name string) { _ = os.WriteFile("/proc/self/comm", []byte(name), 0) }

// adoptOrphans makes processes below this one its children when their parents end. So when
// this process has no child, none of them is left.
func adoptOrphans() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// executable is the path of this program. It also works when the file has been replaced.
func executable() (string, error) {
	_, err := os.Stat("/proc/self/exe")
	return "/proc/self/exe", err
}

// change is a child that has ended, and keeps its pid until it is reaped; or a child that
// was stopped.
type change struct {
	pid     int
	stopped bool
}

// nextChange waits for a change. Without block it returns at once, with pid 0 if there is no
// change. It fails when there is no child.
func nextChange(block bool) (c change, err error) {
	options := unix.WEXITED | unix.WSTOPPED | unix.WNOWAIT
	if !block {
		options |= unix.WNOHANG
	}
	var info unix.Siginfo
	for err = error(unix.EINTR); err == unix.EINTR; {
		err = unix.Waitid(unix.P_ALL, 0, &info, options, nil)
	}
	if err != nil || info.Signo == 0 {
		return change{}, err
	}
	// The pid is the first field of a union, which is aligned like a pointer.
	const pid = (3*4 + unsafe.Sizeof(uintptr(0)) - 1) &^ (unsafe.Sizeof(uintptr(0)) - 1)
	c = change{int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), pid))), info.Code == cldStopped}
	if c.stopped { // consume it, so that it is not reported again
		_ = unix.Waitid(unix.P_PID, c.pid, nil, unix.WSTOPPED|unix.WNOHANG, nil)
	}
	return c, nil
}

const cldStopped = 5 // CLD_STOPPED

func (c change) reap() (status syscall.WaitStatus) {
	for {
		if _, err := syscall.Wait4(c.pid, &status, 0, nil); err != syscall.EINTR {
			return status
		}
	}
}

// killChildren kills the children of this process. The children's own children then become
// children of this process, so it must be called again when one has ended. No other
// goroutine may reap meanwhile.
func killChildren() {
	for pid := range processes() {
		killChild(pid)
	}
}

// near is how many processes may start while one waits for a processor.
const near = 256

// killNear kills children whose pid is close to that of a child that has just ended. Some
// processes fork and exit all the time: until a scan of all processes reaches one of them,
// that one is gone. killNear is quick enough: most of them still wait for a processor.
func killNear(pid int) (some bool) {
	for n := pid + near; n > max(1, pid-near); n-- {
		some = killChild(n) || some
	}
	return some
}

func killChild(pid int) bool { return isChild(pid) && syscall.Kill(pid, syscall.SIGKILL) == nil }

// killByName kills the processes whose environment names that task and worker.
func killByName(task, worker string) {
	want := []string{"TASK_ID=" + task, "WORKER_ID=" + worker}
	for some := true; some; { // a killed process may have started another one
		some = false
		for pid := range processes() {
			text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ") // empty if the process has ended
			env := strings.Split(string(text), "\x00")
			if slices.Contains(env, want[0]) && slices.Contains(env, want[1]) {
				some = syscall.Kill(pid, syscall.SIGKILL) == nil || some
			}
		}
	}
}

func processes() iter.Seq[int] {
	return func(yield func(pid int) bool) {
		dir, err := os.Open("/proc")
		if err != nil {
			return
		}
		defer dir.Close()
		names, _ := dir.Readdirnames(-1)
		for _, name := range names {
			if pid, err := strconv.Atoi(name); err == nil && !yield(pid) {
				return
			}
		}
	}
}

func isChild(pid int) bool {
	return unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == nil
}

// is reports whether a child has changed in one of the ways that the options name.
func is(pid, options int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, options|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}

// reap waits for the children that have ended, except those for which awaited is true:
// other code waits for them.
func reap(awaited func(pid int) bool) {
	for pid := range processes() {
		if is(pid, unix.WEXITED) && !awaited(pid) {
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
	}
}

// isStopped reports whether a child of this process is stopped.
func isStopped(pid int) bool { return is(pid, unix.WSTOPPED) }

// pipe returns a pipe that no other process inherits.
func pipe() (read, write int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p[0], p[1], err
}
