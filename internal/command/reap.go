package command

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// supervisors has the children that this package waits for. It is global because a process
// has one set of children.
var supervisors = struct {
	mu   sync.Mutex // held while a supervisor is started, so that pids has every one
	pids map[int]bool
}{pids: make(map[int]bool)}

func startProcess(path string, args []string, attr *os.ProcAttr) (*os.Process, error) {
	supervisors.mu.Lock()
	defer supervisors.mu.Unlock()
	p, err := os.StartProcess(path, args, attr)
	if err == nil {
		supervisors.pids[p.Pid] = true
	}
	return p, err
}

func waitForProcess(p *os.Process) *os.ProcessState {
	state, _ := p.Wait()
	supervisors.mu.Lock()
	defer supervisors.mu.Unlock()
	delete(supervisors.pids, p.Pid)
	return state
}

// ReapOrphans waits for orphans that have ended, as process 1 must. A worker is process 1 if
// a container starts it directly. Orphans are processes of a killed supervisor, or of a
// person who has entered the container. In any other process ReapOrphans does nothing. The
// caller must call stop at the end.
//
// The process must have no children of its own except supervisors.
func ReapOrphans() (stop func()) {
	if os.Getpid() != 1 {
		return func() {}
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	stopping := make(chan struct{})
	var reaper sync.WaitGroup
	reaper.Go(func() {
		defer signal.Stop(ended)
		for {
			supervisors.mu.Lock()
			reap(func(pid int) bool { return supervisors.pids[pid] })
			supervisors.mu.Unlock()
			select {
			case <-ended:
			case <-stopping:
				return
			}
			select { // supervisors that end give signals as well: reap at most once a second
			case <-time.After(time.Second):
			case <-stopping:
				return
			}
		}
	})
	return func() {
		close(stopping)
		reaper.Wait()
	}
}
