package session

import "cmp"

const (
	// mostChunk bounds a chunk, in znodes, unless Most does. A znode may hold 0.8 MB, and its
	// size is known only after the read. After a chunk of more than chunkBytes the next one is half as
	// long, but not shorter than leastChunk; after a smaller one it is twice as long.
	mostChunk  = 32
	leastChunk = 8
	chunkBytes = 1 << 20
)

// Chunks reads many znodes chunk by chunk, so that few large ones are in memory at a time.
// Its zero value is ready. One goroutine may use it.
type Chunks struct {
	Most int // znodes in a chunk; 0: 32. More take fewer requests, and more memory if they are large
	size int // of the next chunk; 0: the first one, of 32 at most
}

// Read reads the znodes of ids, chunk by chunk, and calls take with each answer, in the
// order of ids. It stops when take fails, with that error.
func (c *Chunks) Read(ids []string, read func(ids []string) []Read, take func(id string, r Read) error) error {
	for len(ids) > 0 {
		most := cmp.Or(c.Most, mostChunk)
		c.size = cmp.Or(c.size, min(mostChunk, most))
		some := ids[:min(c.size, len(ids))]
		ids = ids[len(some):]
		bytes := 0
		for i, r := range read(some) {
			bytes += len(r.Data)
			if err := take(some[i], r); err != nil {
				return err
			}
		}
		switch {
		case bytes > chunkBytes:
			c.size = max(c.size/2, leastChunk)
		case len(some) == c.size:
			c.size = min(2*c.size, most)
		}
	}
	return nil
}
