package inspect

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// secondLook is the time between the two looks of Diagnose: longer than a leader or a worker
// takes to finish a change in progress.
const secondLook = 1500 * time.Millisecond

// Diagnose reads the tree without the contents of payloads, twice if anything is wrong. It
// returns the tree of the last read, and the findings of both. Root is the chroot, for the
// commands of the findings.
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

// The rights that everyone needs without a policy, by the znode's place. The right to delete a
// znode belongs to its parent.
const (
	needDir  = zk.PermRead | zk.PermCreate | zk.PermDelete
	needNode = zk.PermRead | zk.PermWrite
	needData = zk.PermRead
)

// examine reads the tree with the payloads' znodes, all ACLs, and children of leaves.
func examine(ctx context.Context, s *session.Session) (*Tree, error) {
	t, err := Read(ctx, s)
	if err != nil {
		return nil, err
	}
	if t.Access.Err != nil {
		return nil, t.Access.Err
	}
	names, err := t.list(s, task.DataDir)
	if err != nil {
		return nil, err
	}
	for _, d := range t.Dirs {
		if t.Access.secret(d.Name, d.Err) { // the caller is no admin and no viewer
			return nil, d.Err
		}
	}
	t.Data = make([]Znode, len(names))
	for i, name := range names {
		t.Data[i].Name = name
	}
	dirs := task.Dirs()
	if !t.Access.Policy.IsZero() {
		dirs = append([]string{"/", access.Znode}, dirs...)
	}
	for _, dir := range dirs {
		i := slices.IndexFunc(t.Dirs, func(z Znode) bool { return z.Name == dir })
		if i < 0 {
			i, t.Dirs = len(t.Dirs), append(t.Dirs, Znode{Name: dir})
		}
		err := t.look(s, dir, needDir, &t.Dirs[i])
		if errors.Is(err, zk.ErrNoNode) {
			t.Dirs = slices.Delete(t.Dirs, i, i+1)
		} else if err != nil {
			return nil, err
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
		{task.DrainDir, needNode, len(t.Drains), func(i int) *Znode { return &t.Drains[i].Znode }},
		{task.MembersDir, needData, len(t.Members), func(i int) *Znode { return &t.Members[i].Znode }},
		{task.TasksDir, needNode, len(t.Tasks), func(i int) *Znode { return &t.Tasks[i].Znode }},
		{task.DataDir, needData, len(t.Data), func(i int) *Znode { return &t.Data[i] }},
	} {
		err := each(ctx, part.n, func(i int) error {
			z := part.at(i)
			path := part.dir + "/" + z.Name
			err := t.look(s, path, part.need, z)
			if err == nil {
				err = lookBelow(ctx, s, path, z)
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
	t.Strangers = slices.DeleteFunc(t.Strangers, func(z Znode) bool { return z.gone })
	t.Tasks = slices.DeleteFunc(t.Tasks, func(x Task) bool { return x.gone })
	t.Drains = slices.DeleteFunc(t.Drains, func(d Drain) bool { return d.gone })
	t.Members = slices.DeleteFunc(t.Members, func(m Member) bool { return m.gone })
	return t, nil
}

// look reads a znode's ACL and Stat, not its data. It returns an error of the session, or
// zk.ErrNoNode; any other error goes into z.Err.
func (t *Tree) look(s *session.Session, path string, need int32, z *Znode) error {
	acl, stat, err := s.ACL(path)
	unreadable := cmp.Or(z.Err, err)
	if errors.Is(err, zk.ErrNoAuth) {
		stat, err = s.Stat(path)
	}
	seen, fatal := znode(z.Name, stat, err)
	if fatal != nil {
		return fatal
	}
	if z.Mzxid != 0 { // keep the Stat that belongs to the data read before
		seen.Created, seen.Modified, seen.Mzxid, seen.Owner = z.Created, z.Modified, z.Mzxid, z.Owner
	}
	*z = seen
	policy := t.Access.Policy
	switch {
	case t.Access.secret(path, unreadable): // the policy forbids this read: no fault
		z.Err = nil
	case unreadable != nil || !suits(policy, path, acl, need):
		z.Err, z.Closed, z.acl = unreadable, true, policy.Closed(path, acl)
	}
	return nil
}

// suits reports whether an ACL obeys the policy. Without a policy everyone must have the rights
// in need.
func suits(policy access.Policy, path string, acl []zk.ACL, need int32) bool {
	if policy.IsZero() {
		return allowed(acl)&need == need
	}
	return policy.Obeys(path, acl)
}

// allowed is what everyone may do.
func allowed(acl []zk.ACL) (perms int32) {
	for _, a := range acl {
		if a.Scheme == "world" && a.ID == "anyone" {
			perms |= a.Perms
		}
	}
	return perms
}

// lookBelow reads the children of a znode.
func lookBelow(ctx context.Context, s *session.Session, path string, z *Znode) error {
	if z.children == 0 || z.Err != nil {
		return nil
	}
	names, _, err := s.Children(path)
	if err != nil {
		_, err = znode(z.Name, nil, err) // the session's errors pass, the znode's do not
		return err
	}
	slices.Sort(names)
	z.Below, err = readAll(ctx, names, func(name string) (Znode, error) {
		stat, err := s.Stat(path + "/" + name)
		return znode(name, stat, err)
	})
	return err
}
