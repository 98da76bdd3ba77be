//go:build !race

// go-zookeeper races with itself when it reconnects under traffic, so that what
// reconnects cannot run under the race detector.

package master

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// TestReconnectLostReply loses the answer to each write of the leader, in both
// forms: the write was never carried out, and it was.
func TestReconnectLostReply(t *testing.T) {
	type cut func(p *zktest.Proxy, match zktest.Match) <-chan struct{}
	cuts := map[string]cut{
		"that_was_not_carried_out": func(p *zktest.Proxy, m zktest.Match) <-chan struct{} { return p.CutBefore(zktest.OpMulti, 1, m) },
		"that_was_carried_out":     func(p *zktest.Proxy, m zktest.Match) <-chan struct{} { return p.CutAfter(zktest.OpMulti, 1, m) },
	}
	for form, cut := range cuts {
		setup := func(t *testing.T) (*zktest.ManualClient, *zktest.Proxy, string) {
			connect := zktest.Connect(t)
			h := zktest.Conn(t, connect)
			makeDirs(h)
			proxy, via := zktest.Via(t, connect)
			start(t, via)
			settled(t, h)
			return h, proxy, connect
		}
		// written checks that a znode was written so many times, and no more.
		written := func(t *testing.T, h *zktest.ManualClient, path string, times int32) {
			t.Helper()
			settled(t, h)
			if stat, _ := h.Stat(path); stat.Version != times {
				t.Errorf("%s was written %d times", path, stat.Version)
			}
		}
		t.Run("of_an_assignment_"+form, func(t *testing.T) {
			h, proxy, _ := setup(t)
			happened := cut(proxy, zktest.Naming("/workers/w1"))
			id := task.NewID()
			submit(h, id)
			proxy.Seen()
			h.CreateEphemeral("/workers/w1", "")
			zktest.Receive(t, "request that the proxy acts on", happened)
			expect(t, h, "/workers/w1", id)
			written(t, h, "/workers/w1", 1)
			if seen := proxy.Seen(); !slices.Contains(seen, zktest.OpSync) {
				t.Errorf("no sync after the lost reply, but %v", seen)
			}
		})
		t.Run("of_what_is_drained_"+form, func(t *testing.T) {
			h, proxy, _ := setup(t)
			h.CreateEphemeral("/workers/w1", "")
			settled(t, h)
			happened := cut(proxy, zktest.Naming("/drain/w1"))
			proxy.Seen()
			h.Create("/drain/w1", "")
			zktest.Receive(t, "request that the proxy acts on", happened)
			expect(t, h, "/drain/w1", "drained")
			written(t, h, "/drain/w1", 1)
			seen := proxy.Seen()
			if at := slices.Index(seen, zktest.OpSync); at < 0 || !slices.Contains(seen[at:], zktest.OpGetChildren) {
				t.Errorf("no sync before /drain is listed after the lost reply, but %v", seen)
			}
		})
		t.Run("of_a_take_back_"+form, func(t *testing.T) {
			h, proxy, _ := setup(t)
			id := task.NewID()
			submit(h, id)
			h.CreateEphemeral("/workers/w1", "")
			expect(t, h, "/workers/w1", id)
			happened := cut(proxy, zktest.Naming("/workers/w1"))
			h.Delete(task.StatePath(id))
			zktest.Receive(t, "request that the proxy acts on", happened)
			expect(t, h, "/workers/w1", "")
			if stat, _ := h.Stat("/workers/w1"); stat.Version != 2 {
				t.Errorf("w1 was written %d times", stat.Version)
			}
		})
		t.Run("of_an_assignment_after_a_loss_"+form, func(t *testing.T) {
			h, proxy, connect := setup(t)
			id := task.NewID()
			submit(h, id)
			w := zktest.Conn(t, connect)
			w.CreateEphemeral("/workers/w1", "")
			expect(t, h, "/workers/w1", id)
			happened := cut(proxy, zktest.Naming("pending 1"))
			w.Close()
			h.CreateEphemeral("/workers/w2", "")
			zktest.Receive(t, "request that the proxy acts on", happened)
			expect(t, h, "/workers/w2", id)
			expect(t, h, task.StatePath(id), "pending 1") // one loss, not two
			written(t, h, task.StatePath(id), 1)
		})
		t.Run("of_a_last_loss_"+form, func(t *testing.T) {
			h, proxy, connect := setup(t)
			id := task.NewID()
			submit(h, id)
			happened := cut(proxy, zktest.Naming("failed lost"))
			for i := range 3 {
				w := zktest.Conn(t, connect)
				path := fmt.Sprintf("/workers/w%d", i)
				w.CreateEphemeral(path, "")
				expect(t, h, path, id)
				w.Close()
			}
			zktest.Receive(t, "request that the proxy acts on", happened)
			expect(t, h, task.StatePath(id), "failed lost with 3 workers")
			written(t, h, task.StatePath(id), 3)
		})
	}
}

