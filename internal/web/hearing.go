package web

import (
	"time"
)

// hearing is what a backup's page knows of the leader's page, while it reads that page.
type hearing struct {
	znode  string    // of the leader; "": its page is not read
	last   time.Time // when something last came; zero: nothing has
	failed time.Time // since when it does not answer; zero: it answers
}

// quiet is how long nothing may come from a leader's page. It sends something every second.
const quiet = 2 * time.Second

// noAnswer is the error of a connection to another page that failed or ended: the process there
// may be dead.
type noAnswer struct{ error }

// silent is since when a leader has not answered; nil: it answers, or is not asked.
func (h hearing) silent(leader candidate) *time.Time {
	switch {
	case h.znode != leader.Znode || h.failed.IsZero():
		return nil
	case h.last.IsZero():
		return &h.failed
	}
	return &h.last
}

// unheard is how long nothing had come from a leader when its znode vanished; 0: something came
// until then, or nobody listened.
func (h hearing) unheard(leader candidate, now time.Time) time.Duration {
	d := now.Sub(h.last)
	if h.znode != leader.Znode || h.last.IsZero() || h.failed.IsZero() && d < quiet {
		return 0
	}
	return d
}

// answers records whether a leader's page answers.
func (p *Page) answers(leader candidate, does bool, now time.Time) {
	p.mu.Lock()
	h := p.hearing
	p.mu.Unlock()
	if h.znode != leader.Znode {
		h = hearing{znode: leader.Znode}
	}
	switch {
	case does:
		h.last, h.failed = now, time.Time{}
	case h.failed.IsZero():
		h.failed = now
	}
	p.listens(h)
}

// listens shows h. Only the relay calls it.
func (p *Page) listens(h hearing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := h.znode != p.hearing.znode || h.failed != p.hearing.failed
	p.hearing = h
	if news {
		p.showElection()
	}
}
