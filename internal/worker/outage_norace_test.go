//go:build !race

package worker

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestReconnectOutage(t *testing.T) {
	t.Parallel()
	parallel(t, "that_is_short_cancels_nothing", func(t *testing.T) {
		m, x, p, worker, proxy := proxied(t)
		m.submit("a", "wait")
		m.submit("b", "wait")
		m.assign(worker, "a")
		x.began("a")
		proxy.Refuse(true)
		suspended(t, p.s, true)
		m.assign(worker, "a", "b") // unseen
		proxy.Refuse(false)
		suspended(t, p.s, false)
		x.end("a", "1")
		m.state("a", "done 1")
		x.end("b", "2")
		m.state("b", "done 2")
		m.free(worker)
		x.began("a", "b")
		x.ended()
	})
	parallel(t, "that_is_short_repeats_no_task_that_ended_in_it", func(t *testing.T) {
		m, x, p, worker, proxy := proxied(t)
		begin(m, x, worker, "a")
		proxy.Refuse(true)
		suspended(t, p.s, true)
		x.end("a", "1")
		proxy.Refuse(false)
		m.state("a", "done 1")
		m.free(worker)
		x.began("a")
		m.written("a", 1)
	})
	parallel(t, "that_is_short_hides_no_take-back", func(t *testing.T) {
		m, x, p, worker, proxy := proxied(t)
		begin(m, x, worker, "a")
		proxy.Refuse(true)
		suspended(t, p.s, true)
		m.assign(worker)
		proxy.Refuse(false)
		x.ended("a")
		m.written("a", 0)
	})
	parallel(t, "as_long_as_the_session_timeout_cancels_what_runs", func(t *testing.T) {
		const timeout = 2 * time.Second
		root := zktest.Connect(t)
		m, x := newManual(t, root), newExecutor(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, harness.Open(t, through, harness.Timeout(timeout)), 1, x.run)
		worker := m.worker()
		begin(m, x, worker, "t")
		proxy.Blackhole(true)
		start := time.Now()
		x.ended("t") // still cut off
		if took := time.Since(start); took > timeout+time.Second {
			t.Errorf("cancelled after %v", took)
		}
		m.workers(0)
		proxy.Blackhole(false)
		if err := p.wait(); !errors.Is(err, session.ErrOver) {
			t.Errorf("Run: %v", err)
		}
		m.written("t", 0)
		x.began("t")
	})
	parallel(t, "that_ends_the_session_cancels_also_with_RunOn", func(t *testing.T) {
		const timeout = 2 * time.Second
		root := zktest.Connect(t)
		m, x := newManual(t, root), newExecutor(t)
		proxy, through := zktest.Via(t, root)
		j, log := newJournal(t)
		p := hostAs(t, harness.Open(t, through, harness.Timeout(timeout)), Config{Run: x.run, RunOn: true, Logger: log})
		worker := m.worker()
		begin(m, x, worker, "t")
		proxy.Blackhole(true)
		j.await(runsOn, 1)
		m.workers(0) // another worker may have it
		x.ended()    // still runs
		proxy.Blackhole(false)
		x.ended("t")
		if err := p.wait(); !errors.Is(err, session.ErrOver) {
			t.Errorf("Run: %v", err)
		}
		m.written("t", 0)
	})
}

const (
	cancels = "cut off for the session timeout, cancelling the task"
	runsOn  = "cut off for the session timeout, the task runs on"
)

// cutOff is a process with or without RunOn, whose slot executes the first of two tasks.
type cutOff struct {
	*hosted
	d      manual
	b      *executor
	j      *journal
	proxy  *zktest.Proxy
	worker string
	says   string // its line about a cut-off
	cancel bool
}