func TestReconnectOutage(t *testing.T) {
	setup := func(t *testing.T) (*zktest.Server, *zktest.ManualClient, string) {
		server := zktest.NewServer(t, zktest.Options{})
		connect := server.Addr() + "/outage"
		h := zktest.Conn(t, server.Addr())
		h.Create("/outage", "")
		h = zktest.Conn(t, connect)
		makeDirs(h)
		return server, h, connect
	}
	t.Run("of_the_servers_changes_no_leader_and_assigns_nothing_again", func(t *testing.T) {
		server, h, connect := setup(t)
		start(t, connect)
		settled(t, h)
		id := task.NewID()
		submit(h, id)
		h.CreateEphemeral("/workers/w1", "")
		expect(t, h, "/workers/w1", id)
		leader := h.Children("/master")
		server.Kill()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		settled(t, h)
		if got := h.Children("/master"); !slices.Equal(got, leader) {
			t.Errorf("candidates %q before the outage, %q after it", leader, got)
		}
		if stat, _ := h.Stat("/workers/w1"); stat.Version != 1 {
			t.Errorf("w1 was written %d times", stat.Version)
		}
	})
	t.Run("amid_a_listing_delays_no_assignment_afterwards", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		proxy, via := zktest.Via(t, connect)
		start(t, via)
		settled(t, h)
		h.CreateEphemeral("/workers/w1", "")
		held, release := proxy.Hold(zktest.OpGetChildren, 1, zktest.Naming("/tasks"))
		first, second := task.NewID(), task.NewID()
		submit(h, first)
		zktest.Receive(t, "request that the proxy acts on", held)
		proxy.Refuse(true)
		release()
		<-time.After(listPause) // the length of the outage
		proxy.Refuse(false)
		expect(t, h, "/workers/w1", first)
		finish(h, "w1", first)
		began := time.Now()
		submit(h, second)
		expect(t, h, "/workers/w1", second)
		if took := time.Since(began); took > listPause/2 {
			t.Errorf("assigned after %v", took)
		}
	})
	t.Run("that_ends_a_workers_session_is_no_loss_of_its_task", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		proxy, via := zktest.Via(t, connect)
		start(t, via)
		id := task.NewID()
		submit(h, id)
		w := zktest.Conn(t, connect)
		w.CreateEphemeral("/workers/w1", "")
		expect(t, h, "/workers/w1", id)
		settled(t, h) // it knows that its assignment was carried out
		proxy.Refuse(true)
		w.Close() // the servers ended its session
		proxy.Refuse(false)
		h.CreateEphemeral("/workers/w2", "")
		expect(t, h, "/workers/w2", id)
		if stat, _ := h.Stat(task.StatePath(id)); stat.Version != 0 {
			got, _ := h.Get(task.StatePath(id))
			t.Errorf("state %q", got)
		}
	})
	t.Run("of_the_leaders_session_makes_it_run_again", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() {
			cfg := harness.SessionConfig(t, connect)
			cfg.Timeout = 2 * time.Second
			err := session.Run(ctx, cfg, 10*time.Second, func(ctx context.Context, s *session.Session) error {
				return Run(ctx, s, Config{Logger: harness.Logger(t)})
			})
			if err != nil {
				t.Error(err)
			}
		})
		defer running.Wait()
		defer cancel()
		settled(t, h)
		for range 3 {
			before := h.Children("/master")
			stat, _ := h.Stat("/master/" + before[0])
			zktest.Expire(t, connect, stat.EphemeralOwner)
			zktest.Eventually(t, "a new candidate", func() (bool, string) {
				after := h.Children("/master")
				return len(after) == 1 && after[0] != before[0], fmt.Sprint(after)
			})
			settled(t, h)
		}
	})
}

