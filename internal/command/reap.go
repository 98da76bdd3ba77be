package command

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// supervisors are those that this package waits for. A process has one set of
// children, so there is one of these.
var supervisors = struct {
	mu   sync.Mutex // held while one is started, so that none is a child but not here
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

// ReapOrphans does the duty of process 1, which a worker is when it is what a
// container was started with: it waits for orphans that have ended, of somebody
// who looked into the container or of a supervisor that was killed. In any other
// process it does nothing. Call what it returns to stop it.
//
// All children that such a process has itself must be supervisors.
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
			select { // each supervisor that ends is a hint, too: look once a second
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
