//go:build !race

package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// cuts are the two ways in which a call can fail: it was not carried out, or it
// was.
var cuts = map[string]func(*zktest.Proxy, zktest.Op, int, ...zktest.Match) <-chan struct{}{
	"request": (*zktest.Proxy).CutBefore,
	"reply":   (*zktest.Proxy).CutAfter,
}

// syncsFirst checks what is sent first after a lost multi, in all that has been
// sent since the last look. The library sends watches by itself.
func syncsFirst(t *testing.T, proxy *zktest.Proxy) {
	t.Helper()
	var sent []zktest.Op
	zktest.Eventually(t, "what is sent after a lost multi", func() (bool, string) {
		sent = append(sent, proxy.Seen()...)
		sent = slices.DeleteFunc(sent, func(op zktest.Op) bool { return op == zktest.OpSetWatches })
		if len(sent) > 0 && sent[0] == zktest.OpMulti { // the one that was lost
			sent = sent[1:]
		}
		return len(sent) > 0, "nothing"
	})
	if sent[0] != zktest.OpSync {
		t.Errorf("sent %v", sent)
	}
}

func suspended(t *testing.T, s *session.Session, want bool) {
	t.Helper()
	zktest.Eventually(t, "session", func() (bool, string) {
		_, is := s.Suspended()
		return is == want, fmt.Sprint("suspended: ", is, ", last error: ", s.LastErr())
	})
}

func TestReconnectRegister(t *testing.T) {
	t.Parallel()
	for what, cut := range cuts {
		parallel(t, "one_znode_when_the_"+what+"_is_lost", func(t *testing.T) {
			root := zktest.Connect(t)
			d, b := newDesk(t, root), newBench(t)
			proxy, through := zktest.Via(t, root)
			s := harness.Open(t, through)
			met := cut(proxy, zktest.OpMulti, 1, zktest.Naming(task.WorkersDir+"/"))
			proxy.Seen()
			p := host(t, s, 1, b.run)
			happened(t, "lost "+what, met)
			worker := d.worker()
			d.submit("t", "x")
			d.assign(worker, "t")
			d.state("t", "done x")
			d.free(worker)
			if got := d.workers(1); got[0] != worker {
				t.Errorf("registered %s, then %s", worker, got)
			}
			if owner := d.stat(task.WorkerPath(worker)).EphemeralOwner; owner != s.ID() {
				t.Errorf("owner %#x, session %#x", owner, s.ID())
			}
			syncsFirst(t, proxy)
			p.leave()
			d.workers(0)
		})
	}
}

func TestReconnectCommit(t *testing.T) {
	t.Parallel()
	for what, cut := range cuts {
		parallel(t, "one_result_when_the_"+what+"_is_lost", func(t *testing.T) {
			d, b, p, worker, proxy := proxied(t)
			d.submit("a", "wait")
			d.submit("b", "2")
			d.assign(worker, "a")
			b.began("a")
			met := cut(proxy, zktest.OpMulti, 1)
			proxy.Seen()
			b.end("a", "1")
			happened(t, "lost "+what, met)
			d.state("a", "done 1")
			d.free(worker)
			syncsFirst(t, proxy)
			d.assign(worker, "b")
			d.state("b", "done 2")
			d.free(worker)
			b.began("a", "b")
			d.written("a", 1)
			d.written("b", 1)
			p.leave()
		})
	}
	parallel(t, "the_result_when_the_request_is_lost_and_the_list_has_moved_meanwhile", func(t *testing.T) {
		d, b, _, worker, proxy := proxied(t)
		begin(d, b, worker, "a", "b")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end("a", "1")
		happened(t, "commit", held)
		d.assign(worker, "a") // b is taken back
		proxy.Refuse(true)
		release()
		proxy.Refuse(false)
		d.state("a", "done 1")
		d.free(worker)
		b.once("a")
		d.written("a", 1)
		d.written("b", 0)
	})
	parallel(t, "nothing_more_when_the_reply_is_lost_and_new_work_came_meanwhile", func(t *testing.T) {
		d, b, _, worker, proxy := proxied(t)
		d.submit("a", "wait")
		d.submit("b", "wait")
		d.assign(worker, "a")
		b.began("a")
		met := proxy.CutAfter(zktest.OpMulti, 1)
		held, release := proxy.Hold(zktest.OpSync, 1)
		b.end("a", "1")
		happened(t, "lost reply", met)
		happened(t, "sync", held)
		d.state("a", "done 1")
		d.free(worker)
		d.assign(worker, "b")
		release()
		b.began("a", "b")
		b.end("b", "2")
		d.state("b", "done 2")
		d.free(worker)
		d.written("a", 1)
		d.written("b", 1)
	})
	parallel(t, "only_once_for_slots_that_share_a_lost_transaction", func(t *testing.T) {
		const slots = 6
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		host(t, harness.Open(t, through), slots, b.run)
		var ids []string
		workers := d.workers(slots)
		met := proxy.CutAfter(zktest.OpMulti, 2, zktest.Naming("done"))
		for i, worker := range workers {
			ids = append(ids, fmt.Sprint("t", i))
			d.submit(ids[i], "x")
			d.assign(worker, ids[i])
		}
		happened(t, "lost reply", met)
		for i, id := range ids {
			d.state(id, "done x")
			d.free(workers[i])
			d.written(id, 1)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.order) != slots {
			t.Errorf("executed %q", b.order)
		}
	})
}

