package session

const (
	// A chunk has at most mostChunk znodes: a large one may hold 0.8 MB, and how large they
	// are is known afterwards. After more than chunkBytes the next chunk is half as long, down to
	// leastChunk; else twice as long.
	mostChunk  = 32
	leastChunk = 8
	chunkBytes = 1 << 20
)

// Chunks reads many znodes, chunk by chunk, so that few large ones are in memory at once.
// Its zero value is ready. It belongs to one goroutine.
type Chunks struct {
	size int // of the next one; 0: mostChunk
}

// Read reads what ids name, chunk by chunk, and hands the answers over in the order of the
// ids. It stops at an error of take.
func (c *Chunks) Read(ids []string, read func(ids []string) []Read, take func(id string, r Read) error) error {
	for len(ids) > 0 {
		if c.size == 0 {
			c.size = mostChunk
		}
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
			c.size = min(2*c.size, mostChunk)
		}
	}
	return nil
}
