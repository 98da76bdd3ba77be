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

// change is one thing to do to a znode, so that a finding is none any more.
type change struct {
	kind   changeKind
	path   string // without the chroot
	data   string // for changeSet
	absent string // a znode that must not be there; "" = none
	seen   Znode  // what the finding is about
}

type changeKind string

const (
	changeRemove changeKind = "delete" // with all that hangs below it
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

// plain tells whether a word is one word, and nothing more, to every shell; but for a
// dash at its beginning.
func plain(word string) bool {
	return len(word) <= maxPlain && !strings.ContainsFunc(word, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._@%+=:,-", r))
	})
}

func plainPath(path string) bool {
	return !slices.ContainsFunc(strings.Split(path, "/"), func(name string) bool { return !plain(name) })
}

// command is the change in the words of ZooKeeper's shell, if that is safe to paste,
// there and in any other shell.
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

// inWords is an ACL as ZooKeeper's shell reads it, if that is safe to paste.
func inWords(acl []zk.ACL) (words string, safe bool) {
	all := access.Words(acl)
	if !slices.ContainsFunc(all, func(entry string) bool { return !plain(entry) }) {
		return strings.Join(all, ","), true
	}
	return "", false
}

// describe is the change in words.
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

// errChanged means that a mend was not carried out, because it was meant for
// something else.
var errChanged = errors.New("it has changed meanwhile")

// Proposal says what Mend would do.
func (f Finding) Proposal() string {
	var all []string
	for _, c := range f.changes {
		all = append(all, c.describe(f.root))
	}
	return strings.Join(all, "; ")
}

// Mend does what mends the finding, unless a znode that it changes, or whose absence
// it is about, is no longer as it was found. What it deletes goes with all that hangs
// below it then.
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

// removeAll deletes a znode and what hangs below it, the leaves first, each at the
// version that it has now. All that fits in a packet goes together.
func (c change) removeAll(ctx context.Context, s *session.Session, stat *zk.Stat) error {
	ops, err := leavesFirst(ctx, s, nil, c.path, stat)
	if err != nil {
		return err
	}
	var guard []session.Op // ZooKeeper can check that a znode is there, not that it is not
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

// leavesFirst appends the deletion of a znode to that of all below it. A znode that may
// not be listed, or whose children may not be deleted, is opened before.
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
