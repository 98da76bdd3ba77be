package master

import (
	"log/slog"
	"sync"

	"taskkeeper/internal/printable"
)

const (
	// mostTold is how many znodes are complained about, one by one. Of 200,000 malformed
	// names nobody wants to read; client doctor lists them.
	mostTold = 1000
	// longestPath is how much of a path is kept and logged, in bytes: it may be
	// close to a megabyte.
	longestPath = 200
)

// complaints says what is wrong with a znode, once for as long as this leader leads. It
// may be used by several goroutines.
type complaints struct {
	log *slog.Logger

	mu   sync.Mutex      // guards the rest
	told map[string]bool // by path, cut
	full bool
}

func newComplaints(log *slog.Logger) *complaints {
	return &complaints{log: log, told: make(map[string]bool)}
}

// tell complains about a znode.
func (c *complaints) tell(path, what string) {
	path = printable.Cut(path, longestPath)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.full || c.told[path]:
	case len(c.told) == mostTold:
		c.full = true
		c.log.Warn("more malformed znodes than are told one by one: client doctor lists them", "told", mostTold)
	default:
		c.told[path] = true
		c.log.Warn("malformed znode", "znode", path, "err", printable.Cut(what, 2*longestPath))
	}
}
