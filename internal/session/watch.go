package session

import (
	"encoding/binary"

	"github.com/go-zookeeper/zk"
)

// ZooKeeper's persistent watches, which go-zookeeper does not know.
const (
	opcodeAddWatch = 106 // servers before 3.6 do not know it, as with opcodeMultiRead
	modePersistent = 0   // the mode: changes of the znode and of its children, not of theirs
	modeRecursive  = 1   // the mode: changes of the znode and of all below it

	// watchXid is the number of all requests for a watch. The library counts from 1 on;
	// -1, -2, -4 and -8 have a meaning of their own.
	watchXid int32 = -106
)

// GetPersistentW is Get and sets a watch that stays, if the servers know how (since
// ZooKeeper 3.6): it hints at every change from then on, one by one, until the
// connection is lost, of which Hints.Take tells. Else it is GetW, and persistent is
// false. The watch is set even if the znode is not there, and nothing removes it but
// the end of the connection: it is for a path that is watched about as long.
func (s *Session) GetPersistentW(path string) (data []byte, stat *zk.Stat, persistent bool, err error) {
	if err := s.await(); err != nil {
		return nil, nil, false, wrap("get", path, err)
	}
	if s.oneShot.Load() {
		data, stat, err = s.GetW(path)
		return data, stat, false, err
	}
	// If the connection is lost meanwhile, the read goes over the next one and the
	// watch does not: that is hinted at.
	s.mu.Lock()
	s.socket.watch(s.full(path), modePersistent)
	s.mu.Unlock()
	data, stat, err = s.Get(path)
	return data, stat, true, err
}

// WatchTree sets a watch that stays on a znode and all below it, if the servers know how:
// it hints at every creation, deletion and change of data, one by one, under the path
// of the znode that it happened to. What is read after this call is watched. After a
// reconnect, of which Hints.Take tells, it is to be set again. False means that the
// servers do not know how. They may say so later, which is hinted at like a reconnect.
func (s *Session) WatchTree(path string) (set bool, err error) {
	if err := s.await(); err != nil {
		return false, wrap("watch", path, err)
	}
	if s.oneShot.Load() {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket.watch(s.full(path), modeRecursive)
	return true, nil
}

// watch has a persistent watch set, before whatever is written later.
func (c *conn) watch(path string, mode uint32) {
	c.mu.Lock()
	if c.greeted {
		c.unsent = appendWatch(c.unsent, path, mode)
	}
	c.mu.Unlock()
	c.poke()
}

func appendWatch(buf []byte, path string, mode uint32) []byte {
	for _, n := range []int{requestHeader + 4 + len(path) + 4, int(watchXid), opcodeAddWatch, len(path)} {
		buf = binary.BigEndian.AppendUint32(buf, uint32(n))
	}
	return binary.BigEndian.AppendUint32(append(buf, path...), mode)
}

// watched takes the answer to watch. Whatever it was refused for, asking again would
// come to the same.
func (s *Session) watched(code int32) {
	if code == 0 {
		return
	}
	s.oneShot.Store(true)
	s.log.Debug("no persistent watches here", "code", code)
	s.hub.all()
}
