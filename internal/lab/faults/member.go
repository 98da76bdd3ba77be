package faults

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

// member is one of the programs, started again and again, behind a proxy of
// its own.
type member struct {
	// Fixed at construction.
	name    string
	class   target
	start   func() error
	ended   func(p *harness.Process, status int) bool // tells whether it may end so, unasked
	cluster *harness.Cluster
	proxy   *zktest.Proxy

	mu     sync.Mutex // guards the rest
	busy   bool       // a fault is on
	deadly syscall.Signal
	rest   time.Duration // until it starts again after that
}

// keep runs the program until ctx ends and it has ended too. It fails when the
// program ends otherwise than it must.
func (m *member) keep(ctx context.Context) error {
	for {
		m.mu.Lock()
		if ctx.Err() != nil { // looked at here: whoever ends ctx may signal next
			m.mu.Unlock()
			return nil
		}
		m.deadly, m.rest = 0, 0
		err := m.start()
		m.mu.Unlock()
		if err != nil {
			return err
		}
		p := m.cluster.Process(m.name)
		status, err := p.Wait(context.Background()) // whoever gives up kills all programs
		if err != nil {
			return err
		}
		m.mu.Lock()
		deadly, rest := m.deadly, m.rest
		m.mu.Unlock()
		if !m.proper(p, status, deadly) {
			return fmt.Errorf("%s ended with status %d%s, its log ends with:\n%s", m.name, status, after(deadly), tail(p.Stderr.String(), 10))
		}
		_ = harness.Pause(ctx, rest)
	}
}

func after(sig syscall.Signal) string {
	if sig == 0 {
		return ""
	}
	return fmt.Sprintf(" after signal %d", int(sig))
}

// proper tells whether an end is as it must be.
func (m *member) proper(p *harness.Process, status int, deadly syscall.Signal) bool {
	if m.ended(p, status) {
		return true
	}
	switch deadly {
	case syscall.SIGKILL:
		return status == 128+int(syscall.SIGKILL)
	case syscall.SIGTERM:
		daemon := m.class == masters || m.class == workers
		// One that was just started may not heed signals yet; nor has it logged anything.
		dies := !daemon || p.Stderr.String() == ""
		return daemon && status == 0 || dies && status == 128+int(syscall.SIGTERM)
	}
	return false
}

// tail is the last n lines of a text.
func tail(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// take claims the member for a fault, unless one is on.
func (m *member) take() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy || m.deadly != 0 {
		return false
	}
	m.busy = true
	return true
}

func (m *member) leave() {
	m.mu.Lock()
	m.busy = false
	m.mu.Unlock()
}

// signal sends a signal; to a program that has just ended by itself it does
// nothing.
func (m *member) signal(sig syscall.Signal, rest time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if sig == syscall.SIGKILL || sig == syscall.SIGTERM {
		m.deadly, m.rest = sig, rest
	}
	_ = m.cluster.Signal(m.name, sig)
}

// suffer does to the member what a fault does, until it is over or ctx ends.
func (m *member) suffer(ctx context.Context, f fault) {
	switch f.kind {
	case kill:
		m.signal(syscall.SIGKILL, f.lasts)
	case term:
		m.signal(syscall.SIGTERM, f.lasts)
	case stop:
		m.signal(syscall.SIGSTOP, 0)
		_ = harness.Pause(ctx, f.lasts)
		m.signal(syscall.SIGCONT, 0)
	case cut:
		m.proxy.Refuse(true)
		_ = harness.Pause(ctx, f.lasts)
		m.proxy.Refuse(false)
	case silence:
		m.proxy.Blackhole(true)
		_ = harness.Pause(ctx, f.lasts)
		m.proxy.Blackhole(false)
	case delay:
		m.proxy.Delay(100 * time.Millisecond)
		_ = harness.Pause(ctx, f.lasts)
		m.proxy.Delay(0)
	case block:
		if unblock, err := m.cluster.Process(m.name).BlockStderr(); err == nil { // else it has just ended
			_ = harness.Pause(ctx, f.lasts)
			unblock()
		}
	case request:
		m.proxy.CutBefore(zktest.OpMulti, 1)
	case reply:
		m.proxy.CutAfter(zktest.OpMulti, 1)
	}
}
