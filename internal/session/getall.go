package session

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/go-zookeeper/zk"
)

// Read is what one read came to, as Get returns it.
type Read struct {
	Data []byte
	Stat *zk.Stat
	Err  error
}

// GetAll reads several znodes, in one request where the servers know how (since
// ZooKeeper 3.6) and the connection lasts. Each read succeeds or fails by itself.
func (s *Session) GetAll(paths ...string) []Read {
	reads := make([]Read, len(paths))
	s.getTogether(paths, reads)
	for i, path := range paths {
		if r := &reads[i]; r.Stat == nil { // Get knows the errors, and waits for a connection
			r.Data, r.Stat, r.Err = s.Get(path)
		}
	}
	return reads
}

// getTogether fills in what can be read by one request of our own: it costs a busy worker
// less than to have the library read each.
func (s *Session) getTogether(paths []string, reads []Read) {
	if s.await() != nil {
		return
	}
	s.mu.Lock()
	socket := s.socket
	s.mu.Unlock()
	var answers sync.WaitGroup
	gets := make([]get, len(paths))
	for i, path := range paths {
		gets[i] = own(s.full(path), func(code int32, body []byte) {
			if code == 0 {
				reads[i].Data, reads[i].Stat = parseData(body)
			}
			answers.Done()
		})
	}
	answers.Add(len(gets))
	if socket.readOwn(gets) {
		answers.Wait() // closing the connection answers as well
	}
}

// parseData takes the body of an answer to getData apart, as split leaves it: the data
// behind their length, and the Stat.
func parseData(body []byte) ([]byte, *zk.Stat) {
	data, rest := body[4:len(body)-statSize], body[len(body)-statSize:]
	stat := new(zk.Stat)
	_, _ = binary.Decode(rest, binary.BigEndian, stat) // it has the size
	return bytes.Clone(data), stat                     // the frame may be large
}
