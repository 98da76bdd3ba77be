package web

import (
	"time"
)

// hearing is what a backup's page hears of the leader's page, while it reads that.
type hearing struct {
	znode  string    // of the leader; "": its page is not read
	last   time.Time // when something came; zero: nothing has
	failed time.Time // since when it does not answer; zero: it does
}

// quiet is how long nothing may come from a leader's page, which sends something every second.
const quiet = 2 * time.Second

// noAnswer is what a connection to another page ended with, or was not made for: the process
// there may be dead.
type noAnswer struct{ error }

// silent is since when a leader has not answered; nil: it does, or is not asked.
func (h hearing) silent(leader candidate) *time.Time {
	switch {
	case h.znode != leader.Znode || h.failed.IsZero():
		return nil
	case h.last.IsZero():
		return &h.failed
	}
	return &h.last
}

// unheard is for how long nothing has come from a leader, when its znode vanishes; 0: it was
// heard until then, or nobody listened.
func (h hearing) unheard(leader candidate, now time.Time) time.Duration {
	d := now.Sub(h.last)
	if h.znode != leader.Znode || h.last.IsZero() || h.failed.IsZero() && d < quiet {
		return 0
	}
	return d
}

// answers takes note that a leader's page does answer, or does not.
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

// listens shows what is heard. The relay alone calls it.
func (p *Page) listens(h hearing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := h.znode != p.hearing.znode || h.failed != p.hearing.failed
	p.hearing = h
	if news {
		p.showElection()
	}
}
