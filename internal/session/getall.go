package session

import (
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/zkwire"
)

// Read is the result of one read, as Get returns it.
type Read = zkwire.Read

// GetAll reads several znodes: in one request, if the servers know that (since ZooKeeper
// 3.6) and the connection lasts; if not, in parallel requests. Each read succeeds or fails
// by itself.
func (s *Session) GetAll(paths ...string) []Read {
	reads := make([]Read, len(paths))
	if len(paths) > 1 && s.await() == nil {
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
	each(s.Get, paths, reads) // Get classes errors, and waits for a connection
	return reads
}

// GetAllW is GetAll and sets watches, as GetW does. Each read is a request of its own.
func (s *Session) GetAllW(paths ...string) []Read {
	reads := make([]Read, len(paths))
	each(s.GetW, paths, reads)
	return reads
}

// each makes the reads that have not succeeded yet, in parallel.
func each(get func(path string) ([]byte, *zk.Stat, error), paths []string, reads []Read) {
	var all sync.WaitGroup
	for i := range reads {
		if r := &reads[i]; r.Stat == nil {
			all.Go(func() { r.Data, r.Stat, r.Err = get(paths[i]) })
		}
	}
	all.Wait()
}
