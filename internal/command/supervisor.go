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

// supervisorName is the name under which a supervisor is started, and which ps shows; Linux
// shows 15 bytes. It contains no name of a program, so a person who kills programs by name
// does not kill supervisors.
const supervisorName = "task-supervisor"

// The descriptors of a supervisor besides its standard files, which are /dev/null.
const (
	lifeFD    = 3 // read only; when the other end is closed, the supervisor ends its command and itself
	requestFD = 4 // a socket: carries requests in and reports out (see fate)
)

// Supervise does the work of a supervisor if this process was started as one. Then it
// returns true, and the process must end. A program that uses this package must call it
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
	debug.SetGCPercent(25) // collect at 1 MB of garbage, which about 100 commands leave: each slot has a supervisor
	// The kernel sends the command's death signal when the thread ends that started it.
	runtime.LockOSThread()
	closeOnExec()
	_ = syscall.SetNonblock(lifeFD, false)
	catchSignals()
	o := overseer{killAfter: killAfter}
	go o.awaitEnd()  // ends with the process
	createThreads(4) // for the lifeline, signals and the runtime
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

// closeOnExec makes sure that the command only gets its standard files: neither the
// supervisor's descriptors, nor a file or socket that the worker inherited from its parent.
func closeOnExec() {
	syscall.CloseOnExec(lifeFD)
	syscall.CloseOnExec(requestFD)
	open, _ := os.ReadDir("/dev/fd") // some systems have no such directory
	for _, fd := range open {
		if n, err := strconv.Atoi(fd.Name()); err == nil && n > 2 {
			syscall.CloseOnExec(n)
		}
	}
}

// catchSignals makes sure that no signal that can be caught ends this process: only the
// worker ends it. Signals are caught, not ignored, because a command would inherit ignored
// ones. SIGCHLD and SIGURG need no catching: they end no process, and arrive often.
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
	closed  bool       // the lifeline is closed
	pid     int        // of the running command, until it is reaped; 0: none
	killing bool       // the remaining processes of the command are being killed
}

// execute executes one command. It returns false when the supervisor must end.
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
	report("begins\n") // the command may kill the supervisor before it reports the group
	pid, err := syscall.ForkExec(r.path, r.words, &syscall.ProcAttr{
		Env: append(env, "TASK_ID="+r.task, "WORKER_ID="+r.worker), Files: stdio, Sys: attributes(),
	})
	for _, f := range files { // only the command may hold these
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

// maxReaped is how many children are reaped before the living ones are killed again.
const maxReaped = 64

// wait returns the command's status when no process of the command is left.
func (o *overseer) wait(pid int) (status syscall.WaitStatus) {
	stopped := false // and reported
	reaped, last := 0, 0
	for {
		o.mu.Lock()
		killing := o.killing
		o.mu.Unlock()
		c, err := nextChange(!killing)
		if err == nil && killing && (c.pid == 0 || reaped == maxReaped) { // so some children live
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
			o.killing = o.killing || !o.closed // after end all processes have KillAfter to end by themselves
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

// awaitEnd ends the command when the worker has closed the lifeline, or is gone.
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
		_ = syscall.Kill(-o.pid, syscall.SIGCONT) // a stopped process would not handle SIGTERM
	}
}

// createThreads makes the runtime create threads, which it keeps for later. The runtime ends
// the process when it needs a thread and gets none. That is better now than later, when the
// command may have used up the threads that the user may have.
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
