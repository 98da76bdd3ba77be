package inspect

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// secondLook is how long after the first one Diagnose looks again. It is longer
// than a leader or a worker takes to do what it is about to do.
const secondLook = 1500 * time.Millisecond

// Diagnose reads all of the tree but the payloads themselves, twice if there is
// anything wrong, and returns what it read last and what was wrong both times. Root
// is the chroot, which the commands name.
func Diagnose(ctx context.Context, s *session.Session, root string) (*Tree, []Finding, error) {
	t, err := examine(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	first := Findings(t, root)
	if len(first) == 0 {
		return t, nil, nil
	}
	timer := time.NewTimer(secondLook)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if t, err = examine(ctx, s); err != nil {
		return nil, nil, err
	}
	return t, twice(first, Findings(t, root)), nil
}

// What everyone has to be allowed, by the znode's place. Deleting it is a matter of
// the one above it.
const (
	needDir  = zk.PermRead | zk.PermCreate | zk.PermDelete
	needNode = zk.PermRead | zk.PermWrite
	needData = zk.PermRead
)

// examine reads the tree with the payloads' znodes, all ACLs, and what hangs below.
func examine(ctx context.Context, s *session.Session) (*Tree, error) {
	t, err := Read(ctx, s)
	if err != nil {
		return nil, err
	}
	names, err := t.list(s, task.DataDir)
	if err != nil {
		return nil, err
	}
	t.Data = make([]Znode, len(names))
	for i, name := range names {
		t.Data[i].Name = name
	}
	for _, dir := range task.Dirs() {
		z := Znode{Name: dir}
		err := look(s, dir, needDir, &z)
		switch {
		case errors.Is(err, zk.ErrNoNode), slices.ContainsFunc(t.Dirs, func(z Znode) bool { return z.Name == dir }):
		case err != nil:
			return nil, err
		default:
			t.Dirs = append(t.Dirs, z)
		}
	}
	for _, part := range []struct {
		dir  string
		need int32
		n    int
		at   func(i int) *Znode
	}{
		{task.MasterDir, needNode, len(t.Candidates), func(i int) *Znode { return &t.Candidates[i].Znode }},
		{task.MasterDir, 0, len(t.Strangers), func(i int) *Znode { return &t.Strangers[i] }},
		{task.WorkersDir, needNode, len(t.Workers), func(i int) *Znode { return &t.Workers[i].Znode }},
		{task.TasksDir, needNode, len(t.Tasks), func(i int) *Znode { return &t.Tasks[i].Znode }},
		{task.DataDir, needData, len(t.Data), func(i int) *Znode { return &t.Data[i] }},
	} {
		err := each(ctx, part.n, func(i int) error {
			z := part.at(i)
			path := part.dir + "/" + z.Name
			err := look(s, path, part.need, z)
			if err == nil {
				err = lookBelow(s, path, z)
			}
			if errors.Is(err, zk.ErrNoNode) {
				z.gone = true
				return nil
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	t.Data = slices.DeleteFunc(t.Data, func(z Znode) bool { return z.gone })
	t.Tasks = slices.DeleteFunc(t.Tasks, func(x Task) bool { return x.gone })
	return t, nil
}

// look reads a znode's ACL and, where that is new, its Stat. The error is one of the
// session, or zk.ErrNoNode; any other is the znode's.
func look(s *session.Session, path string, need int32, z *Znode) error {
	acl, stat, err := s.ACL(path)
	seen, fatal := znode(z.Name, stat, err)
	switch {
	case fatal != nil:
		return fatal
	case err != nil:
		z.Err = cmp.Or(z.Err, err)
		return nil
	case z.Mzxid == 0: // it was not read before, or may not be
		seen.Err = z.Err
		*z = seen
	}
	z.children = stat.NumChildren
	allowed := int32(0)
	for _, a := range acl {
		if a.Scheme == "world" && a.ID == "anyone" {
			allowed |= a.Perms
		}
	}
	z.Closed = allowed&need != need
	return nil
}

// lookBelow lists what hangs below a znode.
func lookBelow(s *session.Session, path string, z *Znode) error {
	if z.children == 0 || z.Err != nil {
		return nil
	}
	names, _, err := s.Children(path)
	slices.Sort(names)
	z.Below = names
	if err != nil {
		_, err = znode(z.Name, nil, err) // the session's errors pass, the znode's do not
	}
	return err
}
