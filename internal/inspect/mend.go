package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// change is one step that mends a finding.
type change struct {
	kind   changeKind
	path   string // without the chroot
	data   string // for changeSet
	absent string // a znode that must not exist; "" = none
	seen   Znode  // the znode as it was found
}

type changeKind string

const (
	changeRemove changeKind = "delete" // with all below it
	changeSet    changeKind = "set"
	changeACL    changeKind = "setAcl" // as the policy says
)

func removing(path string, z *Znode) change { return change{kind: changeRemove, path: path, seen: *z} }
func opening(path string, z *Znode) change {
	c := change{kind: changeACL, path: path, seen: *z}
	if c.seen.acl == nil {
		c.seen.acl = zk.WorldACL(zk.PermAll)
	}
	return c
}
func setting(path string, z *Znode, data string) change {
	return change{kind: changeSet, path: path, data: data, seen: *z}
}

// unless makes the change depend on another znode's absence.
func (c change) unless(path string) change { c.absent = path; return c }

// maxPlain is the longest name that stands in a command, in bytes.
const maxPlain = 128

// plain reports whether every shell reads a word as one word and nothing more. A dash at its
// beginning is not checked.
func plain(word string) bool {
	return len(word) <= maxPlain && !strings.ContainsFunc(word, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._@%+=:,-", r))
	})
}

func plainPath(path string) bool {
	return !slices.ContainsFunc(strings.Split(path, "/"), func(name string) bool { return !plain(name) })
}

// command is the change as a command of ZooKeeper's shell; safe if a person may paste it there
// and in any other shell.
func (c change) command(root string) (command string, safe bool) {
	path := at(root, c.path)
	switch {
	case !plainPath(path) || !plain(c.data) || strings.HasPrefix(c.data, "-"):
		return "", false
	case c.kind == changeSet:
		return fmt.Sprintf("set %s %s", path, cmp.Or(c.data, `""`)), true
	case c.kind == changeACL:
		acl, safe := inWords(c.seen.acl)
		return fmt.Sprintf("setAcl %s %s", path, acl), safe
	case c.seen.children > 0:
		return "deleteall " + path, true
	}
	return "delete " + path, true
}

// inWords is an ACL as ZooKeeper's shell reads it; safe as in command.
func inWords(acl []zk.ACL) (words string, safe bool) {
	all := access.Words(acl)
	if !slices.ContainsFunc(all, func(entry string) bool { return !plain(entry) }) {
		return strings.Join(all, ","), true
	}
	return "", false
}

// describe says in words what the change does.
func (c change) describe(root string) string {
	path := shownPath(at(root, c.path))
	switch c.kind {
	case changeSet:
		return fmt.Sprintf("set %s to %s", path, name(c.data))
	case changeACL:
		if allowed(c.seen.acl) != zk.PermAll {
			return "give " + path + " the ACL that follows from the policy"
		}
		return "let everyone do anything with " + path
	}
	if c.seen.children > 0 {
		return "delete " + path + " and all below it"
	}
	return "delete " + path
}

// errChanged means that a finding was not mended, because its znode is no longer as it was
// found.
var errChanged = errors.New("it has changed meanwhile")

// Proposal says what Mend would do.
func (f Finding) Proposal() string {
	var all []string
	for _, c := range f.changes {
		all = append(all, c.describe(f.root))
	}
	return strings.Join(all, "; ")
}

// Mend mends the finding. It fails if a znode that it would change has changed since it was
// found, or if a znode that was missing exists now. A deleted znode is deleted with all that is
// below it at that time.
func (f Finding) Mend(ctx context.Context, s *session.Session) error {
	for _, c := range f.changes {
		if err := c.carryOut(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (c change) carryOut(ctx context.Context, s *session.Session) error {
	stat, err := s.Stat(c.path)
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return errChanged
	case err != nil:
		return err
	case stat.Ctime != c.seen.Created.UnixMilli(),
		c.kind == changeACL && stat.Aversion != c.seen.Aversion,
		c.kind != changeACL && stat.Mzxid != c.seen.Mzxid,
		c.kind == changeRemove && stat.Pzxid != c.seen.Pzxid:
		return errChanged
	}
	switch c.kind {
	case changeACL:
		err = s.SetACL(c.path, c.seen.acl, stat.Aversion)
	case changeSet:
		_, err = s.Multi(session.Set(c.path, []byte(c.data), stat.Version))
	case changeRemove:
		err = c.removeAll(ctx, s, stat)
	}
	if errors.Is(err, zk.ErrBadVersion) || errors.Is(err, zk.ErrNoNode) || errors.Is(err, zk.ErrNotEmpty) || errors.Is(err, zk.ErrNodeExists) {
		return fmt.Errorf("%w: %w", errChanged, err)
	}
	return err
}

// removeAll deletes a znode and all below it, the leaves first, each at its present version.
// Deletions that fit in a packet go in one Multi.
func (c change) removeAll(ctx context.Context, s *session.Session, stat *zk.Stat) error {
	ops, err := leavesFirst(ctx, s, nil, c.path, stat)
	if err != nil {
		return err
	}
	var guard []session.Op // ZooKeeper can check that a znode exists, but not that it does not
	if c.absent != "" {
		if err := s.EnsureDirs(task.Dirs()...); err != nil {
			return err
		}
		guard = []session.Op{session.Create(c.absent, nil), session.Delete(c.absent, session.AnyVersion)}
	}
	for len(ops) > 0 && ctx.Err() == nil {
		n, size := 0, 0
		for n < len(ops) && (n == 0 || size+ops[n].Size() < session.MaxPacket/2) {
			size += ops[n].Size()
			n++
		}
		if _, err := s.Multi(append(guard[:len(guard):len(guard)], ops[:n]...)...); err != nil {
			return err
		}
		ops = ops[n:]
	}
	return ctx.Err()
}

// leavesFirst appends the deletions of all below a znode, and then its own. If the ACL does not
// let the children be listed or deleted, it is corrected before.
func leavesFirst(ctx context.Context, s *session.Session, ops []session.Op, path string, stat *zk.Stat) ([]session.Op, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if stat.NumChildren > 0 {
		const need = zk.PermRead | zk.PermDelete
		policy, err := s.Policy()
		if err != nil {
			return nil, err
		}
		acl, now, err := s.ACL(path)
		if err == nil && !suits(policy, path, acl, need) {
			err = s.SetACL(path, policy.Closed(path, acl), now.Aversion)
		}
		if err != nil {
			return nil, err
		}
		names, _, err := s.Children(path)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			child := path + "/" + name
			stat, err := s.Stat(child)
			if err != nil {
				return nil, err
			}
			if ops, err = leavesFirst(ctx, s, ops, child, stat); err != nil {
				return nil, err
			}
		}
	}
	return append(ops, session.Delete(path, stat.Version)), nil
}
