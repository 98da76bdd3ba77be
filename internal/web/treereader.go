package web

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/printable"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// treeReader reads the tree again and again, and marks what has changed in between.
type treeReader struct {
	s      *session.Session
	secret bool              // payloads are not read
	known  map[string]*known // what was read last, by path
	levels map[string]level  // what was listed last, by the parent's path
}

// known is a znode that was read.
type known struct {
	path         string
	czxid, mzxid int64
	pzxid        int64 // of the last creation or deletion of a child
	aversion     int32
	changed      time.Time
	znode
}

// level is the children of a znode.
type level struct {
	listed bool
	pzxid  int64    // at that listing
	names  []string // of all children
	note   string   // why it is not listed
	shown  []*known // the first children; and, for markedFor, deleted ones
}

func newTreeReader(s *session.Session) *treeReader {
	return &treeReader{s: s, known: make(map[string]*known), levels: make(map[string]level)}
}

// read reads what has changed; with secret, no payloads. The error is one of the session, or says
// why there is no tree.
func (r *treeReader) read(now time.Time, secret bool) (t tree, err error) {
	if secret != r.secret {
		*r = *newTreeReader(r.s) // what was read may have to be hidden now
		r.secret = secret
	}
	roots, err := r.look([]string{"/"})
	switch {
	case err != nil:
		return t, err
	case roots[0] == nil:
		return t, errors.New("the root does not exist")
	}
	before := *r
	r.known, r.levels = map[string]*known{"/": roots[0]}, make(map[string]level)
	if err := r.children(roots, before, now); err != nil {
		return t, err
	}
	top := r.levels["/"]
	if top.note != "" {
		return t, errors.New("/ is not listed: " + top.note)
	}
	if err := r.children(top.shown, before, now); err != nil {
		return t, err
	}
	t.Dirs, t.More = []directory{}, len(top.names)
	for _, dir := range top.shown {
		below := r.levels[dir.path]
		d := directory{znode: dir.znode, Meaning: meaning(dir.path), List: []znode{}, More: int(dir.Children), Note: below.note}
		for _, z := range below.shown {
			d.List = append(d.List, z.znode)
			d.More -= z.there()
		}
		d.More = max(0, d.More)
		t.Dirs = append(t.Dirs, d)
		t.More -= dir.there()
	}
	t.More = max(0, t.More)
	return t, nil
}

// there is 1; 0 for a deleted znode.
func (z *known) there() int {
	if z.Change == deleted {
		return 0
	}
	return 1
}

// children reads the next level of the tree.
func (r *treeReader) children(of []*known, before treeReader, now time.Time) error {
	var paths []string
	ends := make([]int, len(of))
	for i, z := range of {
		l, err := r.list(z, before.levels[z.path])
		if err != nil {
			return err
		}
		r.levels[z.path] = l
		for _, name := range l.names[:min(mostShown, len(l.names))] {
			paths = append(paths, path.Join(z.path, name))
		}
		ends[i] = len(paths)
	}
	all, err := before.look(paths)
	if err != nil {
		return err
	}
	begin := 0
	for i, z := range of {
		l := r.levels[z.path]
		l.shown = marked(before.levels[z.path], l, all[begin:ends[i]], now)
		r.levels[z.path], begin = l, ends[i]
	}
	for _, z := range all {
		if z != nil {
			r.known[z.path] = z
		}
	}
	return nil
}

// list lists a znode's children, if they have changed.
func (r *treeReader) list(z *known, before level) (l level, err error) {
	switch {
	case z.Change == deleted:
		return l, nil
	case z.Children > mostListed:
		return level{note: fmt.Sprintf("it has more than %d children", mostListed)}, nil
	case before.listed && before.pzxid == z.pzxid:
		return before, nil
	}
	names, stat, err := r.s.Children(z.path)
	switch {
	case errors.Is(err, session.ErrOver):
		return l, err
	case errors.Is(err, zk.ErrNoNode):
		return l, nil
	case session.Refused(err):
		return level{note: "it may not be listed"}, nil
	case err != nil:
		return level{note: shown(err.Error())}, nil
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(path.Join(z.path, a)), rank(path.Join(z.path, b))), strings.Compare(a, b))
	})
	return level{listed: true, pzxid: stat.Pzxid, names: names}, nil
}

