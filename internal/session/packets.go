package session

import "sync"

// MaxPacket bounds what one request carries, in bytes. A server with default
// settings answers a request over 1,048,575 bytes by closing the connection,
// which ends every other call on it; the rest is room for what Op.Size leaves out.
const MaxPacket = 900_000

const (
	// largeFrom is the least that a request is suspected from, in bytes: what the library
	// sends when it sets its watches again has up to 128 KB as well.
	largeFrom = 32 << 10
	// cutsEnough is how often in a row the connection must be cut at large requests
	// until they are taken for too large. Servers restart as well.
	cutsEnough = 3
)

// packets learns how large a request these servers take: jute.maxbuffer may be set to
// less than its default, and no answer tells. A connection is cut: the server closed
// it, although it had answered before, and a large request was not answered. Of
// several it was the largest, most likely: none but the first that is too large does
// any harm. Where that comes about three times, and no request as large is answered in
// between, the servers take none as large as the largest of them.
type packets struct {
	mu    sync.Mutex // guards the rest
	limit int        // what has been learnt to be too large; 0: nothing
	cuts  int        // in a row
	least int        // of the requests at these
	most  int
}

// cut merges that the connection was cut at a request. It tells whether that was once
// too often.
func (p *packets) cut(size int) (learnt bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cuts == 0 {
		p.least, p.most = size, size
	}
	p.cuts++
	p.least, p.most = min(p.least, size), max(p.most, size)
	if p.cuts < cutsEnough {
		return false
	}
	p.limit, p.cuts = p.most, 0
	return true
}

// taken merges that a request was answered.
func (p *packets) taken(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if size >= p.least {
		p.cuts = 0
	}
}

// suspect tells whether the connection was cut at a request that was no larger.
func (p *packets) suspect(size int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts > 0 && size >= p.least
}

// bounds returns what a request may carry at most; and together, what requests that could as well go
// one by one may: half of what is too large is most likely not.
func (p *packets) bounds() (most, together int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit == 0 {
		return MaxPacket, MaxPacket
	}
	return min(MaxPacket, p.limit-1), min(MaxPacket, p.limit/2)
}

// MaxPacket is what a Multi may carry, in bytes, as Size counts them: the constant, or
// less where these servers have been found to take less.
func (s *Session) MaxPacket() int {
	most, _ := s.packets.bounds()
	return most
}

// Size is what operations come to in a packet, in bytes, with the chroot.
func (s *Session) Size(ops ...Op) (size int) {
	for _, op := range ops {
		size += op.Size() + len(s.cfg.Address.Chroot)
	}
	return size
}

// cut takes that a server closed the connection at a request that was not answered.
func (s *Session) cut(size int) {
	if s.packets.cut(size) {
		s.log.Warn("the servers close the connection at requests as large as this one: none is sent any more", "bytes", size)
	}
}
