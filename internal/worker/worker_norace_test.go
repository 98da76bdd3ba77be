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
		parallel(t, "creates_one_znode_when_the_"+what+"_is_lost", func(t *testing.T) {
			root := zktest.Connect(t)
			m, x := newManual(t, root), newExecutor(t)
			proxy, through := zktest.Via(t, root)
			s := harness.Open(t, through)
			met := cut(proxy, zktest.OpMulti, 1, zktest.Naming(task.WorkersDir+"/"))
			proxy.Seen()
			p := host(t, s, 1, x.run)
			zktest.Receive(t, "lost "+what, met)
			worker := m.worker()
			m.submit("t", "x")
			m.assign(worker, "t")
			m.state("t", "done x")
			m.free(worker)
			if got := m.workers(1); got[0] != worker {
				t.Errorf("registered %s, then %s", worker, got)
			}
			if owner := m.stat(task.WorkerPath(worker)).EphemeralOwner; owner != s.ID() {
				t.Errorf("owner %#x, session %#x", owner, s.ID())
			}
			syncsFirst(t, proxy)
			p.leave()
			m.workers(0)
		})
	}
}

func TestReconnectCommit(t *testing.T) {
	t.Parallel()
	for what, cut := range cuts {
		parallel(t, "writes_one_result_when_the_"+what+"_is_lost", func(t *testing.T) {
			m, x, p, worker, proxy := proxied(t)
			m.submit("a", "wait")
			m.submit("b", "2")
			m.assign(worker, "a")
			x.began("a")
			met := cut(proxy, zktest.OpMulti, 1)
			proxy.Seen()
			x.end("a", "1")
			zktest.Receive(t, "lost "+what, met)
			m.state("a", "done 1")
			m.free(worker)
			syncsFirst(t, proxy)
			m.assign(worker, "b")
			m.state("b", "done 2")
			m.free(worker)
			x.began("a", "b")
			m.written("a", 1)
			m.written("b", 1)
			p.leave()
		})
	}
	parallel(t, "writes_the_result_when_the_request_is_lost_and_the_list_was_written_meanwhile", func(t *testing.T) {
		m, x, _, worker, proxy := proxied(t)
		begin(m, x, worker, "a", "b")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		x.end("a", "1")
		zktest.Receive(t, "commit", held)
		m.assign(worker, "a") // b is taken back
		proxy.Refuse(true)
		release()
		proxy.Refuse(false)
		m.state("a", "done 1")
		m.free(worker)
		x.once("a")
		m.written("a", 1)
		m.written("b", 0)
	})
	parallel(t, "writes_nothing_more_when_the_reply_is_lost_and_a_new_task_came_meanwhile", func(t *testing.T) {
		m, x, _, worker, proxy := proxied(t)
		m.submit("a", "wait")
		m.submit("b", "wait")
		m.assign(worker, "a")
		x.began("a")
		met := proxy.CutAfter(zktest.OpMulti, 1)
		held, release := proxy.Hold(zktest.OpSync, 1)
		x.end("a", "1")
		zktest.Receive(t, "lost reply", met)
		zktest.Receive(t, "sync", held)
		m.state("a", "done 1")
		m.free(worker)
		m.assign(worker, "b")
		release()
		x.began("a", "b")
		x.end("b", "2")
		m.state("b", "done 2")
		m.free(worker)
		m.written("a", 1)
		m.written("b", 1)
	})
	parallel(t, "writes_each_result_once_when_slots_share_a_lost_transaction", func(t *testing.T) {
		const slots = 6
		root := zktest.Connect(t)
		m, x := newManual(t, root), newExecutor(t)
		proxy, through := zktest.Via(t, root)
		host(t, harness.Open(t, through), slots, x.run)
		var ids []string
		workers := m.workers(slots)
		met := proxy.CutAfter(zktest.OpMulti, 2, zktest.Naming("done"))
		for i, worker := range workers {
			ids = append(ids, fmt.Sprint("t", i))
			m.submit(ids[i], "x")
			m.assign(worker, ids[i])
		}
		zktest.Receive(t, "lost reply", met)
		for i, id := range ids {
			m.state(id, "done x")
			m.free(workers[i])
			m.written(id, 1)
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		if len(x.order) != slots {
			t.Errorf("executed %q", x.order)
		}
	})
}

func TestReconnectLeave(t *testing.T) {
	t.Parallel()
	for what, cut := range cuts {
		parallel(t, "gives_back_once_when_the_"+what+"_is_lost", func(t *testing.T) {
			m, x, p, worker, proxy := proxied(t)
			begin(m, x, worker, "a", "b")
			met := cut(proxy, zktest.OpMulti, 1)
			p.stop()
			zktest.Receive(t, "lost "+what, met)
			p.leave()
			x.ended("a")
			m.workers(0)
			for _, id := range []string{"a", "b"} {
				m.state(id, "pending")
				m.written(id, 1)
			}
		})
		parallel(t, "reads_only_after_a_sync_when_the_"+what+"_is_lost", func(t *testing.T) {
			m, x, p, worker, proxy := proxied(t)
			begin(m, x, worker, "a")
			met := cut(proxy, zktest.OpMulti, 1)
			held, release := proxy.Hold(zktest.OpSync, 1)
			p.stop()
			zktest.Receive(t, "lost "+what, met)
			proxy.Seen()
			zktest.Receive(t, "sync", held)
			if sent := slices.DeleteFunc(proxy.Seen(), func(op zktest.Op) bool { return op == zktest.OpSetWatches }); len(sent) > 0 {
				t.Errorf("before the sync: %v", sent)
			}
			release()
			p.leave()
			m.workers(0)
			m.written("a", 1)
		})
		parallel(t, "settles_a_commit_first_when_its_"+what+"_is_lost", func(t *testing.T) {
			m, x, p, worker, proxy := proxied(t)
			begin(m, x, worker, "a", "b")
			met := cut(proxy, zktest.OpMulti, 1)
			held, release := proxy.Hold(zktest.OpSync, 1)
			x.end("a", "1")
			zktest.Receive(t, "lost "+what, met)
			zktest.Receive(t, "sync", held)
			p.stop()
			release()
			p.leave()
			m.workers(0)
			m.state("a", "done 1")
			m.state("b", "pending")
			m.written("a", 1)
			m.written("b", 1)
			x.once("a")
		})
	}
	parallel(t, "ends_when_the_session_is_over_while_cut_off", func(t *testing.T) {
		m, x, p, worker, proxy := proxied(t)
		begin(m, x, worker, "t")
		proxy.Refuse(true)
		suspended(t, p.s, true)
		p.stop()
		x.ended("t")
		if err := p.s.Live().Err(); err != nil {
			t.Errorf("cancelled only when the session may be over: %v", err)
		}
		p.s.Close()
		if err := p.wait(); !errors.Is(err, session.ErrOver) {
			t.Errorf("Run: %v", err)
		}
		m.written("t", 0)
	})
}

func TestReconnectExpiredSession(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{"wait", "stubborn"} {
		parallel(t, "gets_no_result_of_a_task_that_"+map[string]string{
			"wait": "ends_with_its_context", "stubborn": "ends_too_late"}[payload], func(t *testing.T) {
			m, x, p, worker, _ := proxied(t)
			m.submit("t", payload)
			m.assign(worker, "t")
			x.began("t")
			zktest.Expire(t, zktest.Shared(t).Addr(), p.s.ID())
			m.workers(0)
			x.ended("t")
			if payload == "stubborn" {
				x.end("t", "zombie")
			}
			if err := p.wait(); !errors.Is(err, session.ErrOver) || !errors.Is(err, zk.ErrSessionExpired) {
				t.Errorf("Run: %v", err)
			}
			m.written("t", 0)
		})
	}
	parallel(t, "gets_no_result_that_was_on_its_way", func(t *testing.T) {
		m, x, p, worker, proxy := proxied(t)
		begin(m, x, worker, "t")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		x.end("t", "zombie")
		zktest.Receive(t, "commit", held)
		proxy.Blackhole(true)
		zktest.Expire(t, zktest.Shared(t).Addr(), p.s.ID())
		release()
		proxy.Blackhole(false)
		if err := p.wait(); !errors.Is(err, session.ErrOver) {
			t.Errorf("Run: %v", err)
		}
		m.written("t", 0)
	})
	parallel(t, "is_followed_by_a_new_one_with_a_new_worker_id", func(t *testing.T) {
		root := zktest.Connect(t)
		m, x := newManual(t, root), newExecutor(t)
		ids := make(chan int64, 2)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- session.Run(ctx, harness.SessionConfig(t, root), 20*time.Second,
				func(ctx context.Context, s *session.Session) error {
					ids <- s.ID()
					return Run(ctx, s, Config{Run: x.run, Logger: harness.Logger(t)})
				})
		}()
		defer func() { cancel(); <-done }()
		old := m.worker()
		m.submit("t", "wait")
		m.assign(old, "t")
		x.began("t")
		zktest.Expire(t, zktest.Shared(t).Addr(), <-ids)
		x.ended("t")
		worker := m.worker()
		if worker == old || m.stat(task.WorkerPath(worker)).EphemeralOwner != <-ids {
			t.Errorf("registered %s, then %s", old, worker)
		}
		m.assign(worker, "t")
		x.end("t", "x")
		m.state("t", "done x")
		x.began("t", "t")
		m.written("t", 1)
	})
}
