package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"taskkeeper/internal/proc"
	"taskkeeper/internal/stage"
	"taskkeeper/internal/zktest"
)

// member is a program of the cast, started again and again, behind a proxy of
// its own.
type member struct {
	// Fixed at construction.
	name  string
	class target
	start func() error                           // makes it enter the stage
	ended func(p *proc.Process, status int) bool // tells whether it may end so, unasked
	st    *stage.Stage
	proxy *zktest.Proxy

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
		p := m.st.Process(m.name)
		status, err := p.Wait(context.Background()) // whoever gives up strikes the stage
		if err != nil {
			return err
		}
		m.mu.Lock()
		deadly, rest := m.deadly, m.rest
		m.mu.Unlock()
		if !m.proper(p, status, deadly) {
			return fmt.Errorf("%s ended with status %d%s, its log ends with:\n%s", m.name, status, after(deadly), tail(p.Stderr.String(), 10))
		}
		wait(ctx, rest)
	}
}

func after(sig syscall.Signal) string {
	if sig == 0 {
		return ""
	}
	return fmt.Sprintf(" after signal %d", int(sig))
}

// proper tells whether an end is as it must be.
func (m *member) proper(p *proc.Process, status int, deadly syscall.Signal) bool {
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
	_ = m.st.Signal(m.name, sig)
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
		wait(ctx, f.lasts)
		m.signal(syscall.SIGCONT, 0)
	case cut:
		m.proxy.Refuse(true)
		wait(ctx, f.lasts)
		m.proxy.Refuse(false)
	case silence:
		m.proxy.Blackhole(true)
		wait(ctx, f.lasts)
		m.proxy.Blackhole(false)
	case delay:
		m.proxy.Delay(100 * time.Millisecond)
		wait(ctx, f.lasts)
		m.proxy.Delay(0)
	case block:
		if unblock, err := m.st.Process(m.name).BlockStderr(); err == nil { // else it has just ended
			wait(ctx, f.lasts)
			unblock()
		}
	case request:
		m.proxy.CutBefore(zktest.OpMulti, 1)
	case reply:
		m.proxy.CutAfter(zktest.OpMulti, 1)
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
