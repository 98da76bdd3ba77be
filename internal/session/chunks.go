package session

const (
	// firstChunk is how many znodes are read at once at first, and mostChunk later:
	// twice as many while they come to at most chunkBytes, half as many after more.
	firstChunk = 16
	mostChunk  = 256
	chunkBytes = 1 << 20
)

// Chunks reads many znodes, some at a time: of large ones few are in memory at once, and many
// small ones take few requests. Its zero value is ready. It belongs to one goroutine.
type Chunks struct {
	size int // of the next one; 0: firstChunk
}

// Read reads what ids name, chunk by chunk, and hands the answers over in the order of the
// ids. It stops at an error of take.
func (c *Chunks) Read(ids []string, read func(ids []string) []Read, take func(id string, r Read) error) error {
	for len(ids) > 0 {
		c.size = max(c.size, firstChunk)
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
			c.size /= 2
		case len(some) == c.size:
			c.size = min(2*c.size, mostChunk)
		}
	}
	return nil
}
