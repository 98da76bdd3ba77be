package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"taskkeeper/internal/election"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// recheck is how often the candidate asks again, in case a watch was lost.
const recheck = 10 * time.Second

// contender runs for leader, again and again.
type contender struct {
	log     *slog.Logger
	rights  *session.Rights
	who     string // for people who read the znode
	answers answers
}

// run is a session.Role.
func (c *contender) run(ctx context.Context, s *session.Session) error {
	for {
		var candidate *election.Candidate
		err := c.rights.Patiently(ctx, task.MasterDir, session.RightCreate, func() (err error) {
			candidate, err = election.Join(s, c.who, c.rights)
			return err
		})
		if err != nil {
			return err
		}
		log := c.log.With("candidate", candidate.Path())
		log.Info("joined the election")
		err = c.follow(ctx, s, candidate)
		// Before the next one can print true.
		if err := c.answers.withdraw(); err != nil {
			return err
		}
		if !errors.Is(err, election.ErrOut) {
			return errors.Join(err, candidate.Resign())
		}
		log.Warn("joining the election again", "err", err)
	}
}

// follow prints the answers of the candidate's Election, until it fails or ctx ends.
func (c *contender) follow(ctx context.Context, s *session.Session, candidate *election.Candidate) error {
	ticker := time.NewTicker(recheck)
	defer ticker.Stop()
	for ctx.Err() == nil {
		// Taken before the question: the answer holds no longer than this.
		live := s.Live()
		// Election waits while ZooKeeper is away, but another candidate may lead by then.
		stop := context.AfterFunc(live, func() { _ = c.answers.lapsed() })
		leader := false
		err := c.rights.Patiently(ctx, task.MasterDir, session.RightRead, func() (err error) {
			leader, err = candidate.Election()
			return err
		})
		if err == nil {
			err = c.answers.give(leader, live)
		}
		if err != nil {
			stop()
			return err
		}
		select {
		case <-candidate.Changed():
		case <-ticker.C:
		case <-ctx.Done():
		}
		stop()
	}
	return nil
}

// answers prints whether this process leads, when that changes.
type answers struct {
	w io.Writer

	mu     sync.Mutex      // guards the rest, and the order of what is printed
	live   context.Context // while it lasts, the last answer holds
	given  bool
	leader bool
}

// give prints the first answer, and each answer that differs from the last.
func (a *answers) give(leader bool, live context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.live = live
	return a.print(leader && live.Err() == nil)
}

// lapsed withdraws the last answer if it no longer holds.
func (a *answers) lapsed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.leader || a.live.Err() == nil {
		return nil
	}
	return a.print(false)
}

// withdraw ends the leadership, if there is one.
func (a *answers) withdraw() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.leader {
		return nil
	}
	return a.print(false)
}

// print remembers only an answer that was written; else the next call prints it again.
func (a *answers) print(leader bool) error {
	if a.given && a.leader == leader {
		return nil
	}
	if _, err := fmt.Fprintf(a.w, "leader: %t\n", leader); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	a.given, a.leader = true, leader
	return nil
}
