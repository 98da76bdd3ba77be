package session

import (
	"errors"
	"runtime"
	"sync"
	"time"
)

// Group carries out what several callers write, together: what is handed over
// while as many Multis as may be are on their way goes in the next. An idle group adds
// no delay; a busy one costs few writes, and a server can do many times more operations
// a second in Multis than one by one.
//
// Callers do not share their fates. Where an operation of one of them is
// refused, that one gets the error and the others go again without it.
type Group struct {
	s *Session

	mu      sync.Mutex // guards the rest
	waiting []*part
	patient []*part     // they wait for others to go with
	late    *time.Timer // ends that; nil if none does
	senders int         // goroutines that send
}

// mostSenders is how many Multis are on their way at once: the server has the next one when
// it has answered one.
const mostSenders = 2

// part is what one caller writes.
type part struct {
	ops  []Op
	size int
	done func([]Result, error) // called once; does not block
}

// NewGroup returns an idle group.
func (s *Session) NewGroup() *Group { return &Group{s: s} }

func (g *Group) part(done func([]Result, error), ops []Op) *part {
	return &part{ops: ops, size: g.s.Size(ops...), done: done}
}

// Multi carries out all operations or none, as Session.Multi does, with the
// same errors; the Index of an OpError is among the caller's own operations.
func (g *Group) Multi(ops ...Op) ([]Result, error) {
	type answer struct {
		results []Result
		err     error
	}
	answers := make(chan answer, 1)
	if g.add(g.part(func(r []Result, err error) { answers <- answer{r, err} }, ops)) && g.send() {
		go g.sendAll()
	}
	a := <-answers
	return a.results, a.err
}

// Go is Multi, and returns at once. It calls done with the answer, which must not
// block.
func (g *Group) Go(done func([]Result, error), ops ...Op) {
	if g.add(g.part(done, ops)) {
		go g.sendAll()
	}
}

// patience is how long at most what may wait does so for something to go with.
const patience = 5 * time.Millisecond

// Later is Go for what nobody waits for: it goes with whatever is sent next, or
// by itself a little later.
func (g *Group) Later(done func([]Result, error), ops ...Op) {
	p := g.part(done, ops)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.patient = append(g.patient, p)
	if g.late == nil {
		g.late = time.AfterFunc(patience, func() {
			if g.add() {
				g.sendAll()
			}
		})
	}
}

// add has parts sent, and with them what was patient. It tells whether the caller is
// to send.
func (g *Group) add(parts ...*part) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(append(g.waiting, g.patient...), parts...)
	g.patient = nil
	if g.late != nil {
		g.late.Stop()
		g.late = nil
	}
	if g.senders == mostSenders || len(g.waiting) == 0 {
		return false
	}
	g.senders++
	return true
}

// sendAll sends until nothing waits.
func (g *Group) sendAll() {
	for g.send() {
	}
}

// send carries out what is waiting, as much as goes together, and tells whether
// more has come.
func (g *Group) send() (more bool) {
	runtime.Gosched() // goroutines that are ready to write run first, and join this batch
	g.mu.Lock()
	n, size := 0, 0
	_, most := g.s.wire.Limits()
	for n < len(g.waiting) && (n == 0 || size+g.waiting[n].size <= most) {
		size += g.waiting[n].size
		n++
	}
	batch := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	g.mu.Unlock()

	g.carryOut(batch)

	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.waiting = nil
		g.senders--
		return false
	}
	return true
}

// carryOut drops a part that is refused, and sends half as much at a time from
// then on, until that is carried out again: where many are refused, sending all
// the rest again for each would take time in the square of their number.
func (g *Group) carryOut(batch []*part) {
	for some := len(batch); len(batch) > 0; {
		some = min(some, len(batch))
		var ops []Op
		for _, p := range batch[:some] {
			ops = append(ops, p.ops...)
		}
		results, err := g.s.Multi(ops...)
		var refused *OpError
		if errors.Is(err, ErrTooLarge) && some > 1 { // it was put together before that was learnt
			some /= 2
			continue
		}
		if !errors.As(err, &refused) || some == 1 {
			for _, p := range batch[:some] {
				var own []Result
				if err == nil {
					own, results = results[:len(p.ops)], results[len(p.ops):]
				}
				p.done(own, err)
			}
			batch = batch[some:]
			if err == nil {
				some *= 2
			}
			continue
		}
		i, at := 0, refused.Index
		for at >= len(batch[i].ops) {
			at -= len(batch[i].ops)
			i++
		}
		batch[i].done(nil, &OpError{Index: at, Op: refused.Op, Err: refused.Err})
		batch = append(batch[:i:i], batch[i+1:]...)
		some = max(1, some/2)
	}
}
