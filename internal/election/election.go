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
	// ErrOut means that the candidate's znode is gone, belongs to another session, or may
	// not be read: a person did that. The session may still live; Join makes a new candidate.
	ErrOut = errors.New("the candidate is out")
	// ErrOvertaken means that a candidate with a lower number appeared while this one
	// led. Only a person can make such a candidate. This one is a backup now, and may
	// Campaign again.
	ErrOvertaken = errors.New("overtaken by a lower number")
)

const (
	// recheck is how often a candidate looks without an event. The client library can
	// lose a watch across a reconnect; this bounds the delay.
	recheck = 10 * time.Second
	// After an event a leader lists /master at once. Then it pauses for at least rest and
	// at most restMost, so that listings take a fifth of the time: there may be
	// thousands of candidates, or thousands may come and go in a second.
	rest     = 100 * time.Millisecond
	restMost = time.Second
)

// Candidate is one candidacy. A session has at most one at a time. One goroutine at a time
// may call its methods, and none while a Term of this candidate lasts.
type Candidate struct {
	// Fixed once joined.
	s      *session.Session
	rights *session.Rights
	path   string

	// Owned by the caller's goroutine.
	hints   *session.Hints
	watched map[string]bool // paths with a watch that has not fired
	leads   bool            // by its last look; then it watches /master for a lower number
}

// Join makes a new candidate: it creates a candidate znode that holds who, a text for
// people. It waits while ZooKeeper is away. It fails when the session is over or the
// znode may not be created. The candidate reports to rights whether /master may be listed.
func Join(s *session.Session, who string, rights *session.Rights) (*Candidate, error) {
	prefix := task.MasterDir + "/" + uuid.NewString() + "-"
	path, err := create(s, prefix, who)
	if err != nil {
		return nil, fmt.Errorf("join the election: %w", err)
	}
	return &Candidate{
		s: s, rights: rights, path: path,
		hints: s.Hints(task.MasterDir, task.MasterDir+"/"), watched: make(map[string]bool),
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

// find returns the znode of this session that a call with a lost answer may have
// created; "" if the call did not.
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

// Changed receives a value when Election may return another answer than last time.
func (c *Candidate) Changed() <-chan struct{} { return c.hints.C }

// Election reports whether this candidate leads now. It fails with ErrOut when its znode is
// gone, and when the session is over. True was true a moment ago: a leader's writes still
// need the Fence.
func (c *Candidate) Election() (leader bool, err error) {
	ahead, err := c.ahead()
	return err == nil && ahead == "", err
}

// ahead returns the predecessor's path; "" if this candidate leads.
func (c *Candidate) ahead() (string, error) {
	fired, _ := c.hints.Take()
	for p := range fired {
		delete(c.watched, p)
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
			if !c.watched[task.MasterDir] {
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
			// A person made it, and it may not be read: it is ahead, and recheck shows
			// when it is gone.
		case err != nil:
			return "", err
		}
		return before, nil
	}
}

// list lists /master. A leader makes sure that one watch is set on it.
func (c *Candidate) list() ([]string, error) {
	if !c.leads || c.watched[task.MasterDir] {
		names, _, err := c.s.Children(task.MasterDir)
		return names, err
	}
	names, _, err := c.s.ChildrenW(task.MasterDir)
	if err == nil {
		c.watched[task.MasterDir] = true
	}
	return names, err
}

// watch reads a znode and makes sure that one watch is set on it.
func (c *Candidate) watch(path string) (*zk.Stat, error) {
	read := c.s.GetW
	if c.watched[path] {
		read = c.s.Get
	}
	_, stat, err := read(path)
	if err == nil {
		c.watched[path] = true
	}
	return stat, err
}

// Campaign returns when this candidate leads. It fails with ErrOut, when the session is
// over, and when ctx ends. While the connection is lost it waits, even if ctx ends.
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

// await returns when the candidate leads (leader is true), or when another is ahead (leader
// is false). While /master may not be listed, a leader leads on and a backup waits.
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

// pause returns after d, or earlier when woken receives or ctx ends. It fails when the
// session is over.
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

// Resign ends the candidacy: it deletes the znode, and the next candidate leads. It may be
// repeated, but not after the session has joined again. It returns nil if the session is
// over: ZooKeeper then deletes the znode.
func (c *Candidate) Resign() error {
	defer c.s.Forget(task.MasterDir, task.MasterDir+"/")
	for {
		_, err := c.s.Multi(session.Delete(c.path, session.AnyVersion))
		switch {
		case err == nil, errors.Is(err, zk.ErrNoNode), errors.Is(err, session.ErrOver):
			return nil
		case errors.Is(err, session.ErrUnknown): // try again: NoNode then means that it is deleted
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

// Context ends when this candidate learns that it no longer leads. Its cause is ErrOut,
// ErrOvertaken, the error of the ended session, or the cause of the Campaign's context. End
// cancels it. After a pause of the process it ends late; only the Fence is never late.
func (t *Term) Context() context.Context { return t.ctx }

// Fence is the operation that each Multi of the leader must begin with. The leader is
// deposed only if this operation fails.
func (t *Term) Fence() session.Op { return t.fence }

// End ends the term's context, and returns when the term's goroutine has ended. While the
// connection is lost, End waits. Each Term must be ended. The candidate's znode remains
// until Resign deletes it.
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

// predecessor returns the candidate just before name, "" if name is the first; there is
// false if name is not among the names. There may be many names, and most may be no
// candidates.
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