func newCutOff(t *testing.T, connect string, timeout time.Duration, runOn bool) cutOff {
	t.Helper()
	proxy, through := zktest.Via(t, connect)
	s := harness.Open(t, through, harness.Timeout(timeout)) // makes the chroot
	j, log := newJournal(t)
	c := cutOff{d: newManual(t, connect), b: newExecutor(t), j: j, proxy: proxy, says: cancels, cancel: !runOn}
	if runOn {
		c.says = runsOn
	}
	c.hosted = hostAs(t, s, Config{Run: c.b.run, RunOn: runOn, Logger: log})
	c.worker = c.d.worker()
	begin(c.d, c.b, c.worker, "a", "b")
	return c
}

// turned waits until the loop has turned: until it reads the payload of a task that
// is added to its list.
func (c cutOff) turned(id string) {
	c.t.Helper()
	read, once := make(chan struct{}), sync.Once{}
	seen := func(request []byte) bool {
		if bytes.Contains(request, []byte(task.DataPath(id))) {
			once.Do(func() { close(read) })
		}
		return false
	}
	c.proxy.Hold(zktest.OpGetData, 1, seen)
	c.proxy.Hold(zktest.OpMultiRead, 1, seen)
	c.d.submit(id, id)
	c.d.assign(c.worker, "a", "b", id)
	zktest.Receive(c.t, "read of a payload", read)
	c.d.assign(c.worker, "a", "b")
}

// finish ends both tasks and checks how often the first was begun, and what was said,
// in some cut-offs. The session has survived them.
func (c cutOff) finish(times int) {
	c.t.Helper()
	c.b.end("a", "1")
	c.d.state("a", "done 1")
	c.b.end("b", "2")
	c.d.state("b", "done 2")
	c.d.free(c.worker)
	cancelled := 0
	if c.cancel {
		cancelled = times
	}
	c.b.began(append(slices.Repeat([]string{"a"}, 1+cancelled), "b")...)
	c.b.ended(slices.Repeat([]string{"a"}, cancelled)...)
	c.d.written("a", 1)
	if owner := c.d.stat(task.WorkerPath(c.worker)).EphemeralOwner; owner != c.s.ID() || c.s.Err() != nil {
		c.t.Errorf("owner %#x, session %#x: %v", owner, c.s.ID(), c.s.Err())
	}
	if all, own := len(c.j.lines(cancels))+len(c.j.lines(runsOn)), len(c.j.lines(c.says)); all != times || own != times {
		c.t.Errorf("%d lines, %d of them %q, want %d", all, own, c.says, times)
	}
}

func TestReconnectCutOff(t *testing.T) {
	t.Parallel()
	parallel(t, "for_less_than_the_session_timeout_cancels_nothing_in_either_mode", func(t *testing.T) {
		for _, runOn := range []bool{false, true} {
			c := newCutOff(t, zktest.Connect(t), testTimeout, runOn)
			for range 2 {
				c.proxy.Refuse(true)
				suspended(t, c.s, true)
				c.proxy.Refuse(false)
				suspended(t, c.s, false)
			}
			c.finish(0)
			c.leave()
		}
	})
	parallel(t, "for_more_than_the_session_timeout_cancels_each_time_or_with_RunOn_never", func(t *testing.T) {
		// The library dials again once a second: the session must outlast that.
		const timeout = 4 * time.Second
		server := zktest.NewServer(t, zktest.Options{})
		var both []cutOff
		for mode, runOn := range map[string]bool{"cancel": false, "continue": true} {
			both = append(both, newCutOff(t, server.Addr()+"/"+mode, timeout, runOn))
		}
		for i, id := range []string{"x", "y"} {
			server.Kill() // a server that is down ends no session
			for _, c := range both {
				c.j.await(c.says, 1+i)
			}
			if err := server.Restart(); err != nil {
				t.Fatal(err)
			}
			for _, c := range both {
				suspended(t, c.s, false)
				c.turned(id)
				if c.cancel {
					c.b.began(slices.Repeat([]string{"a"}, 2+i)...)
				}
			}
		}
		for _, c := range both {
			c.finish(2)
		}
	})
}
