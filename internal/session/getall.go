package session

import (
	"time"

	"taskkeeper/internal/zkwire"
)

// Read is what one read came to, as Get returns it.
type Read = zkwire.Read

// GetAll reads several znodes, in one request where the servers know how (since
// ZooKeeper 3.6) and the connection lasts. Each read succeeds or fails by itself.
func (s *Session) GetAll(paths ...string) []Read {
	reads := make([]Read, len(paths))
	if s.await() == nil {
		full := make([]string, len(paths))
		for i, path := range paths {
			full[i] = s.full(path)
		}
		began := time.Now()
		if answers := s.wire.GetAll(full); answers != nil { // nil: not in one request
			s.cfg.Meter.Request("multi_read", began)
			copy(reads, answers)
		}
	}
	for i, path := range paths {
		if r := &reads[i]; r.Stat == nil { // Get knows the errors, and waits for a connection
			r.Data, r.Stat, r.Err = s.Get(path)
		}
	}
	return reads
}