// TestReconnectLateWrite holds back a write of the leader until another
// candidate leads, one by hand, which does nothing. Then ZooKeeper gets the
// write. All it checks still holds but for the leader's candidate znode.
func TestReconnectLateWrite(t *testing.T) {
	connect := zktest.Connect(t)
	h := zktest.Conn(t, connect)
	makeDirs(h)
	proxy, via := zktest.Via(t, connect)
	start(t, via)
	settled(t, h)
	old := h.Children("/master")[0]
	mine := h.CreateSeq("/master/by-hand-", "me")

	held, release := proxy.Hold(zktest.OpMulti, 1, zktest.Naming("/workers/"))
	id := task.NewID()
	submit(h, id)
	h.CreateEphemeral("/workers/w1", "")
	zktest.Receive(t, "assignment that is held", held)
	h.Delete("/master/" + old) // as if its session had ended
	release()
	zktest.Eventually(t, "the old leader runs again", func() (bool, string) {
		c := h.Children("/master")
		return len(c) == 2 && !slices.Contains(c, old), fmt.Sprint(c)
	})
	if got, _ := h.Get("/workers/w1"); got != "" {
		t.Errorf("the deposed leader assigned %q", got)
	}
	h.Delete(mine)
	expect(t, h, "/workers/w1", id)
}

// TestReconnectOldServer has a leader at a server that knows no persistent watches: it
// hears of everything at once all the same, not by reading all again.
func TestReconnectOldServer(t *testing.T) {
	connect := zktest.Connect(t)
	h := zktest.Conn(t, connect)
	makeDirs(h)
	proxy, via := zktest.Via(t, connect)
	proxy.Unknown(zktest.OpAddWatch)
	run(t, harness.Open(t, via), Config{Retention: -1})
	h.CreateEphemeral("/workers/w1", "")
	settled(t, h)
	settled(t, h)
	began := time.Now()
	for i := range 5 {
		id := fmt.Sprintf("t%d", i)
		submit(h, id)
		expect(t, h, "/workers/w1", id)
		finish(h, "w1", id)
	}
	h.CreateEphemeral("/workers/w2", "")
	submit(h, "t5")
	submit(h, "t6")
	expect(t, h, "/workers/w2", "t6")
	h.Delete("/workers/w2")
	h.CreateEphemeral("/workers/w3", "")
	expect(t, h, "/workers/w3", "t6")
	if took := time.Since(began); took > resync/2 {
		t.Errorf("it took %v", took)
	}
}

// TestReconnectLeaderWritesItsHostIntoItsCandidate loses the answer to a janitor's signature: it signs again, for what
// time it is for the servers is to be known.
func TestReconnectLeaderWritesItsHostIntoItsCandidate(t *testing.T) {
	j, h, proxy, log := keeper(t)
	lost := proxy.CutAfter(zktest.OpMulti, 1, zktest.Naming(j.fence.Path))
	if err := j.sign(); err != nil {
		t.Fatal(err)
	}
	zktest.Receive(t, "request that the proxy acts on", lost)
	stat, _ := h.Stat(j.fence.Path)
	if j.signed.UnixMilli() != stat.Mtime || log.Len() > 0 {
		t.Errorf("signed at %d ms, written at %d ms; it says:\n%s", j.signed.UnixMilli(), stat.Mtime, log)
	}
}

// TestReconnectReadsAgain cuts a leader's connection: a watch may have been lost with it.
func TestReconnectReadsAgain(t *testing.T) {
	h, connect := tree(t)
	proxy, via := zktest.Via(t, connect)
	l := still(harness.Open(t, via), h, harness.Logger(t))
	turnUntilQuiet(t, l)
	l.tasks.due, l.workers.due = false, false
	cut := proxy.CutBefore(zktest.OpGetData, 1)
	if _, _, err := l.s.Get("/tasks"); err != nil {
		t.Fatal(err)
	}
	zktest.Receive(t, "request that the proxy acts on", cut)
	zktest.Eventually(t, "everything is due", func() (bool, string) {
		if err := l.takeHints(); err != nil {
			t.Fatal(err)
		}
		return l.tasks.due && l.workers.due, fmt.Sprintf("/tasks: %t, /workers: %t", l.tasks.due, l.workers.due)
	})
}