func TestReconnectLeave(t *testing.T) {
	t.Parallel()
	for what, cut := range cuts {
		parallel(t, "gives_back_once_when_the_"+what+"_is_lost", func(t *testing.T) {
			d, b, p, worker, proxy := proxied(t)
			begin(d, b, worker, "a", "b")
			met := cut(proxy, zktest.OpMulti, 1)
			p.stop()
			happened(t, "lost "+what, met)
			p.leave()
			b.ended("a")
			d.workers(0)
			for _, id := range []string{"a", "b"} {
				d.state(id, "pending")
				d.written(id, 1)
			}
		})
		parallel(t, "looks_only_behind_a_sync_when_the_"+what+"_is_lost", func(t *testing.T) {
			d, b, p, worker, proxy := proxied(t)
			begin(d, b, worker, "a")
			met := cut(proxy, zktest.OpMulti, 1)
			held, release := proxy.Hold(zktest.OpSync, 1)
			p.stop()
			happened(t, "lost "+what, met)
			proxy.Seen()
			happened(t, "sync", held)
			if sent := slices.DeleteFunc(proxy.Seen(), func(op zktest.Op) bool { return op == zktest.OpSetWatches }); len(sent) > 0 {
				t.Errorf("before the sync: %v", sent)
			}
			release()
			p.leave()
			d.workers(0)
			d.written("a", 1)
		})
		parallel(t, "settles_its_commit_first_when_the_"+what+"_is_lost", func(t *testing.T) {
			d, b, p, worker, proxy := proxied(t)
			begin(d, b, worker, "a", "b")
			met := cut(proxy, zktest.OpMulti, 1)
			held, release := proxy.Hold(zktest.OpSync, 1)
			b.end("a", "1")
			happened(t, "lost "+what, met)
			happened(t, "sync", held)
			p.stop()
			release()
			p.leave()
			d.workers(0)
			d.state("a", "done 1")
			d.state("b", "pending")
			d.written("a", 1)
			d.written("b", 1)
			b.once("a")
		})
	}
	parallel(t, "ends_when_the_session_does_while_cut_off", func(t *testing.T) {
		d, b, p, worker, proxy := proxied(t)
		begin(d, b, worker, "t")
		proxy.Refuse(true)
		suspended(t, p.s, true)
		p.stop()
		b.ended("t")
		if err := p.s.Live().Err(); err != nil {
			t.Errorf("cancelled only when the session may be over: %v", err)
		}
		p.s.Close()
		if err := p.wait(); !errors.Is(err, session.ErrOver) {
			t.Errorf("Run: %v", err)
		}
		d.written("t", 0)
	})
}

func TestReconnectExpired(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{"wait", "stubborn"} {
		parallel(t, "never_writes_the_result_of_a_task_that_"+map[string]string{
			"wait": "ends_with_its_context", "stubborn": "ends_too_late"}[payload], func(t *testing.T) {
			d, b, p, worker, _ := proxied(t)
			d.submit("t", payload)
			d.assign(worker, "t")
			b.began("t")
			zktest.Expire(t, zktest.Shared(t).Addr(), p.s.ID())
			d.workers(0)
			b.ended("t")
			if payload == "stubborn" {
				b.end("t", "zombie")
			}
			if err := p.wait(); !errors.Is(err, session.ErrOver) || !errors.Is(err, zk.ErrSessionExpired) {
				t.Errorf("Run: %v", err)
			}
			d.written("t", 0)
		})
	}
	parallel(t, "never_writes_a_result_that_was_on_its_way", func(t *testing.T) {
		d, b, p, worker, proxy := proxied(t)
		begin(d, b, worker, "t")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end("t", "zombie")
		happened(t, "commit", held)
		proxy.Blackhole(true)
		zktest.Expire(t, zktest.Shared(t).Addr(), p.s.ID())
		release()
		proxy.Blackhole(false)
		if err := p.wait(); !errors.Is(err, session.ErrOver) {
			t.Errorf("Run: %v", err)
		}
		d.written("t", 0)
	})
	parallel(t, "starts_over_under_a_new_id", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		ids := make(chan int64, 2)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- session.Run(ctx, harness.SessionConfig(t, root), 20*time.Second,
				func(ctx context.Context, s *session.Session) error {
					ids <- s.ID()
					return Run(ctx, s, Config{Run: b.run, Logger: harness.Logger(t)})
				})
		}()
		defer func() { cancel(); <-done }()
		old := d.worker()
		d.submit("t", "wait")
		d.assign(old, "t")
		b.began("t")
		zktest.Expire(t, zktest.Shared(t).Addr(), <-ids)
		b.ended("t")
		worker := d.worker()
		if worker == old || d.stat(task.WorkerPath(worker)).EphemeralOwner != <-ids {
			t.Errorf("registered %s, then %s", old, worker)
		}
		d.assign(worker, "t")
		b.end("t", "x")
		d.state("t", "done x")
		b.began("t", "t")
		d.written("t", 1)
	})
}
