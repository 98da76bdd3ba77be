package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/metrics"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// is waits until a monitor tells a role.
func is(t *testing.T, m *Monitor, want Role) {
	t.Helper()
	zktest.Eventually(t, "the role is "+string(want), func() (bool, string) { return m.Role() == want, string(m.Role()) })
}

// counted waits until a leader tells such counts, of the default queue alone.
func counted(t *testing.T, m *Monitor, want sched.Count) {
	t.Helper()
	zktest.Eventually(t, fmt.Sprintf("counts are %+v", want), func() (bool, string) {
		got, err := m.Counts(t.Context())
		for i := range got {
			got[i].Oldest = time.Time{}
		}
		return slices.Equal(got, []sched.Count{want}), fmt.Sprintf("%+v, %v", got, err)
	})
}

func TestMonitor(t *testing.T) {
	t.Run("tells_who_leads_and_who_is_a_backup_through_a_failover", func(t *testing.T) {
		h, connect := tree(t)
		var first, second, unused Monitor
		stop := run(t, harness.Open(t, connect), Config{Monitor: &first})
		is(t, &first, Leader)
		run(t, harness.Open(t, connect), Config{Monitor: &second})
		is(t, &second, Backup)
		submit(h, "t1")
		counted(t, &first, sched.Count{Pending: 1})
		if _, err := second.Counts(t.Context()); !errors.Is(err, ErrNotLeader) {
			t.Errorf("counts of a backup: %v", err)
		}
		for name, m := range map[string]*Monitor{"leader": &first, "backup": &second} {
			if err := errors.Join(m.Healthy(), m.Ready()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := unused.Ready(); unused.Role() != Joining || err == nil || unused.Healthy() != nil {
			t.Errorf("at first: %s, ready: %v, healthy: %v", unused.Role(), err, unused.Healthy())
		}
		stop()
		is(t, &second, Leader)
		is(t, &first, Joining)
		if _, err := first.Counts(t.Context()); !errors.Is(err, ErrNotLeader) {
			t.Errorf("counts of one that has resigned: %v", err)
		}
		h.CreateEphemeral("/workers/w1", "")
		counted(t, &second, sched.Count{Running: 1, Busy: 1})
	})
	t.Run("answers_all_who_ask_at_once_while_tasks_come_and_go", func(t *testing.T) {
		h, connect := tree(t)
		var m Monitor
		stop := run(t, harness.Open(t, connect), Config{Monitor: &m})
		is(t, &m, Leader)
		asked := make(chan error)
		const askers = 8
		for range askers {
			go func() {
				var err error
				for range 50 {
					_, e := m.Counts(t.Context())
					err = errors.Join(err, e)
				}
				asked <- err
			}()
		}
		h.CreateEphemeral("/workers/w1", "")
		for i := range 20 {
			id := fmt.Sprint("t", i)
			submit(h, id)
			expect(t, h, "/workers/w1", id)
			finish(h, "w1", id)
		}
		for range askers {
			if err := <-asked; err != nil {
				t.Error(err)
			}
		}
		stop()
	})
	t.Run("fails_with_the_context_of_who_asks_a_loop_that_is_stuck", func(t *testing.T) {
		m := stuck(t)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("no patience"))
		defer cancel()
		if _, err := m.Counts(ctx); err == nil || err.Error() != "no patience" {
			t.Errorf("counts: %v", err)
		}
	})
	t.Run("finds_a_loop_unhealthy_that_is_stuck_for_longer_than_a_turn_lasts", func(t *testing.T) {
		m := stuck(t)
		if err := m.Healthy(); err != nil || m.Turn() > longestTurn {
			t.Errorf("a turn that has just begun: %v, %s", err, m.Turn())
		}
		at(m.leader, longestTurn+time.Second)
		if err := m.Healthy(); err == nil || !strings.HasPrefix(err.Error(), "the leader's loop has been in one turn for 11") {
			t.Errorf("healthy: %v", err)
		}
		if m.Turn() < longestTurn {
			t.Errorf("the turn lasts %s", m.Turn())
		}
		m.leader.beat.Add(1) // it has ended
		if err := m.Healthy(); err != nil || m.Turn() != 0 {
			t.Errorf("a turn that has ended: %v, %s", err, m.Turn())
		}
	})
	t.Run("finds_a_loop_healthy_that_waits_for_a_lost_connection", func(t *testing.T) {
		h, connect := tree(t)
		proxy, via := zktest.Via(t, connect)
		s := harness.Open(t, via)
		l := still(s, h, harness.Logger(t))
		l.beat.Add(1)
		at(l, time.Minute)
		var m Monitor
		m.is(Leader, l)
		if m.Healthy() == nil {
			t.Error("healthy, and there is a connection")
		}
		proxy.Blackhole(true)
		proxy.Refuse(true)
		zktest.Eventually(t, "the connection is lost", func() (bool, string) {
			_, lost := s.Suspended()
			return lost, ""
		})
		if err := m.Healthy(); err != nil {
			t.Error(err)
		}
	})
}

// stuck is the monitor of a leader whose loop is in a turn that does not end.
func stuck(t *testing.T) *Monitor {
	t.Helper()
	h, connect := tree(t)
	l := still(harness.Open(t, connect), h, harness.Logger(t))
	at(l, 0)
	l.beat.Add(1)
	m := new(Monitor)
	m.is(Leader, l)
	return m
}

// at has the turn of a leader's loop begun so long ago.
func at(l *leader, ago time.Duration) {
	began := time.Now().Add(-ago)
	l.beat.began.Store(&began)
}

// A refused removal counts as a fenced write, as one of the loop's does.
func TestFencedWritesAreCounted(t *testing.T) {
	for _, name := range []string{"of_the_loop", "of_the_janitor"} {
		t.Run(name, func(t *testing.T) {
			h, s := busyTree(t)
			registry := prometheus.NewRegistry()
			m := &master{s: s, cfg: Config{Logger: harness.Logger(t), Metrics: metrics.NewMaster(registry)}.withDefaults(), dirs: newDirs(s)}
			m.rights, m.hints = session.NewRights(m.cfg.Logger), s.Hints(task.TasksDir)
			fence := session.Check("/master/none", session.AnyVersion)
			h.Create("/tasks/done", "done 1")
			var err error
			if name == "of_the_loop" {
				err = newLeader(m, fence).apply([]sched.Move{moves[0].move})
			} else {
				err = newJanitor(m, fence).remove("done", "removed", []session.Op{fence, session.Delete("/tasks/done", 0)})
			}
			if !errors.Is(err, errDeposed) {
				t.Errorf("got %v", err)
			}
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			counted := 0.0
			for _, f := range families {
				if f.GetName() == "taskkeeper_fenced_writes_total" {
					counted = f.GetMetric()[0].GetCounter().GetValue()
				}
			}
			if counted != 1 {
				t.Errorf("%v fenced writes", counted)
			}
		})
	}
}