// The changes of a znode.
const (
	created = "created"
	written = "written"
	deleted = "deleted"
)

// marked returns the shown znodes of a level: those that were read (nil: vanished meanwhile), and
// those that were deleted less than markedFor ago.
func marked(before, l level, read []*known, now time.Time) (all []*known) {
	was := make(map[string]*known)
	for _, z := range before.shown {
		was[z.path] = z
	}
	for _, z := range read {
		if z == nil {
			continue
		}
		old := was[z.path]
		switch {
		case !before.listed:
		case old == nil && slices.Contains(before.names, path.Base(z.path)): // it existed, and is among the first now
		case old == nil, old.czxid != z.czxid:
			z.Change, z.changed = created, now
		case old.mzxid != z.mzxid:
			z.Change, z.changed = written, now
		case now.Sub(old.changed) < markedFor:
			z.Change, z.changed = old.Change, old.changed
		}
		delete(was, z.path)
		all = append(all, z)
	}
	if !l.listed {
		return all
	}
	gone := 0
	for _, old := range before.shown {
		if was[old.path] == nil || gone == mostShown {
			continue
		}
		z := *old
		switch at := min(mostShown, len(l.names)); {
		case z.Change == deleted && now.Sub(z.changed) >= markedFor:
			continue
		case z.Change == deleted:
		case slices.Contains(l.names[at:], path.Base(z.path)): // it exists, but is no longer among the first
			continue
		default:
			z.Change, z.changed = deleted, now
		}
		all = append(all, &z)
		gone++
	}
	slices.SortFunc(all, func(a, b *known) int {
		return cmp.Or(cmp.Compare(rank(a.path), rank(b.path)), strings.Compare(a.path, b.path))
	})
	return all
}

// look reads znodes; nil for a missing one. Of unchanged and of large znodes it reads only the
// Stat.
func (r *treeReader) look(paths []string) ([]*known, error) {
	all := make([]*known, len(paths))
	var g errgroup.Group
	g.SetLimit(treePipeline)
	for i, path := range paths {
		g.Go(func() (err error) {
			all[i], err = r.lookAt(path)
			return err
		})
	}
	return all, g.Wait()
}

func (r *treeReader) lookAt(at string) (*known, error) {
	z := &known{path: at}
	z.Name, z.Key = shown(path.Base(at)), at
	stat, err := r.s.Stat(at)
	var data []byte
	if err == nil {
		old := r.known[at]
		switch {
		case old != nil && old.czxid == stat.Czxid && old.mzxid == stat.Mzxid && old.aversion == stat.Aversion:
			z.Data, z.Note = old.Data, old.Note
		case r.secret && strings.HasPrefix(at, task.DataDir+"/"):
			z.Note = "a payload: it is not shown under a policy"
		case r.secret && !ours(at):
			z.Note = "unknown to these programs: it is not shown under a policy"
		case stat.DataLength > mostRead:
			z.Note = fmt.Sprintf("%d bytes: they are not read for the tree", stat.DataLength)
		default:
			var fresh *zk.Stat
			if data, fresh, err = r.s.Get(at); err == nil {
				stat, z.Data = fresh, printable.Line(printable.Cut(string(data), dataShown))
			}
		}
	}
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return nil, nil
	case errors.Is(err, session.ErrOver):
		return nil, err
	case session.Refused(err):
		z.Note = "may not be read"
	case err != nil:
		z.Note = shown(err.Error())
	}
	if stat == nil {
		return z, nil
	}
	z.czxid, z.mzxid, z.pzxid, z.aversion = stat.Czxid, stat.Mzxid, stat.Pzxid, stat.Aversion
	z.Key, z.Version, z.Children = fmt.Sprintf("%#x %s", stat.Czxid, z.Name), stat.Version, stat.NumChildren
	z.Ephemeral = stat.EphemeralOwner != 0
	if dir, id := path.Split(at); (dir == task.TasksDir+"/" || dir == task.DataDir+"/") && isTask(id) {
		z.Task = taskLink(id)
	}
	return z, nil
}
