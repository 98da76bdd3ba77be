package master

import (
	"errors"
	"sync"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// dirs lists the permanent znodes. It sets at most one watch at a time on each, because
// a watch cannot be removed. A master keeps it across its terms, for as long as its
// session lasts. Its methods may be called from any goroutine.
type dirs struct {
	s *session.Session

	mu    sync.Mutex // guards armed
	armed map[string]bool
}

func newDirs(s *session.Session) *dirs { return &dirs{s: s, armed: make(map[string]bool)} }

// arm tells whether a watch is to be set, and records that it is.
func (d *dirs) arm(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.armed[path]
	d.armed[path] = true
	return !was
}

// isArmed tells whether a watch is set that has not fired.
func (d *dirs) isArmed(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.armed[path]
}

// fired records that a watch is not set any more.
func (d *dirs) fired(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.armed, path)
}

// list lists a permanent znode, and sees to it that it is watched, if that is asked
// for. A missing one is made first: its absence says nothing of what was in it.
func (d *dirs) list(path string, watch bool) ([]string, error) {
	read := d.s.Children
	if watch && d.arm(path) {
		read = d.s.ChildrenW
	}
	for {
		names, _, err := read(path)
		if errors.Is(err, zk.ErrNoNode) {
			if err = d.s.EnsureDirs(task.Dirs()...); err == nil {
				continue
			}
		}
		// It was not set, or the servers drop its events while the znode may not be read.
		if session.Refused(err) {
			d.fired(path)
		}
		return names, err
	}
}
