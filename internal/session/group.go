package session

import (
	"errors"
	"runtime"
	"sync"
	"time"
)

// Group joins the writes of several callers. Writes that arrive while two Multis are under
// way share the next Multi. An idle group adds no delay. A busy group needs few requests: a
// server can do many times more operations a second in Multis than one by one.
//
// If an operation of one caller is refused, only that caller gets the error. The group sends
// the other callers' operations again.
type Group struct {
	s *Session

	mu      sync.Mutex // guards the rest
	waiting []*part
	delayed []*part     // handed over by Later: they wait for another write
	timer   *time.Timer // sends them at the latest; nil if there are none
	senders int         // goroutines that send
}

// mostSenders is how many Multis are under way at once. With two, the server has the next
// one when it has answered one.
const mostSenders = 2

// part is the write of one caller.
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

// Multi is Session.Multi, with the same errors. The Index of an OpError counts the caller's
// own operations.
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

// Go is Multi without waiting: it returns at once, and later calls done with the answer.
// done must not block.
func (g *Group) Go(done func([]Result, error), ops ...Op) {
	if g.add(g.part(done, ops)) {
		go g.sendAll()
	}
}

// laterDelay is how long a write of Later waits for another write at most.
const laterDelay = 5 * time.Millisecond

// Later is Go for a write that is not urgent: it joins the next write, or is sent alone
// after laterDelay.
func (g *Group) Later(done func([]Result, error), ops ...Op) {
	p := g.part(done, ops)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delayed = append(g.delayed, p)
	if g.timer == nil {
		g.timer = time.AfterFunc(laterDelay, func() {
			if g.add() {
				g.sendAll()
			}
		})
	}
}

// add adds parts, and the delayed ones, to those that wait to be sent. It reports whether
// the caller must send.
func (g *Group) add(parts ...*part) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(append(g.waiting, g.delayed...), parts...)
	g.delayed = nil
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	if g.senders == mostSenders || len(g.waiting) == 0 {
		return false
	}
	g.senders++
	return true
}

// sendAll sends until no part waits.
func (g *Group) sendAll() {
	for g.send() {
	}
}

// send sends the waiting parts, as many as fit into one Multi. It reports whether more
// parts wait.
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

// carryOut drops a part that is refused, and sends the rest again, from then on half as
// many parts at a time, and twice as many after a success. Without halving, many refused
// parts would cost time in the square of their number.
func (g *Group) carryOut(batch []*part) {
	for some := len(batch); len(batch) > 0; {
		some = min(some, len(batch))
		var ops []Op
		for _, p := range batch[:some] {
			ops = append(ops, p.ops...)
		}
		results, err := g.s.Multi(ops...)
		var refused *OpError
		if errors.Is(err, ErrTooLarge) && some > 1 { // these servers' limit turned out lower than when the batch was formed
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
