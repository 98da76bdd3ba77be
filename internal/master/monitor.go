package master

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/metrics"
	"taskkeeper/internal/task"
)

// ErrNotLeader means that this master does not lead.
var ErrNotLeader = errors.New("this master does not lead")

// Role is what a master is now.
type Role string

const (
	Joining Role = "joining" // no candidate yet: it lacks a session, or a right
	Backup  Role = "backup"
	Leader  Role = "leader"
)

// Monitor lets others look at a master, across all its sessions. The zero value is ready to
// use. Its methods may be called from any goroutine.
type Monitor struct {
	mu     sync.Mutex // guards the rest
	role   Role
	leader *leader // nil: the master does not lead
}

// Role is what the master is now.
func (m *Monitor) Role() Role {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.role == "" {
		return Joining
	}
	return m.role
}

// Counts counts the tasks and workers that the leader knows. It waits until the leader's
// loop ends its turn. It fails with ctx's cause when ctx ends, or with ErrNotLeader.
func (m *Monitor) Counts(ctx context.Context) (counts []sched.Count, err error) {
	err = m.ask(ctx, func(s *sched.Scheduler) { counts = s.Counts() })
	return counts, err
}

// View is all that the leader knows, for people; see Counts.
func (m *Monitor) View(ctx context.Context) (v sched.View, err error) {
	err = m.ask(ctx, func(s *sched.Scheduler) { v = s.View() })
	return v, err
}

// Totals counts what the leader has done since its election; see Counts.
func (m *Monitor) Totals(ctx context.Context) (t sched.Totals, err error) {
	err = m.ask(ctx, func(s *sched.Scheduler) { t = s.Totals() })
	return t, err
}

// Select finds tasks that the leader knows; see Counts.
func (m *Monitor) Select(ctx context.Context, q sched.Query) (sel sched.Selection, err error) {
	err = m.ask(ctx, func(s *sched.Scheduler) { sel = s.Select(q) })
	return sel, err
}

// Turn is how long the present turn of the leader's loop has lasted; 0 between two turns,
// and on a backup.
func (m *Monitor) Turn() time.Duration {
	if l := m.leading(); l != nil {
		return l.beat.lasts()
	}
	return 0
}

// Healthy fails when the leader's loop is stuck although the connection is well.
func (m *Monitor) Healthy() error {
	l := m.leading()
	if l == nil {
		return nil
	}
	if _, suspended := l.s.Suspended(); suspended {
		return nil
	}
	if turn := l.beat.lasts(); turn > longestTurn {
		return fmt.Errorf("the leader's loop has been in one turn for %s", turn.Round(time.Second))
	}
	return nil
}

// Ready fails when the master is neither leader nor backup.
func (m *Monitor) Ready() error {
	if m.Role() == Joining {
		return errors.New("no candidate under " + task.MasterDir)
	}
	return nil
}

// Leads reports whether the master leads, as far as it knows.
func (m *Monitor) Leads() bool { return m.Role() == Leader }

// Queues is Counts in the form of metrics.
func (m *Monitor) Queues(ctx context.Context) (queues []metrics.Queue, err error) {
	counts, err := m.Counts(ctx)
	for _, c := range counts {
		q := metrics.Queue{
			Name:    c.Queue,
			Tasks:   map[string]int{"pending": c.Pending, "running": c.Running, "done": c.Done, "failed": c.Failed, "malformed": c.Malformed},
			Workers: map[string]int{"free": c.Free, "busy": c.Busy, "draining": c.Draining},
		}
		if !c.Oldest.IsZero() {
			q.Oldest = max(0, time.Since(c.Oldest))
		}
		queues = append(queues, q)
	}
	return queues, err
}

// ask lets the leader's loop answer a question between two turns.
func (m *Monitor) ask(ctx context.Context, q question) error {
	l := m.leading()
	if l == nil {
		return ErrNotLeader
	}
	answered := make(chan struct{})
	select {
	case l.questions <- func(s *sched.Scheduler) { q(s); close(answered) }:
		<-answered
		return nil
	case <-l.ended:
		return ErrNotLeader
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// question reads what the leader knows. It changes nothing, and keeps no reference to it.
type question func(*sched.Scheduler)

func (m *Monitor) leading() *leader {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leader
}

// is sets what the master is from now on. l is the leader, or nil.
func (m *Monitor) is(role Role, l *leader) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.role, m.leader = role, l
}
