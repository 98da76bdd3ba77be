package command

import (
	"bufio"
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/task"
)

// supervisor is the worker's view of a supervisor process.
type supervisor struct {
	process  *os.Process
	conn     *net.UnixConn // carries requests out and reports in
	reports  *bufio.Reader // of conn
	lifeline *os.File
	ended    atomic.Bool // the lifeline is closed
	used     bool        // it has executed a command
}

// idle has the supervisors that execute nothing.
type idle struct {
	mu     sync.Mutex // guards the rest
	all    []*supervisor
	closed bool
}

// take returns an idle supervisor, or a new one. It drops an idle supervisor that someone
// has stopped: that one would not begin the command.
func (c *Command) take() (*supervisor, error) {
	for {
		c.idle.mu.Lock()
		n := len(c.idle.all)
		if n == 0 {
			c.idle.mu.Unlock()
			return startSupervisor(c.self, c.cfg.KillAfter)
		}
		s := c.idle.all[n-1]
		c.idle.all = c.idle.all[:n-1]
		c.idle.mu.Unlock()
		if !isStopped(s.process.Pid) {
			return s, nil
		}
		s.drop()
	}
}

func (c *Command) keep(s *supervisor) {
	c.idle.mu.Lock()
	defer c.idle.mu.Unlock()
	if c.idle.closed {
		s.drop()
		return
	}
	c.idle.all = append(c.idle.all, s)
}

// Close ends the idle supervisors. The others end when their commands have ended.
func (c *Command) Close() {
	c.idle.mu.Lock()
	defer c.idle.mu.Unlock()
	c.idle.closed = true
	for _, s := range c.idle.all {
		_ = s.process.Kill() // kill all before drop waits for the first
	}
	for _, s := range c.idle.all {
		s.drop()
	}
	c.idle.all = nil
}

// environment is the environment of commands; the supervisor adds TASK_ID and WORKER_ID. It
// has no variables that name the worker's certificate and key: a command must not get the
// worker's rights.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "TASK_ID=") || strings.HasPrefix(v, "WORKER_ID=") || strings.HasPrefix(v, identity.VariablePrefix)
	})
}

func startSupervisor(self string, killAfter time.Duration) (s *supervisor, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	life, lifeline, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer life.Close()
	ours, theirs, err := socketpair()
	if err != nil {
		lifeline.Close()
		return nil, err
	}
	defer theirs.Close()
	s = &supervisor{conn: ours, reports: bufio.NewReaderSize(ours, 128), lifeline: lifeline}
	s.process, err = startProcess(self, []string{supervisorName, killAfter.String()}, &os.ProcAttr{
		Env:   environment(),
		Files: []*os.File{null, null, null, lifeFD: life, requestFD: theirs},
		Sys:   &syscall.SysProcAttr{Setpgid: true}, // Ctrl-C in the terminal must only reach the worker
	})
	if err != nil {
		lifeline.Close()
		ours.Close()
		return nil, err
	}
	return s, nil
}

func socketpair() (ours *net.UnixConn, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	file := os.NewFile(uintptr(pair[0]), "supervisor")
	theirs = os.NewFile(uintptr(pair[1]), "worker")
	defer file.Close() // FileConn has duplicated the descriptor
	conn, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), theirs, nil
}

// end makes the supervisor end its command, and then itself.
func (s *supervisor) end() {
	if !s.ended.Swap(true) {
		s.lifeline.Close()
	}
	_ = s.process.Signal(syscall.SIGCONT) // a stopped supervisor would not notice
}

// drop ends a supervisor that executes nothing, waits for it, and returns how it ended.
func (s *supervisor) drop() *os.ProcessState {
	_ = s.process.Kill()
	s.end()
	s.conn.Close()
	return waitForProcess(s.process)
}

// send sends a request. It fails when the supervisor is gone.
func (s *supervisor) send(request []byte, files []int) error {
	n, _, err := s.conn.WriteMsgUnix(request, syscall.UnixRights(files...), nil)
	if err == nil && n < len(request) {
		_, err = s.conn.Write(request[n:])
	}
	return err
}

// listen reads the supervisor's reports until the command's fate is known or the supervisor
// is gone. It calls stopped once if the command is stopped.
func (s *supervisor) listen(f *fate, stopped func()) {
	for !f.known {
		line, err := s.reports.ReadSlice('\n')
		if err != nil {
			return
		}
		was := f.stopped
		f.add(string(line[:len(line)-1]))
		if f.stopped && !was {
			stopped()
		}
	}
}

// reusable reports whether the supervisor can execute another command, after one whose fate
// is known.
func (s *supervisor) reusable() bool { return !s.ended.Load() && s.reports.Buffered() == 0 }

// checkEvery is how often a supervisor is checked.
const checkEvery = time.Second

// watch warns once if the supervisor of an execution is stopped, for example by its command:
// then it reports nothing. If the supervisor is stopped at two checks after the end of ctx,
// watch kills it, and so the command.
func (c *Command) watch(ctx context.Context, e task.Execution, s *supervisor) (end func()) {
	over, gone := make(chan struct{}), make(chan struct{})
	first := time.AfterFunc(checkEvery, func() { // most executions end sooner
		defer close(gone)
		ticker := time.NewTicker(checkEvery)
		defer ticker.Stop()
		warned, late := false, 0
		for {
			switch {
			case !isStopped(s.process.Pid):
			case ctx.Err() != nil:
				if late++; late > 1 { // end has sent SIGCONT
					_ = s.process.Kill()
				}
			case !warned:
				warned = true
				c.cfg.Logger.Warn("the command's supervisor is stopped, so the command counts as running; kill -CONT continues it",
					"task", e.Task, "worker", e.Worker, "pid", s.process.Pid)
			}
			select {
			case <-over:
				return
			case <-ticker.C:
			}
		}
	})
	return func() {
		if !first.Stop() {
			close(over)
			<-gone
		}
	}
}
