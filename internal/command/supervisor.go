package command

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// supervisorName is what a supervisor is started as, and what ps shows. It holds no
// name of a program, so that whoever kills those by name leaves it to its work.
// Linux shows 15 bytes.
const supervisorName = "task-supervisor"

// What a supervisor has open beside its standard files, which are /dev/null.
const (
	lifeFD    = 3 // read; closed at the other end = end the command, and then yourself
	requestFD = 4 // a socket: requests come, reports go (see fate)
)

// Supervise does the work of a process that was started as a supervisor, and tells
// whether this one was: then it is to end. A program that uses this package calls it
// before anything else.
func Supervise() (was bool) {
	if len(os.Args) != 2 || os.Args[0] != supervisorName {
		return false
	}
	killAfter, err := time.ParseDuration(os.Args[1])
	if err != nil {
		return false
	}
	supervise(killAfter)
	return true
}

func supervise(killAfter time.Duration) {
	showName(supervisorName)
	runtime.GOMAXPROCS(1)  // so that few threads are needed
	debug.SetGCPercent(25) // at 1 MB of garbage, which some hundred commands leave; there is one of us a slot
	// The command's death signal is about the thread that starts it.
	runtime.LockOSThread()
	closeOnExec()
	_ = syscall.SetNonblock(lifeFD, false)
	catchSignals()
	o := overseer{killAfter: killAfter}
	go o.awaitEnd()  // ends with the process
	createThreads(4) // the lifeline, signals, and what else runs
	if adoptOrphans() != nil {
		return
	}
	for {
		r, files, err := receive(requestFD)
		if err != nil || !o.execute(r, files, os.Environ()) {
			return
		}
	}
}

// closeOnExec keeps all descriptors from the command but its standard files: our own, and what
// whoever started the worker had open, a file or a socket, which came along.
func closeOnExec() {
	syscall.CloseOnExec(lifeFD)
	syscall.CloseOnExec(requestFD)
	open, _ := os.ReadDir("/dev/fd") // where there is no such folder, ours are done
	for _, fd := range open {
		if n, err := strconv.Atoi(fd.Name()); err == nil && n > 2 {
			syscall.CloseOnExec(n)
		}
	}
}

// catchSignals has no signal end this process: the worker decides. They are caught,
// not ignored, since a command would inherit that. All of them, for the runtime would
// exit by SIGABRT and others; but for SIGCHLD, which comes with each command, and
// SIGURG, which the runtime sends to itself.
func catchSignals() {
	var all []os.Signal
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if sig != syscall.SIGCHLD && sig != syscall.SIGURG {
			all = append(all, sig)
		}
	}
	signal.Notify(make(chan os.Signal, 1), all...)
}

// overseer executes one command after the other: see the states in the package's
// documentation.
type overseer struct {
	killAfter time.Duration

	mu      sync.Mutex // guards the rest, and is held while a child is reaped
	closed  bool       // the lifeline is
	pid     int        // of the command that runs, until it is reaped; else 0
	killing bool       // what is left of the command is killed
}

// execute is false when no more is to be executed.
func (o *overseer) execute(r request, files []int, env []string) bool {
	stdio := make([]uintptr, 0, 3)
	if len(files) == 2 {
		stdio = append(stdio, 0)
	}
	for _, f := range files {
		stdio = append(stdio, uintptr(f))
	}
	o.mu.Lock()
	closed := o.closed
	o.mu.Unlock()
	if closed {
		return false
	}
	report("begins\n") // the command may kill us before we tell its number
	pid, err := syscall.ForkExec(r.path, r.words, &syscall.ProcAttr{
		Env: append(env, "TASK_ID="+r.task, "WORKER_ID="+r.worker), Files: stdio, Sys: attributes(),
	})
	for _, f := range files { // the command alone reads and writes these
		syscall.Close(f)
	}
	if err != nil {
		errno, ok := err.(syscall.Errno)
		if !ok {
			errno = syscall.EINVAL
		}
		report(fmt.Sprintf("error %d\n", errno))
		return true
	}
	report(fmt.Sprintf("group %d\n", pid))
	o.mu.Lock()
	o.pid, o.killing = pid, false
	if o.closed {
		o.terminate()
	}
	o.mu.Unlock()
	report(fmt.Sprintf("status %d\n", o.wait(pid)))
	return true
}

// atMost is how many children are reaped before those that live are killed again.
const atMost = 64

// wait returns when nothing of the command is left, with its status.
func (o *overseer) wait(pid int) (status syscall.WaitStatus) {
	stopped := false // and that is reported
	reaped, last := 0, 0
	for {
		o.mu.Lock()
		killing := o.killing
		o.mu.Unlock()
		c, err := nextChange(!killing)
		if err == nil && killing && (c.pid == 0 || reaped == atMost) { // so some live
			o.mu.Lock()
			if reaped == 0 || !killNear(last) {
				killChildren()
			}
			o.mu.Unlock()
			reaped = 0
			c, err = nextChange(true)
		}
		switch {
		case err != nil: // no child is left
			return status
		case c.stopped:
			if c.pid == pid && !stopped {
				stopped = true
				report("stopped\n")
			}
			continue
		}
		o.mu.Lock()
		if c.pid == pid {
			o.killing = o.killing || !o.closed // else all of it has the time to end well
			if o.killing {
				_ = syscall.Kill(-pid, syscall.SIGKILL)
			}
			status = c.reap()
			o.pid = 0
		} else {
			c.reap()
			reaped, last = reaped+1, c.pid
		}
		o.mu.Unlock()
	}
}

// awaitEnd ends the command when the worker closes the lifeline, or is gone.
func (o *overseer) awaitEnd() {
	for buf := make([]byte, 1); ; {
		if n, err := syscall.Read(lifeFD, buf); n <= 0 && err != syscall.EINTR {
			break
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.terminate()
	time.AfterFunc(o.killAfter, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.killing = true
		if o.pid > 0 {
			_ = syscall.Kill(-o.pid, syscall.SIGKILL)
		}
		killChildren()
	})
}

func (o *overseer) terminate() {
	if o.pid > 0 {
		_ = syscall.Kill(-o.pid, syscall.SIGTERM)
		_ = syscall.Kill(-o.pid, syscall.SIGCONT) // one that is stopped would not know
	}
}

// createThreads has the runtime create threads, which it keeps for later. The
// runtime ends the process when it needs one and gets none: better now than when
// the command has taken the last that the user may have.
func createThreads(threads int) {
	var created, left sync.WaitGroup
	created.Add(threads)
	leave := make(chan struct{})
	for range threads {
		left.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			created.Done()
			<-leave
		})
	}
	created.Wait()
	close(leave)
	left.Wait()
}
