package election

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/uuid"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

var (
	// ErrOut means that the candidate's znode is gone: someone removed it. The
	// session may be well; Join makes a new candidate.
	ErrOut = errors.New("the candidate is out")
	// ErrOvertaken means that a candidate with a lower number came while this
	// one led, which only a person can bring about. This one is a backup now;
	// it may Campaign again.
	ErrOvertaken = errors.New("overtaken by a lower number")
)

const (
	// recheck is how often a candidate looks though nothing told it to. A watch
	// can be lost by the library, across a reconnect; this bounds what that costs.
	recheck = 10 * time.Second
	// A leader that was told looks at once, and then not for rest, or for as long as
	// lists /master for a fifth of the time at most, but not longer than restMost:
	// thousands of candidates may come and go a second, or be there.
	rest     = 100 * time.Millisecond
	restMost = time.Second
)

// Candidate is one candidacy. A session has one at a time. Its methods are for
// one goroutine at a time, and not while a Term of it lasts.
type Candidate struct {
	// Fixed once joined.
	s      *session.Session
	rights *session.Rights
	path   string

	// Owned by the caller's goroutine.
	hints *session.Hints
	armed map[string]bool // paths with a watch that has not fired
	leads bool            // by its last look; then it watches /master for a lower number
}

// Join runs for leader: it creates a candidate znode that holds who, a text
// for people. It waits while ZooKeeper is away, and fails when the session is
// over or the znode may not be created. The rights are told when /master may not be
// listed.
func Join(s *session.Session, who string, rights *session.Rights) (*Candidate, error) {
	prefix := task.MasterDir + "/" + uuid.NewString() + "-"
	path, err := create(s, prefix, who)
	if err != nil {
		return nil, fmt.Errorf("join the election: %w", err)
	}
	return &Candidate{
		s: s, rights: rights, path: path,
		hints: s.Hints(task.MasterDir, task.MasterDir+"/"), armed: make(map[string]bool),
	}, nil
}

func create(s *session.Session, prefix, who string) (string, error) {
	for {
		results, err := s.Multi(session.CreateEphemeralSequential(prefix, []byte(who)))
		switch {
		case err == nil:
			return results[0].Path, nil
		case errors.Is(err, zk.ErrNoNode):
			if err := s.EnsureDirs(task.MasterDir); err != nil {
				return "", err
			}
		case errors.Is(err, session.ErrUnknown):
			if path, err := find(s, prefix); path != "" || err != nil {
				return path, err
			}
		default:
			return "", err
		}
	}
}

// find looks for a znode of this session that may have been created by a call
// whose answer was lost; "" if it was not.
func find(s *session.Session, prefix string) (string, error) {
	if err := s.Sync(); err != nil {
		return "", err
	}
	names, _, err := s.Children(task.MasterDir)
	if errors.Is(err, zk.ErrNoNode) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, name := range names {
		path := task.MasterDir + "/" + name
		if !strings.HasPrefix(path, prefix) {
			continue
		}
		_, stat, err := s.Get(path)
		if errors.Is(err, zk.ErrNoNode) {
			continue
		}
		if err != nil {
			return "", err
		}
		if stat.EphemeralOwner == s.ID() {
			return path, nil
		}
	}
	return "", nil
}

// Path is the candidate's znode.
func (c *Candidate) Path() string { return c.path }

// Changed receives when Election may have another answer than last time.
func (c *Candidate) Changed() <-chan struct{} { return c.hints.C }

// Election tells whether this candidate leads now. It fails with ErrOut when
// its znode is gone, or when the session is over. True is what ZooKeeper said
// a moment ago: what a leader writes needs the Fence all the same.
func (c *Candidate) Election() (leader bool, err error) {
	ahead, err := c.ahead()
	return err == nil && ahead == "", err
}

// ahead returns the predecessor's path; "" if this candidate leads.
func (c *Candidate) ahead() (string, error) {
	fired, _ := c.hints.Take()
	for p := range fired {
		delete(c.armed, p)
	}
	for {
		names, err := c.list()
		if err != nil && !errors.Is(err, zk.ErrNoNode) {
			return "", err
		}
		before, there := predecessor(names, strings.TrimPrefix(c.path, task.MasterDir+"/"))
		if !there {
			return "", fmt.Errorf("%w: %s was removed", ErrOut, c.path)
		}
		own, err := c.watch(c.path)
		if errors.Is(err, zk.ErrNoNode) {
			continue
		}
		if errors.Is(err, zk.ErrNoAuth) {
			return "", fmt.Errorf("%w: %v", ErrOut, err)
		}
		if err != nil {
			return "", err
		}
		if own.EphemeralOwner != c.s.ID() {
			return "", fmt.Errorf("%w: %s belongs to session %#x", ErrOut, c.path, own.EphemeralOwner)
		}
		c.leads = before == ""
		if c.leads {
			if !c.armed[task.MasterDir] {
				continue // list again, with a watch
			}
			return "", nil
		}
		before = task.MasterDir + "/" + before
		_, err = c.watch(before)
		switch {
		case errors.Is(err, zk.ErrNoNode):
			continue // it vanished after the listing
		case errors.Is(err, zk.ErrNoAuth):
			// Made by hand, not to be read: it is ahead, and recheck finds out
			// when it is gone.
		case err != nil:
			return "", err
		}
		return before, nil
	}
}

// list lists /master; a leader sees to it that one watch is set on it.
func (c *Candidate) list() ([]string, error) {
	if !c.leads || c.armed[task.MasterDir] {
		names, _, err := c.s.Children(task.MasterDir)
		return names, err
	}
	names, _, err := c.s.ChildrenW(task.MasterDir)
	if err == nil {
		c.armed[task.MasterDir] = true
	}
	return names, err
}

