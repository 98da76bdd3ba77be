package scenario

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// member is one of the programs, started again and again, behind a proxy of its own.
type member struct {
	// Fixed at construction.
	name    string
	class   target
	start   func() error
	cluster *harness.Cluster
	proxy   *zktest.Proxy

	// Owned by keep. Of a client.
	results int
	failed  int // tasks that lost too many workers

	hit chan struct{} // holds one while a fault is on

	mu     sync.Mutex     // guards the rest
	last   bool           // the program is not started again
	deadly syscall.Signal // that was sent to the program
}

// keep runs the program, again and again, until it retires. It fails when the program ends
// otherwise than it must.
func (m *member) keep(ctx context.Context) error {
	for {
		m.mu.Lock()
		if m.last {
			m.mu.Unlock()
			return nil
		}
		m.deadly = 0
		err := m.start()
		m.mu.Unlock()
		if err != nil {
			return err
		}
		p := m.cluster.Process(m.name)
		status, err := p.Wait(ctx)
		if err != nil {
			return err
		}
		m.mu.Lock()
		deadly := m.deadly
		m.mu.Unlock()
		if !m.proper(p, status, deadly) {
			lines := p.Stderr.Lines()
			return fmt.Errorf("%s ended with status %d after signal %d (0 is none), its log ends with:\n%s",
				m.name, status, int(deadly), strings.Join(lines[max(0, len(lines)-10):], "\n"))
		}
		if deadly != 0 {
			m.hit <- struct{}{} // once the fault is over
			<-m.hit
		}
	}
}

// retire lets the program end: it is not started again. A master or a worker gets a SIGTERM, a client
// ends by itself.
func (m *member) retire() {
	m.mu.Lock()
	m.last = true
	m.mu.Unlock()
	if m.class != clients {
		m.signal(syscall.SIGTERM)
	}
}

// proper is whether a program may end so.
func (m *member) proper(p *harness.Process, status int, deadly syscall.Signal) bool {
	if m.class == clients && m.complete(p, status) {
		return true
	}
	switch deadly {
	case syscall.SIGKILL:
		return status == 128+int(syscall.SIGKILL)
	case syscall.SIGTERM:
		// A program that was just started may not heed signals yet; nor has it logged anything.
		dies := m.class == clients || p.Stderr.String() == ""
		return m.class != clients && status == 0 || dies && status == 128+int(syscall.SIGTERM)
	}
	return false
}

// complete is whether a client has ended by itself as it must: for each task it has a result, or
// says that the task lost too many workers.
func (m *member) complete(p *harness.Process, status int) bool {
	results, failed := len(p.Stdout.Lines()), 0
	for _, line := range p.Stderr.Lines() {
		if strings.HasPrefix(line, "payload ") && strings.Contains(line, "failed: lost with ") {
			failed++
		}
	}
	if results+failed != batch || status != min(failed, 1) {
		return false
	}
	m.results += results
	m.failed += failed
	return true
}

// signal sends a signal. To a program that has just ended by itself it does nothing.
func (m *member) signal(sig syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if sig == syscall.SIGKILL || sig == syscall.SIGTERM {
		m.deadly = sig
	}
	_ = m.cluster.Signal(m.name, sig)
}

// suffer does to the member what a fault does, until the fault is over or ctx ends. It empties hit.
func (m *member) suffer(ctx context.Context, f fault) error {
	defer func() { <-m.hit }()
	switch f.kind {
	case kill:
		m.signal(syscall.SIGKILL)
	case term:
		m.signal(syscall.SIGTERM)
	case request:
		m.proxy.CutBefore(zktest.OpMulti, 1)
	case reply:
		m.proxy.CutAfter(zktest.OpMulti, 1)
	case stop:
		m.signal(syscall.SIGSTOP)
		defer m.signal(syscall.SIGCONT)
	case cut:
		m.proxy.Refuse(true)
		defer m.proxy.Refuse(false)
	case silence:
		m.proxy.Blackhole(true)
		defer m.proxy.Blackhole(false)
	case delay:
		m.proxy.Delay(100 * time.Millisecond)
		defer m.proxy.Delay(0)
	case block:
		unblock, err := m.cluster.Process(m.name).BlockStderr()
		if err != nil { // it has just ended
			return nil
		}
		defer unblock()
	}
	_ = harness.Pause(ctx, f.lasts)
	return nil
}
