package master

import (
	"log/slog"
	"sync"

	"taskkeeper/internal/printable"
)

const (
	// mostWarned is how many malformed znodes are logged one by one. Nobody reads
	// 200,000 lines; client doctor lists these znodes.
	mostWarned = 1000
	// longestPath is how many bytes of a path are kept and logged: a path may be
	// close to a megabyte.
	longestPath = 200
)

// malformed logs each malformed znode once while this leader leads. Its method may be
// called from any goroutine.
type malformed struct {
	log *slog.Logger

	mu     sync.Mutex      // guards the rest
	warned map[string]bool // by path, cut to longestPath
	full   bool            // mostWarned znodes were logged
}

func newMalformed(log *slog.Logger) *malformed {
	return &malformed{log: log, warned: make(map[string]bool)}
}

// warn logs what is wrong with a znode.
func (m *malformed) warn(path, what string) {
	path = printable.Cut(path, longestPath)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.full || m.warned[path]:
	case len(m.warned) == mostWarned:
		m.full = true
		m.log.Warn("too many malformed znodes to log each: client doctor lists them", "logged", mostWarned)
	default:
		m.warned[path] = true
		m.log.Warn("malformed znode", "znode", path, "err", printable.Cut(what, 2*longestPath))
	}
}
