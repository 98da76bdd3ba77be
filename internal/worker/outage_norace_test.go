//go:build !race

package worker

import (
	"errors"
	"testing"
	"time"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
	"taskkeeper/internal/zktest"
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
		p := host(t, open(t, through, timeout), 1, b.run)
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
	parallel(t, "what_is_still_listed_starts_again_after_one_that_the_session_survived", func(t *testing.T) {
		// The library dials again once a second: the session must outlast that.
		const timeout = 4 * time.Second
		server := zktest.NewServer(t, zktest.Options{})
		d, b := newDesk(t, server.Addr()), newBench(t)
		p := host(t, open(t, server.Addr(), timeout), 1, b.run)
		worker := d.worker()
		for _, id := range []string{"a", "b"} {
			d.submit(id, "wait")
		}
		d.assign(worker, "a", "b")
		b.began("a")
		server.Kill()
		b.ended("a")
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		b.began("a", "a")
		b.end("a", "1")
		d.state("a", "done 1")
		b.end("b", "2")
		d.state("b", "done 2")
		d.free(worker)
		b.began("a", "a", "b")
		d.written("a", 1)
		if owner := d.stat(task.WorkerPath(worker)).EphemeralOwner; owner != p.s.ID() || p.s.Err() != nil {
			t.Errorf("owner %#x, session %#x: %v", owner, p.s.ID(), p.s.Err())
		}
		p.leave()
	})
}
