package master

import (
	"errors"
	"sync"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// dirs lists the permanent znodes. It sets at most one watch at a time on each. A master
// keeps its dirs from term to term, for as long as its session lasts. The methods may be
// called from any goroutine.
type dirs struct {
	s *session.Session

	mu      sync.Mutex // guards watched
	watched map[string]bool
}

func newDirs(s *session.Session) *dirs { return &dirs{s: s, watched: make(map[string]bool)} }

// needsWatch reports whether no watch is set on a znode, and records that one is set. If
// true, the caller must set the watch.
func (d *dirs) needsWatch(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.watched[path]
	d.watched[path] = true
	return !was
}

// isWatched reports whether a watch is set that has not fired.
func (d *dirs) isWatched(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.watched[path]
}

// fired records that a watch is not set any more.
func (d *dirs) fired(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.watched, path)
}

// list lists a permanent znode. If watch is set, a watch is on it afterwards. A missing
// znode is created first: that it is missing says nothing about its former children.
func (d *dirs) list(path string, watch bool) ([]string, error) {
	read := d.s.Children
	if watch && d.needsWatch(path) {
		read = d.s.ChildrenW
	}
	for {
		names, _, err := read(path)
		if errors.Is(err, zk.ErrNoNode) {
			if err = d.s.EnsureDirs(task.Dirs()...); err == nil {
				continue
			}
		}
		// The watch was not set, or the servers drop its events while the znode may not be read.
		if session.Refused(err) {
			d.fired(path)
		}
		return names, err
	}
}
