package web

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/election"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// candidate is a child of /master.
type candidate struct {
	Znode   string    `json:"znode"`
	Who     string    `json:"who"`     // "host:pid"
	Since   time.Time `json:"since"`   // since when it leads or is a candidate, by the servers' clock
	Leads   bool      `json:"leads"`   // it is the first, and has begun: it has written its znode
	Watches string    `json:"watches"` // the znode of the candidate before it; "": it is the first

	owner int64 // its session
}

// ballot is the part "election".
type ballot struct {
	Candidates []candidate `json:"candidates"`           // the leader first
	More       int         `json:"more,omitempty"`       // candidates that are not among them
	Error      string      `json:"error,omitempty"`      // why /master could not be read
	Silent     *time.Time  `json:"silent,omitempty"`     // since when the first candidate's page has not answered this one
	Leaderless *time.Time  `json:"leaderless,omitempty"` // since when there is no znode of a leader

	// About the time before the first candidate, if another one led then.
	Before  string  `json:"before,omitempty"` // who led; "": no earlier leader was seen
	Unheard float64 `json:"unheard_seconds"`  // how long nothing had come from that leader when its znode vanished; 0: it was heard until then, or nobody listened
	Gap     float64 `json:"gap_seconds"`      // how long there was no znode of a leader; 0: not seen
}

// mostCandidates is how many candidates are shown.
const mostCandidates = 100

// electionEvery is how often /master is read without an event.
const electionEvery = 10 * time.Second

// follow shows the election until ctx or the session ends.
func (p *Page) follow(ctx context.Context, s *session.Session) error {
	const children = task.MasterDir + "/"
	hints := s.Hints(task.MasterDir, children)
	defer s.Forget(task.MasterDir, children)
	again := time.NewTicker(electionEvery)
	defer again.Stop()
	for {
		every := electionEvery
		set, err := s.WatchTree(task.MasterDir)
		if err != nil {
			return err
		}
		if !set { // only the names are watched
			every = time.Second
		}
		again.Reset(every)
		for watching := true; watching; {
			if err := p.readElection(s, set); err != nil {
				return err
			}
			select {
			case <-hints.C:
				_, all := hints.Take()
				watching = !all
			case <-again.C:
			case <-ctx.Done():
				return nil
			case <-s.Done():
				return s.Err()
			}
		}
	}
}

// readElection reads the candidates.
func (p *Page) readElection(s *session.Session, watched bool) error {
	list := s.Children
	if !watched {
		list = s.ChildrenW
	}
	names, _, err := list(task.MasterDir)
	switch {
	case errors.Is(err, session.ErrOver):
		return err
	case errors.Is(err, zk.ErrNoNode):
	case err != nil:
		p.unknown(err)
		return nil
	}
	ordered := election.Ordered(names)
	more := max(0, len(ordered)-mostCandidates)
	ordered = ordered[:len(ordered)-more]
	paths := make([]string, len(ordered))
	for i, name := range ordered {
		paths[i] = task.MasterDir + "/" + name
	}
	all := []candidate{}
	for i, r := range s.GetAll(paths...) {
		if errors.Is(r.Err, session.ErrOver) {
			return r.Err
		}
		if errors.Is(r.Err, zk.ErrNoNode) {
			continue // an event will report its deletion
		}
		c := candidate{Znode: shown(paths[i])}
		if r.Err == nil {
			c.Who, c.Since, c.owner = shown(string(r.Data)), time.UnixMilli(r.Stat.Ctime), r.Stat.EphemeralOwner
		}
		if len(all) == 0 && r.Err == nil && r.Stat.Version > 0 {
			c.Leads, c.Since = true, time.UnixMilli(r.Stat.Mtime)
		}
		if len(all) > 0 {
			c.Watches = all[len(all)-1].Znode
		}
		all = append(all, c)
	}
	p.elected(all, more, time.Now())
	return nil
}

// unknown shows why /master cannot be read, with the candidates of the last read.
func (p *Page) unknown(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ballot.Error = shown(err.Error())
	p.showElection()
}

// elected shows the candidates, the number of further ones, and for how long nobody led.
func (p *Page) elected(all []candidate, more int, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := &p.ballot
	leads := len(all) > 0 && all[0].Leads
	other := !leads || all[0].Znode != p.led.Znode // than the last leader
	if other && b.Leaderless == nil {
		b.Before, b.Gap, b.Unheard = "", 0, 0
		if there := func(c candidate) bool { return c.Znode == p.led.Znode }; !slices.ContainsFunc(all, there) {
			b.Before, b.Unheard = p.led.Who, p.hearing.unheard(p.led, now).Seconds()
		}
	}
	switch {
	case !leads && b.Leaderless == nil:
		b.Leaderless = &now
	case leads && b.Leaderless != nil:
		if b.Before != "" {
			b.Gap = now.Sub(*b.Leaderless).Seconds()
		}
		b.Leaderless = nil
	}
	if leads {
		p.led = all[0]
	}
	b.Candidates, b.More, b.Error = all, more, ""
	p.showElection()
}

// showElection is called with mu held.
func (p *Page) showElection() {
	b := p.ballot
	b.Candidates = append([]candidate{}, b.Candidates...)
	if len(b.Candidates) > 0 {
		b.Silent = p.hearing.silent(b.Candidates[0])
	}
	p.hub.set("election", b)
}
