package session

import (
	"errors"
	"sync"
)

// Group carries out what several callers write, together: what is handed over
// while one Multi is on its way goes in the next. An idle group adds no delay;
// a busy one costs few writes, and a server can do many times more operations
// a second in Multis than one by one.
//
// Callers do not share their fates. Where an operation of one of them is
// refused, that one gets the error and the others go again without it.
type Group struct {
	s *Session

	mu      sync.Mutex // guards the rest
	waiting []*part
	sending bool // some caller is sending
}

// part is what one caller writes.
type part struct {
	ops    []Op
	size   int
	answer chan answer // receives once
}

type answer struct {
	results []Result
	err     error
	send    bool // no answer: it is this caller's turn to send
}

// NewGroup returns an idle group.
func (s *Session) NewGroup() *Group { return &Group{s: s} }

// Multi carries out all operations or none, as Session.Multi does, with the
// same errors; the Index of an OpError is among the caller's own operations.
func (g *Group) Multi(ops ...Op) ([]Result, error) {
	p := &part{ops: ops, answer: make(chan answer, 1)}
	for _, op := range ops {
		p.size += op.Size() + len(g.s.cfg.Address.Chroot)
	}
	g.mu.Lock()
	g.waiting = append(g.waiting, p)
	lead := !g.sending
	g.sending = true
	g.mu.Unlock()
	if lead {
		g.send()
	}
	a := <-p.answer
	if a.send {
		g.send()
		a = <-p.answer
	}
	return a.results, a.err
}

// send carries out what is waiting, its caller's part among it, and passes the
// turn to one of those who came meanwhile.
func (g *Group) send() {
	g.mu.Lock()
	n, size := 0, 0
	for n < len(g.waiting) && (n == 0 || size+g.waiting[n].size <= MaxPacket) {
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
		g.waiting, g.sending = nil, false
		return
	}
	g.waiting[0].answer <- answer{send: true}
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
		if !errors.As(err, &refused) || some == 1 {
			for _, p := range batch[:some] {
				a := answer{err: err}
				if err == nil {
					a.results, results = results[:len(p.ops)], results[len(p.ops):]
				}
				p.answer <- a
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
		batch[i].answer <- answer{err: &OpError{Index: at, Op: refused.Op, Err: refused.Err}}
		batch = append(batch[:i:i], batch[i+1:]...)
		some = max(1, some/2)
	}
}
