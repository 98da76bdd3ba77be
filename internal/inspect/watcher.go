package inspect

import (
	"context"
	"strings"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Watcher reads the tree again and again, for one goroutine. The servers report what has
// changed (since ZooKeeper 3.6); the rest is known from the last look. So each Tree is what
// Read would return, with one exception: a change of the right to read a znode is noticed only
// when the znode changes, or after a reconnect. A look costs
//
//	a Sync
//	a listing of each permanent znode with new or deleted children
//	a read of each changed child, up to 32 in a request
//
// The first look, and the first look after a reconnect, reads everything. So does every look
// if the servers know no recursive watch.
type Watcher struct {
	s       *session.Session
	hints   *session.Hints
	watches bool // the servers report changes
	known   known
}

// NewWatcher returns a Watcher. A session can have one at a time.
func NewWatcher(s *session.Session) *Watcher {
	keys := []string{task.MembersDir}
	for _, dir := range watched {
		keys = append(keys, dir+"/")
	}
	return &Watcher{s: s, hints: s.Hints(keys...)}
}

// watched are the permanent znodes whose children a Watcher knows.
var watched = []string{task.MasterDir, task.WorkersDir, task.DrainDir, task.MembersDir, task.TasksDir}

// Read reads what has changed, and returns all. It ends early with ctx.
func (w *Watcher) Read(ctx context.Context) (*Tree, error) {
	if err := w.s.Sync(); err != nil { // all events before it have arrived
		return nil, err
	}
	w.takeHints()
	if !w.watches {
		if err := w.watch(); err != nil {
			return nil, err
		}
	}
	t := new(Tree)
	var err error
	if t.Access, err = readAccess(w.s); err != nil {
		return nil, err
	}
	if err := t.readRoles(ctx, w.s, &w.known); err != nil {
		return nil, err
	}
	if err := t.readMembers(ctx, w.s, &w.known); err != nil {
		return nil, err
	}
	// A commit changes a worker's list and its task together: take the event of the task, too.
	w.takeHints()
	return t, t.readTasks(ctx, w.s, &w.known)
}

// watch sets the recursive watches, if the servers know them, and forgets what was read
// before.
func (w *Watcher) watch() (err error) {
	for _, dir := range watched {
		if w.watches, err = w.s.WatchTree(dir); err != nil {
			return err
		}
	}
	w.known = known{}
	if w.watches {
		w.known.candidates.keep()
		w.known.workers.keep()
		w.known.drains.keep()
		w.known.members.keep()
		w.known.protocol.keep()
		w.known.tasks.keep()
	}
	return nil
}

// takeHints forgets znodes that have changed.
func (w *Watcher) takeHints() {
	paths, all := w.hints.Take()
	for path := range paths {
		i := strings.LastIndexByte(path, '/')
		switch dir, name := path[:i], path[i+1:]; dir {
		case task.MasterDir:
			w.known.candidates.forget(name)
		case task.WorkersDir:
			w.known.workers.forget(name)
		case task.DrainDir:
			w.known.drains.forget(name)
		case task.MembersDir:
			w.known.members.forget(name)
		case "": // /members itself
			w.known.protocol.forget(name)
		case task.TasksDir:
			w.known.tasks.forget(name)
		}
	}
	if all {
		w.watches, w.known = false, known{}
	}
}

// known is what was read, and has not changed since. The zero value keeps nothing.
type known struct {
	candidates children[Candidate]
	workers    children[Worker]
	drains     children[Drain]
	members    children[Member]
	protocol   children[Member] // /members itself, as the only child
	tasks      children[Task]
}

// children is what is known of the children of a permanent znode.
type children[T interface{ base() Znode }] struct {
	names  []string     // all, sorted; nil: not known, or none
	byName map[string]T // nil: none is kept
}

func (c *children[T]) keep() { c.byName = make(map[string]T) }

// forget makes the next look read a child again. An unknown child may be new: then it lists.
func (c *children[T]) forget(name string) {
	if _, known := c.byName[name]; !known {
		c.names = nil
	}
	delete(c.byName, name)
}

// list is Tree.list.
func (c *children[T]) list(t *Tree, s *session.Session, dir string) (names []string, err error) {
	if c.names == nil {
		c.names, err = t.list(s, dir)
	}
	return c.names, err
}

// read is readAll without the known children. A child that may not be read is tried each time.
func (c *children[T]) read(ctx context.Context, names []string, read func(name string) (T, error)) ([]T, error) {
	if c.byName == nil {
		return readAll(ctx, names, read)
	}
	var unknown []string
	for _, name := range names {
		if _, known := c.byName[name]; !known {
			unknown = append(unknown, name)
		}
	}
	changed, err := readAll(ctx, unknown, read)
	if err != nil {
		return nil, err
	}
	if len(changed) < len(unknown) { // some have vanished
		c.names = nil
	}
	for _, child := range changed {
		c.byName[child.base().Name] = child
	}
	all := make([]T, 0, len(names))
	for _, name := range names {
		if child, there := c.byName[name]; there {
			all = append(all, child)
			if child.base().Err != nil {
				delete(c.byName, name) // the servers may not report its changes
				c.names = nil
			}
		}
	}
	return all, nil
}
