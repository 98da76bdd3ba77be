package master

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// hour is the retention time of a janitor that sweeps when the test says so.
const hour = time.Hour

// keeper is a janitor with its log; its session goes through the proxy.
func keeper(t *testing.T) (*janitor, *zktest.ManualClient, *zktest.Proxy, *strings.Builder) {
	t.Helper()
	h, connect := tree(t)
	proxy, via := zktest.Via(t, connect)
	s := harness.Open(t, via)
	log := new(strings.Builder)
	m := &master{s: s, cfg: Config{Retention: hour, Logger: slog.New(slog.NewTextHandler(log, nil))}, dirs: newDirs(s)}
	m.rights = session.NewRights(m.cfg.Logger)
	j := newJanitor(m, session.Check(h.CreateSeq("/master/x-", "who"), session.AnyVersion))
	if err := j.sign(); err != nil {
		t.Fatal(err)
	}
	return j, h, proxy, log
}

// sweep has a janitor look as if it were so much later.
func sweep(t *testing.T, j *janitor, later time.Duration) {
	t.Helper()
	j.signed = j.signed.Add(later)
	defer func() { j.signed = j.signed.Add(-later) }()
	if err := j.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// finished makes a task by hand that is.
func finished(h *zktest.ManualClient, id, state string) {
	submit(h, id)
	h.Set(task.StatePath(id), state)
}

// left is which tasks and payloads there are.
func left(h *zktest.ManualClient) string {
	return fmt.Sprint(h.Children("/tasks"), h.Children("/data"))
}

func count(seen []zktest.Op, op zktest.Op) (n int) {
	for _, o := range seen {
		if o == op {
			n++
		}
	}
	return n
}

func TestLeaderWritesItsHostIntoItsCandidate(t *testing.T) {
	t.Run("a candidate that is gone deposes the leader", func(t *testing.T) {
		j, h, _, _ := keeper(t)
		h.Delete(j.fence.Path)
		if err := j.sign(); !errors.Is(err, errDeposed) {
			t.Errorf("sign: %v", err)
		}
	})
	t.Run("what a person wrote into the candidate stays", func(t *testing.T) {
		j, h, _, _ := keeper(t)
		h.Set(j.fence.Path, "mine")
		if err := j.sign(); err != nil {
			t.Errorf("sign: %v", err)
		}
		if got, _ := h.Get(j.fence.Path); got != "mine" {
			t.Errorf("holds %q", got)
		}
	})
	t.Run("a candidate that may not be written counts from its creation", func(t *testing.T) {
		j, h, _, _ := keeper(t)
		stat, _ := h.Stat(j.fence.Path)
		if err := j.s.SetACL(j.fence.Path, zk.WorldACL(zk.PermAdmin), -1); err != nil {
			t.Fatal(err)
		}
		j.signed = time.Time{}
		if err := j.sign(); err != nil || j.signed.UnixMilli() != stat.Mtime {
			t.Errorf("signed %v, %v", j.signed, err)
		}
	})
}

func TestJanitor(t *testing.T) {
	t.Run("removes results with their payloads when they are due and not before", func(t *testing.T) {
		j, h, _, _ := keeper(t)
		finished(h, "done", "done 1")
		finished(h, "failed", "failed so")
		finished(h, "odd", "finished")
		submit(h, "pending")
		h.CreateEphemeral("/data/of-a-client", "0")
		h.CreateEphemeral("/tasks/of-a-client", "done 1")
		h.Create("/tasks/no-payload", "done 1")
		before := left(h)
		sweep(t, j, hour-time.Minute)
		if got := left(h); got != before {
			t.Fatalf("removed too early: left %s of %s", got, before)
		}
		sweep(t, j, hour+time.Minute)
		if got, want := left(h), "[odd of-a-client pending] [odd of-a-client pending]"; got != want {
			t.Errorf("left %s, want %s", got, want)
		}
	})
	t.Run("believes the time in an id unless it lies ahead", func(t *testing.T) {
		j, h, proxy, _ := keeper(t)
		now, ahead, alone := task.NewID(), "ffffffff-ffff-7000-8000-000000000001", task.NewID()
		h.Create(task.DataPath(alone), "")
		j.lone = map[string]bool{alone: true}
		for _, id := range []string{now, ahead} {
			finished(h, id, "done 1")
		}
		proxy.Seen()
		sweep(t, j, hour-time.Minute)
		if n := count(proxy.Seen(), zktest.OpExists); n != 1 {
			t.Errorf("it looked at %d tasks, not at the one that may be old", n)
		}
		sweep(t, j, hour+time.Minute)
		if got := left(h); got != "[] []" {
			t.Errorf("left %s", got)
		}
	})
	t.Run("removes the others where one cannot be removed", func(t *testing.T) {
		j, h, proxy, log := keeper(t)
		var odd []string
		for i := range 50 {
			id := fmt.Sprintf("t%02d", i)
			finished(h, id, "done 1")
			if i%5 == 3 {
				h.Create([]string{"/tasks/", "/data/"}[i/5%2]+id+"/below", "")
				odd = append(odd, id)
			}
		}
		sweep(t, j, 2*hour)
		if got, want := left(h), fmt.Sprint(odd, odd); got != want {
			t.Errorf("left %s, want %s", got, want)
		}
		proxy.Seen()
		for range 3 {
			sweep(t, j, 2*hour)
		}
		if n := count(proxy.Seen(), zktest.OpMulti); n > 0 {
			t.Errorf("tried again with %d Multis", n)
		}
		if n := strings.Count(log.String(), "WARN"); n != len(odd) {
			t.Errorf("%d complaints about %d znodes:\n%s", n, len(odd), log)
		}
		h.Delete("/tasks/t03/below")
		sweep(t, j, 2*hour)
		if got := h.Children("/tasks"); slices.Contains(got, "t03") {
			t.Errorf("left %q", got)
		}
	})
	t.Run("removes an old payload that had no task in two sweeps", func(t *testing.T) {
		j, h, proxy, log := keeper(t)
		for _, id := range []string{"alone", "by-hand", "odd", "odd/below", "task-since"} {
			h.Create("/data/"+id, "0")
		}
		h.CreateEphemeral("/data/of-a-client", "0")
		submit(h, "task")
		sweep(t, j, 2*hour)
		h.Create("/data/late", "0")
		h.Create("/tasks/by-hand", "pending") // its payload was made a little before
		sweep(t, j, 2*hour)
		if got, want := fmt.Sprint(h.Children("/data")), "[by-hand late odd of-a-client task]"; got != want {
			t.Errorf("left %s, want %s", got, want)
		}
		if n := strings.Count(log.String(), "WARN"); n != 1 || !strings.Contains(log.String(), "znode=/data/odd ") {
			t.Errorf("it says:\n%s", log)
		}
		sweep(t, j, 0)
		if _, ok := h.Get("/data/late"); !ok {
			t.Error("one that is not old was removed")
		}
		sweep(t, j, 2*hour)
		proxy.Seen()
		sweep(t, j, 2*hour)
		if n := count(proxy.Seen(), zktest.OpMulti); n > 0 {
			t.Errorf("tried again with %d Multis", n)
		}
	})
	t.Run("keeps the payload of a task that is submitted between its two listings", func(t *testing.T) {
		j, h, proxy, _ := keeper(t)
		j.lone = map[string]bool{"t": true}
		during(t, proxy, zktest.OpGetChildren, "/data", func() { sweep(t, j, 2*hour) }, func() { submit(h, "t") })
		if got := left(h); got != "[t] [t]" {
			t.Errorf("left %s", got)
		}
	})
	t.Run("leaves what has no name of a task alone", func(t *testing.T) {
		j, h, _, _ := keeper(t)
		finished(h, "-t", "done 1")
		h.Create("/data/-alone", "")
		for range 2 {
			sweep(t, j, 2*hour)
		}
		if got := left(h); got != "[-t] [-alone -t]" {
			t.Errorf("left %s", got)
		}
	})
	t.Run("tries little where it may remove nothing, and goes on where it may", func(t *testing.T) {
		j, h, proxy, log := keeper(t)
		permit := func(perms int32) {
			if err := j.s.SetACL("/data", zk.WorldACL(perms), -1); err != nil {
				t.Fatal(err)
			}
		}
		const many = 10 * pipeline
		for i := range many {
			h.Create(fmt.Sprintf("/data/t%03d", i), "")
		}
		permit(zk.PermAll &^ zk.PermDelete)
		sweep(t, j, 2*hour)
		proxy.Seen()
		sweep(t, j, 2*hour)
		if n := count(proxy.Seen(), zktest.OpMulti); n > 2*pipeline {
			t.Errorf("tried with %d Multis", n)
		}
		if n := strings.Count(log.String(), "WARN"); n != 1 {
			t.Errorf("it says:\n%s", log)
		}
		permit(zk.PermAll)
		proxy.Seen()
		sweep(t, j, 2*hour)
		if n := len(h.Children("/data")); n > 0 {
			t.Errorf("%d payloads are left", n)
		}
		if !strings.Contains(log.String(), "the right is back") {
			t.Errorf("it says:\n%s", log)
		}
	})
	t.Run("removes payloads though no task may be removed, and says which right is missing", func(t *testing.T) {
		j, h, _, log := keeper(t)
		finished(h, "t", "done 1")
		h.Create("/data/alone", "")
		if err := j.s.SetACL("/tasks", zk.WorldACL(zk.PermAll&^zk.PermDelete), -1); err != nil {
			t.Fatal(err)
		}
		sweep(t, j, 2*hour)
		sweep(t, j, 2*hour)
		if got := left(h); got != "[t] [t]" {
			t.Errorf("left %s", got)
		}
		if n := strings.Count(log.String(), "WARN"); n != 1 || !strings.Contains(log.String(), "znode=/tasks right=delete") {
			t.Errorf("it says:\n%s", log)
		}
	})
	t.Run("makes /data when it is missing", func(t *testing.T) {
		j, h, _, _ := keeper(t)
		h.Delete("/data")
		sweep(t, j, 2*hour)
		if _, ok := h.Get("/data"); !ok {
			t.Error("there is no /data")
		}
	})
	for _, kind := range []string{"result", "payload"} {
		t.Run("removes no "+kind+" for a leader that is deposed", func(t *testing.T) {
			j, h, _, _ := keeper(t)
			if kind == "result" {
				finished(h, "t", "done 1")
			} else {
				h.Create("/data/t", "")
				j.lone = map[string]bool{"t": true}
			}
			before := left(h)
			h.Delete(j.fence.Path)
			j.signed = j.signed.Add(2 * hour)
			if err := j.sweep(t.Context()); !errors.Is(err, errDeposed) {
				t.Errorf("sweep: %v", err)
			}
			if got := left(h); got != before {
				t.Errorf("left %s of %s", got, before)
			}
		})
	}
}

// TestRetention has whole masters remove what is due.
func TestRetention(t *testing.T) {
	gone := func(t *testing.T, h *zktest.ManualClient, paths ...string) {
		t.Helper()
		zktest.Eventually(t, fmt.Sprint(paths, " are gone"), func() (bool, string) {
			for _, p := range paths {
				if _, ok := h.Get(p); ok {
					return false, p
				}
			}
			return true, ""
		})
	}
	t.Run("removes results, also without any worker", func(t *testing.T) {
		const period = 2 * time.Second
		h, connect := tree(t)
		of := []string{task.NewID(), task.NewID()}
		h.CreateEphemeral("/tasks/of-a-client", "done 1")
		submit(h, of[0])
		run(t, harness.Open(t, connect), Config{Retention: period})
		began := time.Now()
		finished(h, of[1], "failed so")
		gone(t, h, task.StatePath(of[1]), task.DataPath(of[1]))
		if took := time.Since(began); took < period {
			t.Errorf("removed after %v", took)
		}
		if got := left(h); got != fmt.Sprintf("[%s of-a-client] [%s]", of[0], of[0]) {
			t.Errorf("left %s", got)
		}
	})
	t.Run("removes payloads without a task", func(t *testing.T) {
		h, connect := tree(t)
		h.Create("/data/alone", "")
		run(t, harness.Open(t, connect), Config{Retention: time.Second})
		gone(t, h, "/data/alone")
	})
	t.Run("goes on through changes of leader", func(t *testing.T) {
		const period, term = 6 * time.Second, 2 * time.Second
		h, connect := tree(t)
		ctx, cancel := context.WithCancel(context.Background())
		var masters sync.WaitGroup
		defer masters.Wait()
		defer cancel()
		began := time.Now()
		finished(h, "t", "done 1")
		h.Create("/data/alone", "")
		masters.Go(func() {
			for ctx.Err() == nil {
				lead, end := context.WithTimeout(ctx, term)
				s := harness.Open(t, connect)
				if err := Run(lead, s, Config{Retention: period}); err != nil {
					t.Error(err)
				}
				end()
				s.Close()
			}
		})
		gone(t, h, "/tasks/t", "/data/t", "/data/alone")
		if took := time.Since(began); took < period || took > period+3*time.Second {
			t.Errorf("removed after %v", took)
		}
	})
	t.Run("of thousands of results holds up no assignment", func(t *testing.T) {
		const many = 1500
		h, connect := tree(t)
		s := harness.Open(t, connect)
		for range many / 100 {
			var ops []session.Op
			for range 100 {
				id := task.NewID()
				ops = append(ops, session.Create(task.DataPath(id), nil), session.Create(task.StatePath(id), nil),
					session.Set(task.StatePath(id), []byte("done 1"), 0))
			}
			if _, err := s.Multi(ops...); err != nil {
				t.Fatal(err)
			}
		}
		run(t, s, Config{Retention: time.Second})
		h.CreateEphemeral("/workers/w", "")
		slowest := time.Duration(0)
		for n := many; n > 0; n = len(h.Children("/tasks")) {
			id := task.NewID()
			submit(h, id)
			began := time.Now()
			expect(t, h, "/workers/w", id)
			slowest = max(slowest, time.Since(began))
			finish(h, "w", id)
			h.Delete(task.StatePath(id))
			h.Delete(task.DataPath(id))
		}
		t.Logf("the slowest assignment took %v", slowest)
		if slowest > 5*time.Second {
			t.Errorf("an assignment took %v", slowest)
		}
	})
}

func TestRetentionDefaults(t *testing.T) {
	for configured, want := range map[time.Duration]time.Duration{0: DefaultRetention, -1: 0, time.Minute: time.Minute} {
		if got := (Config{Retention: configured}).withDefaults().Retention; got != want {
			t.Errorf("%v: got %v, want %v", configured, got, want)
		}
	}
}
