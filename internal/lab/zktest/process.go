package zktest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is a program that was started, and is waited for.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and was waited for
}

func (p *process) alive() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal goes to the process group. It may come too late, which is all right:
// the number is not used again before Wait has returned, and then alive is false.
func (p *process) signal(sig syscall.Signal) {
	if p.alive() {
		syscall.Kill(-p.cmd.Process.Pid, sig)
	}
}

// stopped tells whether every thread stands still; a busy machine takes its time.
func (p *process) stopped() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	for _, path := range threads {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		// "tid (name) state …", and the name may hold anything.
		if i := bytes.LastIndexByte(stat, ')'); !bytes.HasPrefix(stat[i+1:], []byte(" T")) {
			return false
		}
	}
	return true
}

func (p *process) end(signals ...syscall.Signal) {
	if p == nil {
		return
	}
	for _, sig := range signals {
		p.signal(sig)
	}
	select {
	case <-p.done:
		return
	case <-time.After(10 * time.Second):
	}
	p.signal(syscall.SIGKILL)
	<-p.done
}
