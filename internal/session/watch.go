package session

import (
	"errors"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/zkwire"
)

// GetPersistentW is Get and sets a watch that stays, if the servers know how (since
// ZooKeeper 3.6): it hints at every change from then on, one by one, until the
// connection is lost, of which Hints.Take tells. Else it is GetW, and persistent is
// false. The watch is set even if the znode is not there, and nothing removes it but
// the end of the connection: it is for a path that is watched about as long.
func (s *Session) GetPersistentW(path string) (data []byte, stat *zk.Stat, persistent bool, err error) {
	if err := s.await(); err != nil {
		return nil, nil, false, s.wrap("get", path, zk.PermRead, err)
	}
	if s.oneShot.Load() {
		data, stat, err = s.GetW(path)
		return data, stat, false, err
	}
	// If the connection is lost meanwhile, the read goes over the next one and the
	// watch does not: that is hinted at.
	s.wire.AddWatch(s.full(path), zkwire.Persistent, s.watched)
	data, stat, err = s.Get(path)
	return data, stat, true, err
}

// WatchTree sets a watch that stays on a znode and all below it, if the servers know how:
// it hints at every creation, deletion and change of data, one by one, under the path
// of the znode that it happened to. What is read after this call is watched. After a
// reconnect, of which Hints.Take tells, it is to be set again. Unwatch removes it. False means that the
// servers do not know how. They may say so later, which is hinted at like a reconnect.
// It can keep ChildrenW on the same path from firing.
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

// Unwatch removes the watches on a path, of any kind, before whatever is asked later. Events
// that are on their way still come. Where there is none, or no connection, it does nothing.
func (s *Session) Unwatch(path string) { s.wire.Unwatch(s.full(path), func(error) {}) }

// watched takes the answer to a persistent watch. Whatever it was refused for, asking
// again would come to the same.
func (s *Session) watched(err error) {
	if err == nil || errors.Is(err, zk.ErrConnectionClosed) {
		return
	}
	s.oneShot.Store(true)
	s.policy.changes.Add(1)
	s.log.Debug("no persistent watches here", "err", err)
	s.hub.all()
}
