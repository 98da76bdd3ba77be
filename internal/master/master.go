package master

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"taskkeeper/internal/election"
	"taskkeeper/internal/metrics"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// DefaultRetention is how long the result of a detached task is kept until somebody
// collects it.
const DefaultRetention = 24 * time.Hour

// DefaultMaxLosses is the number of executions lost with their workers that fails a task:
// the task may be what kills the workers.
const DefaultMaxLosses = 3

// Config says how a master leads. Its zero value is the default.
type Config struct {
	Who       string          // what its candidate znode holds, for people: "host:pid"
	MaxLosses int             // the loss that fails a task; default DefaultMaxLosses; below 0: no loss does
	Retention time.Duration   // how long an uncollected result is kept; default DefaultRetention; below 0: for ever
	Logger    *slog.Logger    // default: none
	Ready     func()          // called each time the master has become a candidate; default: nothing
	Metrics   *metrics.Master // default: nothing is counted
	Monitor   *Monitor        // lets others look at the master; default: nobody looks

	// Stuck is called when the leader's loop is stuck. It must end the process, so that
	// another master can lead; default: it panics.
	Stuck func(error)
}

func (c Config) withDefaults() Config {
	if c.MaxLosses == 0 {
		c.MaxLosses = DefaultMaxLosses
	}
	switch {
	case c.Retention == 0:
		c.Retention = DefaultRetention
	case c.Retention < 0:
		c.Retention = 0
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Ready == nil {
		c.Ready = func() {}
	}
	if c.Monitor == nil {
		c.Monitor = new(Monitor)
	}
	if c.Stuck == nil {
		c.Stuck = func(err error) { panic(err) }
	}
	return c
}

// watched lists the znodes whose events a master gets, as the keys of its Hints.
var watched = []string{task.TasksDir, task.TasksDir + "/", task.WorkersDir, task.WorkersDir + "/", task.DrainDir}

// Run runs a master on one session: a candidate, then a backup or the leader. It resigns
// and returns when ctx ends. It fails when the session is over. If it lacks a right on a
// permanent znode, it tries again until it has the right.
func Run(ctx context.Context, s *session.Session, cfg Config) error {
	m := &master{
		s:     s,
		cfg:   cfg.withDefaults(),
		hints: s.Hints(watched...),
		dirs:  newDirs(s),
	}
	m.rights = session.NewRights(m.cfg.Logger)
	for {
		err := m.candidacy(ctx)
		switch {
		case ctx.Err() != nil:
			return s.Err()
		case errors.Is(err, errDeposed), errors.Is(err, election.ErrOut), errors.Is(err, election.ErrOvertaken):
			m.cfg.Logger.Warn("no longer leader or candidate, joining the election again", "err", err)
		default:
			return err
		}
	}
}

// master is what stays from one candidacy to the next: the session and its watches.
type master struct {
	s      *session.Session
	cfg    Config
	rights *session.Rights
	hints  *session.Hints
	dirs   *dirs
}

// candidacy joins the election, waits as a backup, and leads.
func (m *master) candidacy(ctx context.Context) (err error) {
	err = m.rights.RegisterPatiently(ctx, "/", func() error { return m.s.EnsureDirs(task.Dirs()...) })
	if err != nil {
		return err
	}
	var c *election.Candidate
	err = m.rights.RegisterPatiently(ctx, task.MasterDir, func() (err error) {
		c, err = election.Join(m.s, m.cfg.Who, m.rights)
		return err
	})
	if err != nil {
		return err
	}
	m.cfg.Ready()
	m.cfg.Monitor.is(Backup, nil)
	defer m.cfg.Monitor.is(Joining, nil)
	log := m.cfg.Logger.With("candidate", c.Path())
	defer func() {
		rerr := c.Resign()
		if session.Refused(rerr) { // then only the end of the session removes the znode
			m.rights.Lacks(task.MasterDir, session.RightDelete, rerr)
			m.s.Close()
			rerr = m.s.Err()
		}
		if rerr != nil && err == nil {
			err = rerr
		}
	}()

	term, err := m.campaign(ctx, c, log)
	if err != nil {
		return err
	}
	defer term.End()
	log.Info("leader")
	l := newLeader(m, term.Fence())
	m.cfg.Metrics.Elected()
	defer m.cfg.Metrics.Resigned()
	m.cfg.Monitor.is(Leader, l)
	err = l.lead(term.Context(), newJanitor(m, term.Fence()))
	if ctx.Err() != nil && m.s.Err() == nil {
		log.Info("resigning")
	}
	return err
}

// campaign is a backup until the candidate leads.
func (m *master) campaign(ctx context.Context, c *election.Candidate, log *slog.Logger) (*election.Term, error) {
	leads, err := c.Election()
	if err == nil && !leads {
		var path, who string
		if path, who, err = election.Leader(m.s); err == nil {
			log.Info("backup", "leader", cmp.Or(who, path))
		}
	}
	switch {
	case session.Refused(err): // Campaign waits until it may list /master
		log.Info("backup")
	case err != nil:
		return nil, fmt.Errorf("find the leader: %w", err)
	}
	backup, elected := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { m.backup(backup) })
	term, err := c.Campaign(ctx)
	elected()
	watching.Wait()
	return term, err
}

// rearm is how often a backup sets its watches again. It does so rarely, because a listing
// can be 4 MB and a backup does not use it.
const rearm = 10 * time.Second

// backup holds watches on /tasks and /workers, and ignores their events.
func (m *master) backup(ctx context.Context) {
	ticker := time.NewTicker(rearm)
	defer ticker.Stop()
	for {
		for _, dir := range []string{task.TasksDir, task.WorkersDir} {
			if m.dirs.isWatched(dir) {
				continue
			}
			switch _, err := m.dirs.list(dir, true); {
			case err == nil:
				m.rights.Has(dir, session.RightRead)
			case session.Refused(err):
				m.rights.Lacks(dir, session.RightRead, err)
			default:
				return // the campaign fails as well
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			paths, _ := m.hints.Take()
			for p := range paths {
				m.dirs.fired(p)
			}
		}
	}
}
