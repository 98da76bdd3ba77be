package command

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// supervisorName is what a supervisor is started as, and what ps shows. It holds no
// name of a program, so that whoever kills those by name leaves it to its work.
// Linux shows 15 bytes.
const supervisorName = "task-supervisor"

// What a supervisor has open beside the command's standard files.
const (
	lifeFD   = 3 // read; closed at the other end = end the command
	reportFD = 4 // written: see fate
)

// Supervise does the work of a process that was started as a supervisor, and tells
// whether this one was: then it is to end. A program that uses this package calls it
// before anything else.
func Supervise() (was bool) {
	if len(os.Args) < 4 || os.Args[0] != supervisorName {
		return false
	}
	killAfter, err := time.ParseDuration(os.Args[1])
	if err != nil {
		return false
	}
	supervise(killAfter, os.Args[2], os.Args[3:])
	return true
}

func supervise(killAfter time.Duration, path string, words []string) {
	showName(supervisorName)
	runtime.GOMAXPROCS(1) // so that few threads are needed
	// The command's death signal is about the thread that starts it.
	runtime.LockOSThread()
	life, report := os.NewFile(lifeFD, "lifeline"), os.NewFile(reportFD, "report")
	syscall.CloseOnExec(lifeFD)
	syscall.CloseOnExec(reportFD)
	// Caught, not ignored: a command would inherit that. The worker decides.
	// All of them, for the runtime would exit by SIGABRT and others.
	signal.Notify(make(chan os.Signal, 1))
	changed := make(chan os.Signal, 1) // a child has ended or was stopped
	signal.Notify(changed, syscall.SIGCHLD)
	closed := make(chan struct{})
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, life)
		close(closed)
	}()
	createThreads(4) // the lifeline, signals, and what else runs

	err := adoptOrphans()
	var pid int
	if err == nil {
		fmt.Fprintln(report, "begins") // the command may kill us before we tell its number
		pid, err = syscall.ForkExec(path, words, &syscall.ProcAttr{
			Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: attributes(),
		})
	}
	if err != nil {
		errno, ok := err.(syscall.Errno)
		if !ok {
			errno = syscall.EINVAL // for a zero byte in a word
		}
		fmt.Fprintf(report, "error %d\n", errno)
		return
	}
	fmt.Fprintf(report, "group %d\n", pid)
	syscall.Close(0) // the command alone reads and writes these
	syscall.Close(1)

	var (
		status   syscall.WaitStatus
		ended    bool // the command has
		stopped  bool // it was, and that is reported
		ending   bool // it was told to
		killing  bool
		deadline <-chan time.Time
	)
	for {
		for {
			var ws syscall.WaitStatus
			got, err := syscall.Wait4(-1, &ws, syscall.WNOHANG|syscall.WUNTRACED, nil)
			if err == syscall.EINTR {
				continue
			}
			if err != nil { // no child is left
				if !adopts {
					killLeft(pid, ended)
				}
				fmt.Fprintf(report, "status %d\n", status)
				return
			}
			if got == 0 {
				break
			}
			switch {
			case got == pid && !ws.Stopped():
				status, ended = ws, true
			case got == pid && !stopped:
				stopped = true
				fmt.Fprintln(report, "stopped")
			}
		}
		if killing = killing || ended && !ending; killing {
			killLeft(pid, ended)
		}
		select {
		case <-changed:
		case <-closed:
			closed, ending = nil, true
			if !ended {
				_ = syscall.Kill(-pid, syscall.SIGTERM)
				_ = syscall.Kill(-pid, syscall.SIGCONT) // one that is stopped would not know
			}
			deadline = time.After(killAfter)
		case <-deadline:
			killing = true
		}
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

// fate is what a supervisor reports, in lines: "begins" just before the command does;
// "group" and a number, once it runs; "stopped" when it is; then "status" and a wait status; or "error"
// and a number when it could not be started. Neither of these two means that the
// supervisor was ended.
type fate struct {
	begins  bool
	group   int
	stopped bool
	status  syscall.WaitStatus
	err     syscall.Errno
	known   bool
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
