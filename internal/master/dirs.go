package master

import (
	"errors"
	"sync"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// dirs lists /tasks and /workers, and sees to it that one watch at a time is
// set on each: a watch cannot be removed. A master keeps it across its terms,
// for as long as its session lasts.
type dirs struct {
	s *session.Session

	mu    sync.Mutex // guards armed
	armed map[string]bool
}

func newDirs(s *session.Session) *dirs { return &dirs{s: s, armed: make(map[string]bool)} }

// arm tells whether a listing should set a watch, and takes it that it will.
func (d *dirs) arm(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.armed[path]
	d.armed[path] = true
	return !was
}

func (d *dirs) fired(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.armed, path)
}

// list lists a permanent znode, which is made when it is missing: its absence
// says nothing of what was in it.
func (d *dirs) list(path string, watch bool) ([]string, error) {
	read := d.s.Children
	if watch {
		read = d.s.ChildrenW
	}
	for {
		names, _, err := read(path)
		if errors.Is(err, zk.ErrNoNode) {
			if err = d.s.EnsureDirs(task.Dirs()...); err == nil {
				continue
			}
		}
		if err != nil && watch {
			d.fired(path) // it was not set
		}
		return names, err
	}
}