// watch reads a znode and sees to it that one watch is set on it.
func (c *Candidate) watch(path string) (*zk.Stat, error) {
	read := c.s.GetW
	if c.armed[path] {
		read = c.s.Get
	}
	_, stat, err := read(path)
	if err == nil {
		c.armed[path] = true
	}
	return stat, err
}

// Campaign returns when this candidate leads. It fails with ErrOut, when the
// session is over, or when ctx ends. While the connection is lost it waits,
// also for the end of ctx.
func (c *Candidate) Campaign(ctx context.Context) (*Term, error) {
	if _, err := c.await(ctx, true); err != nil {
		return nil, err
	}
	t := &Term{fence: session.Check(c.path, session.AnyVersion)}
	t.ctx, t.end = context.WithCancelCause(ctx)
	t.watch.Go(func() {
		ahead, err := c.await(t.ctx, false)
		if err == nil {
			err = fmt.Errorf("%w: %s is ahead", ErrOvertaken, ahead)
		}
		t.end(err)
	})
	return t, nil
}

// await returns when the candidate leads, or, as asked, when another is ahead. While
// /master may not be listed, a leader leads on and a backup waits.
func (c *Candidate) await(ctx context.Context, leader bool) (ahead string, err error) {
	for ctx.Err() == nil {
		began := time.Now()
		ahead, err := c.ahead()
		again, quiet := recheck, time.Duration(0)
		switch {
		case session.Refused(err):
			c.rights.Lacks(task.MasterDir, session.RightRead, err)
			again = session.RefusedPause
		case err != nil:
			return "", err
		default:
			c.rights.Has(task.MasterDir, session.RightRead)
			if (ahead == "") == leader {
				return ahead, nil
			}
		}
		if !leader {
			quiet = min(max(rest, 4*time.Since(began)), restMost)
		}
		if err := c.pause(ctx, quiet, nil); err != nil {
			return "", err
		}
		if err := c.pause(ctx, again, c.Changed()); err != nil {
			return "", err
		}
	}
	return "", context.Cause(ctx)
}

// pause returns after d, and before when it is woken, when ctx ends, or, with an
// error, when the session is over.
func (c *Candidate) pause(ctx context.Context, d time.Duration, woken <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-woken:
	case <-ctx.Done():
	case <-c.s.Done():
		return c.s.Err()
	}
	return nil
}

// Resign ends the candidacy: its znode is deleted, the next candidate leads.
// It may be repeated, but not once the session has joined again. When the
// session is over before that is known, the znode goes with it.
func (c *Candidate) Resign() error {
	defer c.s.Forget(task.MasterDir, task.MasterDir+"/")
	for {
		_, err := c.s.Multi(session.Delete(c.path, session.AnyVersion))
		switch {
		case err == nil, errors.Is(err, zk.ErrNoNode), errors.Is(err, session.ErrOver):
			return nil
		case errors.Is(err, session.ErrUnknown): // again: NoNode says that it happened
		default:
			return fmt.Errorf("resign: %w", err)
		}
	}
}

// Term is the time for which a candidate leads.
type Term struct {
	fence session.Op
	ctx   context.Context
	end   context.CancelCauseFunc
	watch sync.WaitGroup
}

// Context ends when the leader is known to lead no more, with the cause: ErrOut,
// ErrOvertaken, that the session is over, or what ended the Campaign's context.
// It is canceled by End. That is a convenience: it comes late after a pause;
// only the Fence is never late.
func (t *Term) Context() context.Context { return t.ctx }

// Fence is the operation that each Multi of the leader begins with. Only when
// this very operation fails is the leader deposed.
func (t *Term) Fence() session.Op { return t.fence }

// End ends the term's context and returns when nothing of the term runs any
// more; while the connection is lost it waits. Each Term is to be ended. The
// candidate's znode is still there; Resign deletes it.
func (t *Term) End() {
	t.end(context.Canceled)
	t.watch.Wait()
}

// digits is the length of the number that ZooKeeper appends to a sequential
// znode's name.
const digits = 10

// Ordered returns the candidates among the names under /master, the lowest number
// first: the first one leads.
func Ordered(names []string) []string {
	var cs []numbered
	for _, name := range names {
		if c, ok := parse(name); ok {
			cs = append(cs, c)
		}
	}
	slices.SortFunc(cs, numbered.compare)
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = c.name
	}
	return out
}

// predecessor returns the last candidate before one of the names, "" if that one is
// the first; there is false if it is not among them. Names may be many, and most of
// them nobody's.
func predecessor(names []string, name string) (before string, there bool) {
	own, _ := parse(name)
	var last numbered
	for _, other := range names {
		c, ok := parse(other)
		switch {
		case !ok:
		case c == own:
			there = true
		case c.compare(own) < 0 && (last.name == "" || c.compare(last) > 0):
			last = c
		}
	}
	return last.name, there
}

// numbered is a candidate's name.
type numbered struct {
	name   string
	number int64
}

func (c numbered) compare(other numbered) int {
	return cmp.Or(cmp.Compare(c.number, other.number), strings.Compare(c.name, other.name))
}

func parse(name string) (numbered, bool) {
	n, ok := number(name)
	return numbered{name, n}, ok
}

func number(name string) (int64, bool) {
	if len(name) < digits {
		return 0, false
	}
	tail := name[len(name)-digits:]
	if strings.Trim(tail, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(tail, 10, 64)
	return n, err == nil
}
