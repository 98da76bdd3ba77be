package session

import (
	"errors"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/zkwire"
)

// GetPersistentW is Get and sets a persistent watch, if the servers know it (since ZooKeeper
// 3.6). The watch hints at every change, one by one, until the connection is lost, which
// Hints.Take reports. With older servers it is GetW, and persistent is false. The watch is
// set even if the znode is missing. It stays until Unwatch or the end of the connection.
func (s *Session) GetPersistentW(path string) (data []byte, stat *zk.Stat, persistent bool, err error) {
	if err := s.await(); err != nil {
		return nil, nil, false, s.wrap("get", path, zk.PermRead, err)
	}
	if s.oneShot.Load() {
		data, stat, err = s.GetW(path)
		return data, stat, false, err
	}
	// If the connection is lost now, the next connection carries the read but not the
	// watch. The reconnect hints at all paths.
	s.wire.AddWatch(s.full(path), zkwire.Persistent, s.watched)
	data, stat, err = s.Get(path)
	return data, stat, true, err
}

// WatchTree sets a persistent watch on a znode and all below it, if the servers know it
// (since ZooKeeper 3.6). The watch hints at every creation, deletion and change of data, one
// by one, under the path of the changed znode. It covers all reads made after this call. The
// caller must set it again after a reconnect, which Hints.Take reports. Unwatch removes it.
// set is false if the servers do not know it. If the servers refuse it later, that hints at
// all, like a reconnect. It can keep ChildrenW on the same path from firing.
func (s *Session) WatchTree(path string) (set bool, err error) {
	if err := s.await(); err != nil {
		return false, s.wrap("watch all below", path, zk.PermRead, err)
	}
	if s.oneShot.Load() {
		return false, nil
	}
	s.wire.AddWatch(s.full(path), zkwire.PersistentRecursive, s.watched)
	return true, nil
}

// Unwatch removes the watches of any kind on a path, before the next request of this
// session. Events that are under way still arrive. Without a watch or a connection it does
// nothing.
func (s *Session) Unwatch(path string) { s.wire.Unwatch(s.full(path), func(error) {}) }

// watched handles the answer to a persistent watch. After a refusal, for whatever reason, no
// persistent watch is tried again.
func (s *Session) watched(err error) {
	if err == nil || errors.Is(err, zk.ErrConnectionClosed) {
		return
	}
	s.oneShot.Store(true)
	s.policy.changes.Add(1)
	s.log.Debug("the servers know no persistent watches", "err", err)
	s.hub.all()
}
