package master

import (
	"context"
	"time"

	"taskkeeper/internal/session"
)

// shortList is the number of names up to which a listing is as fast as the read of one
// znode. The loop itself lists such a directory.
const shortList = 100

// lister lists one directory when something in it may have changed. It lists a short
// directory in the loop, and a long one beside the loop, because a listing can be 4 MB.
type lister struct {
	// Fixed at construction.
	path   string
	dirs   *dirs
	rights *session.Rights

	// Owned by the loop.
	due    bool  // something may have changed since the last listing began
	busy   bool  // a listing is under way beside the loop
	number int64 // of the last listing that began; the first is 1
	short  bool  // the last listing had at most shortList names
	pace   pace

	// Shared.
	requests chan request
	listings chan listing
}

// request asks for a listing.
type request struct {
	number int64
	watch  bool
}

// listing is the answer to a request.
type listing struct {
	names        []string
	number       int64
	began, ended time.Time
	err          error // the listing was refused: a right is missing
}

func newLister(path string, dirs *dirs, rights *session.Rights) *lister {
	return &lister{
		path: path, dirs: dirs, rights: rights, due: true,
		requests: make(chan request, 1), listings: make(chan listing, 1),
	}
}

// begin begins a listing. Its answer comes by listings: at once if the directory is short.
func (l *lister) begin(watch bool) error {
	l.due = false
	l.number++
	r := request{l.number, watch}
	if !l.short {
		l.busy = true
		l.requests <- r
		return nil
	}
	answer, err := l.list(r)
	if err == nil {
		l.listings <- answer
	}
	return err
}

// merge records that a listing has ended. It is false if the listing was refused.
func (l *lister) merge(a listing) bool {
	l.busy = false
	if a.err != nil {
		l.due, l.pace.from = true, a.ended.Add(session.RefusedPause)
		return false
	}
	l.short = len(a.names) <= shortList
	l.pace.listed(a.began, a.ended)
	return true
}

// serve carries out the listings beside the loop.
func (l *lister) serve(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-l.requests:
			answer, err := l.list(r)
			if err != nil {
				return err
			}
			select {
			case l.listings <- answer:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func (l *lister) list(r request) (listing, error) {
	a := listing{number: r.number, began: time.Now()}
	a.names, a.err = l.dirs.list(l.path, r.watch)
	a.ended = time.Now()
	switch {
	case a.err == nil:
		l.rights.Has(l.path, session.RightRead)
	case session.Refused(a.err):
		l.rights.Lacks(l.path, session.RightRead, a.err)
	default:
		return listing{}, a.err
	}
	return a, nil
}

const (
	// listShare lets a directory be listed for at most a fifth of the time. A listing of
	// 100,000 names takes about 60 ms, and its merge as long again.
	listShare = 5
	// listCredit is how much of a pause is left out after a quiet time, so that short
	// listings follow one another at once.
	listCredit = 10 * time.Millisecond
	// listPause bounds the pause after a listing, however long the listing took.
	listPause = time.Second
)

// pace says when a directory may be listed next.
type pace struct {
	from time.Time // not before this
	last time.Time // when the last listing ended
}

// listed sets the earliest time of the next listing after one has ended.
func (p *pace) listed(began, ended time.Time) {
	p.last = ended
	if credit := began.Add(-listCredit); p.from.Before(credit) {
		p.from = credit
	}
	p.from = p.from.Add(min(listShare*ended.Sub(began), listPause))
}
