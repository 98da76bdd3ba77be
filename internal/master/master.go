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

// DefaultRetention is how long a result that outlives its client is kept for
// somebody to collect it.
const DefaultRetention = 24 * time.Hour

// DefaultMaxLosses is how many executions of a task may be lost with their
// workers until the task is taken for what kills them, and fails.
const DefaultMaxLosses = 3

// Config says how a master leads. Its zero value is the default.
type Config struct {
	Who       string          // what its candidate znode says, for people: "host:pid"
	MaxLosses int             // the loss that fails a task; default DefaultMaxLosses, below 0 none does
	Retention time.Duration   // how long an uncollected result outlives its client; default DefaultRetention, below 0 for ever
	Logger    *slog.Logger    // default: none
	Ready     func()          // called whenever it has become a candidate; default: nothing
	Metrics   *metrics.Master // default: nothing is counted
	Monitor   *Monitor        // is told what the master is; default: nobody is

	// Stuck is called when the leader's loop does not turn any more. It is to end
	// the process, so that another master leads; default: it panics.
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

// watched is what a master is told of, as the keys of its Hints.
var watched = []string{task.TasksDir, task.TasksDir + "/", task.WorkersDir, task.WorkersDir + "/", task.DrainDir}

// Run is a master on one session: a candidate, then a backup or the leader,
// until ctx ends, when it resigns. It fails when the session is over. Where it may not
// use a permanent znode it tries again until it may.
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

// master is what outlasts a candidacy: the watches of its session.
type master struct {
	s      *session.Session
	cfg    Config
	rights *session.Rights
	hints  *session.Hints
	dirs   *dirs
}

// candidacy joins the election, waits, and leads.
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
		if session.Refused(rerr) { // only the end of the session removes it then
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
	case session.Refused(err): // Campaign waits until it may look
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

// rearm is how often a backup sets its watches again. It only holds them, as
// the assignment has it; a listing can be 4 MB.
const rearm = 10 * time.Second

// backup holds watches on /tasks and /workers. What they tell is skipped.
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
