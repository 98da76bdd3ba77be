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
	parallel(t, "a_short_one_cancels_nothing", func(t *testing.T) {
		d, b, p, worker, proxy := proxied(t)
		d.submit("a", "wait")
		d.submit("b", "wait")
		d.assign(worker, "a")
		b.began("a")
		proxy.Refuse(true)
		suspended(t, p.s, true)
		d.assign(worker, "a", "b") // unseen
		proxy.Refuse(false)
		suspended(t, p.s, false)
		b.end("a", "1")
		d.state("a", "done 1")
		b.end("b", "2")
		d.state("b", "done 2")
		d.free(worker)
		b.began("a", "b")
		b.ended()
	})
	parallel(t, "a_task_that_ends_in_a_short_one_is_not_repeated", func(t *testing.T) {
		d, b, p, worker, proxy := proxied(t)
		begin(d, b, worker, "a")
		proxy.Refuse(true)
		suspended(t, p.s, true)
		b.end("a", "1")
		proxy.Refuse(false)
		d.state("a", "done 1")
		d.free(worker)
		b.began("a")
		d.written("a", 1)
	})
	parallel(t, "a_task_taken_back_in_a_short_one_is_cancelled", func(t *testing.T) {
		d, b, p, worker, proxy := proxied(t)
		begin(d, b, worker, "a")
		proxy.Refuse(true)
		suspended(t, p.s, true)
		d.assign(worker)
		proxy.Refuse(false)
		b.ended("a")
		d.written("a", 0)
	})
	parallel(t, "silence_as_long_as_the_session_timeout_cancels_what_runs", func(t *testing.T) {
		const timeout = 2 * time.Second
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, harness.Open(t, through, harness.Timeout(timeout)), 1, b.run)
		worker := d.worker()
		begin(d, b, worker, "t")
		proxy.Blackhole(true)
		start := time.Now()
		b.ended("t") // still cut off
		if took := time.Since(start); took > timeout+time.Second {
			t.Errorf("cancelled after %v", took)
		}
		d.workers(0)
		proxy.Blackhole(false)
		if err := p.wait(); !errors.Is(err, session.ErrOver) {
			t.Errorf("Run: %v", err)
		}
		d.written("t", 0)
		b.began("t")
	})
	parallel(t, "a_task_that_runs_on_is_ended_when_the_session_turns_out_to_be_over", func(t *testing.T) {
		const timeout = 2 * time.Second
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		j, log := newJournal(t)
		p := hostAs(t, harness.Open(t, through, harness.Timeout(timeout)), Config{Run: b.run, RunOn: true, Logger: log})
		worker := d.worker()
		begin(d, b, worker, "t")
		proxy.Blackhole(true)
		j.await(runsOn, 1)
		d.workers(0) // another worker may have it
		b.ended()    // still runs
		proxy.Blackhole(false)
		b.ended("t")
		if err := p.wait(); !errors.Is(err, session.ErrOver) {
			t.Errorf("Run: %v", err)
		}
		d.written("t", 0)
	})
}

const (
	cancels = "cut off for the session timeout, cancelling the task"
	runsOn  = "cut off for the session timeout, the task runs on"
)

// cutOff is a process in one of the modes, whose slot executes the first of two tasks.
type cutOff struct {
	*hosted
	d      desk
	b      *bench
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
	c := cutOff{d: newDesk(t, connect), b: newBench(t), j: j, proxy: proxy, says: cancels, cancel: !runOn}
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
	happened(c.t, "read of a payload", read)
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
	parallel(t, "for_more_than_the_session_timeout_cancels_or_lets_run_on_each_time", func(t *testing.T) {
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
