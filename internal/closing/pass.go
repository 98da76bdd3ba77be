package closing

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/access"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// pipeline is how many calls are under way at once.
const pipeline = 64

// Tree is an installation, and the servers that it is on.
type Tree struct {
	Session *session.Session // in the chroot
	Servers *session.Session // without one; the same where there is none
	Chroot  string
}

// Report is what was found. Paths are without the chroot, but for the servers' own znodes.
type Report struct {
	Znodes  int      // with the ACL that they should have, also by a change
	Changed int      // of these
	Foreign []string // common to all installations: closed by somebody else, and left so
	Shared  []string // others have znodes there: left as they are
	Wrong   []string // with another ACL; only of Look
	Refused []string // whose ACL may not be read or set
	Why     error    // of one of these
}

// walk is what several passes have in common.
type walk struct {
	tree     Tree
	policy   access.Policy
	previous access.Policy
	look     bool // changes nothing

	mu sync.Mutex // guards the rest
	Report
	good  map[znode]bool // they have their ACL
	again bool           // something has changed in this pass
}

// znode is where one is.
type znode struct {
	by   *session.Session // below whose chroot
	path string
}

func newWalk(t Tree, policy, previous access.Policy) *walk {
	return &walk{tree: t, policy: policy, previous: previous, good: make(map[znode]bool)}
}

// chroot is its path, for who is in it.
const chroot = "/"

// mostPasses is how many passes may find something. A program that has heard of a policy late
// makes znodes for the next pass or two.
const mostPasses = 20

// passes goes on until a pass finds nothing.
func (w *walk) passes(ctx context.Context) error {
	for range mostPasses {
		if err := w.pass(ctx); err != nil || !w.again {
			return err
		}
	}
	return errors.New("other programs make znodes with other ACLs all the time: are they of a version that knows no policies? (client status)")
}

// pass looks at all znodes once, but for those that were found to be good. The permanent ones
// come first: they keep out who has no role.
func (w *walk) pass(ctx context.Context) error {
	w.again, w.Foreign, w.Shared, w.Wrong, w.Refused = false, nil, nil, nil, nil
	for _, path := range slices.Concat([]string{chroot, access.Znode}, task.Dirs()) {
		if _, err := w.visit(znode{w.tree.Session, path}, path); err != nil {
			return err
		}
	}
	if err := w.servers(); err != nil {
		return err
	}
	if err := w.above(); err != nil {
		return err
	}
	for _, dir := range ours() {
		if err := w.below(ctx, dir); err != nil {
			return err
		}
	}
	return w.byHand(ctx)
}

// ours are the permanent znodes of an installation.
func ours() []string { return append(task.Dirs(), access.Znode) }

// servers goes through the servers' own znodes. Opened they would be for all installations there,
// whose quotas anybody could set then.
func (w *walk) servers() error {
	if w.policy.IsZero() && !w.look {
		alone, err := w.tree.alone()
		if err != nil {
			return err
		}
		if !alone {
			w.list(&w.Shared, serversOwn)
			return nil
		}
	}
	for _, path := range slices.Concat([]string{serversOwn, quotas}, w.tree.quotaZnodes()) {
		if _, err := w.visit(znode{w.tree.Servers, path}, path); err != nil {
			return err
		}
	}
	return nil
}

// alone tells whether nobody else has znodes on the servers, as far as that may be seen.
func (t Tree) alone() (bool, error) {
	names, _, err := t.Servers.Children("/")
	if session.Refused(err) {
		return false, nil
	}
	expected := append(ours(), lockZnode)
	if t.Chroot != "" {
		first, _, _ := strings.Cut(t.Chroot[1:], "/")
		expected = []string{"/" + first}
	}
	return !slices.ContainsFunc(names, func(name string) bool {
		return "/"+name != serversOwn && !slices.Contains(expected, "/"+name)
	}), err
}

// byHand goes through what a person has made in the chroot. Without one the servers' root may be
// common to all. An installation below this one has a policy of its own.
func (w *walk) byHand(ctx context.Context) error {
	if w.tree.Chroot == "" {
		return nil
	}
	names, _, err := w.tree.Session.Children(chroot)
	if err != nil {
		return w.unlisted(chroot, err)
	}
	for _, name := range names {
		path := "/" + name
		if path == lockZnode || slices.Contains(ours(), path) {
			continue
		}
		below, _, err := w.tree.Session.Children(path)
		if err == nil && slices.Contains(below, task.TasksDir[1:]) {
			w.list(&w.Shared, path)
			continue
		}
		if err := w.whole(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// whole visits a znode and all below it.
func (w *walk) whole(ctx context.Context, path string) error {
	stat, err := w.visit(znode{w.tree.Session, path}, path)
	if err != nil || stat == nil || stat.NumChildren == 0 {
		return err
	}
	return w.below(ctx, path)
}

// unlisted takes an error of a listing.
func (w *walk) unlisted(path string, err error) error {
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return nil
	case session.Refused(err):
		w.refused(strings.TrimSuffix(path, "/")+"/*", err)
		return nil
	}
	return err
}

// above goes through what is above the chroot, where nobody else has znodes: no quota bounds
// what is created there. It has the ACL of the chroot.
func (w *walk) above() error {
	names := strings.Split(w.tree.Chroot, "/")[1:]
	path := "/"
	for i, name := range names {
		if i > 0 {
			path = "/" + strings.Join(names[:i], "/")
		}
		children, _, err := w.tree.Servers.Children(path)
		switch {
		case session.Refused(err) && w.look:
			w.refused(path, err)
			continue
		case session.Refused(err):
			w.list(&w.Foreign, path)
			continue
		case errors.Is(err, zk.ErrNoNode):
			return nil
		case err != nil:
			return err
		}
		children = slices.DeleteFunc(children, func(c string) bool { return c == name || path+c == serversOwn })
		if len(children) > 0 {
			w.list(&w.Shared, path)
			continue
		}
		if _, err := w.visit(znode{w.tree.Servers, path}, chroot); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) below(ctx context.Context, dir string) error {
	names, _, err := w.tree.Session.Children(dir)
	if err != nil {
		return w.unlisted(dir, err)
	}
	g, all := errgroup.WithContext(ctx)
	g.SetLimit(pipeline)
	for _, name := range names {
		if all.Err() != nil {
			break
		}
		g.Go(func() error { return w.whole(ctx, dir+"/"+name) }) // by hand there may be more below
	}
	return cmp.Or(g.Wait(), context.Cause(ctx))
}

// visit sees to it that a znode has the ACL that the policy has for a path. It returns its Stat,
// but for one that was found to be good before, or is not there. The error is one of the session.
func (w *walk) visit(z znode, as string) (*zk.Stat, error) {
	if w.isGood(z) {
		return nil, nil
	}
	acl, stat, err := z.by.ACL(z.path)
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return nil, nil
	case session.Refused(err) && w.common(z) && !w.look:
		w.list(&w.Foreign, z.path)
		return nil, nil
	case session.Refused(err):
		w.refused(z.path, err)
		return nil, nil
	case err != nil:
		return nil, err
	case w.policy.Obeys(as, acl):
		w.add(z, false)
		return stat, nil
	case w.foreign(z, as, acl):
		w.list(&w.Foreign, z.path)
		return stat, nil
	case w.look:
		w.list(&w.Wrong, z.path)
		return stat, nil
	}
	err = z.by.SetACL(z.path, w.policy.Closed(as, acl), stat.Aversion)
	switch {
	case err == nil:
		w.add(z, true)
	case errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrBadVersion), errors.Is(err, session.ErrUnknown):
		w.mu.Lock()
		w.again = true
		w.mu.Unlock()
	case session.Refused(err):
		w.refused(z.path, err)
	default:
		return nil, err
	}
	return stat, nil
}

// common tells whether a znode is not of this installation alone.
func (w *walk) common(z znode) bool {
	return z.by != w.tree.Session || z.path == serversOwn || strings.HasPrefix(z.path, serversOwn+"/")
}

// foreign tells whether somebody else has closed a znode that is common to all installations.
func (w *walk) foreign(z znode, as string, acl []zk.ACL) bool {
	if !w.common(z) || w.previous.Obeys(as, acl) {
		return false
	}
	return !slices.ContainsFunc(acl, func(a zk.ACL) bool { return a.Scheme == "world" && a.Perms&^zk.PermRead != 0 })
}

func (w *walk) isGood(z znode) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.good[z]
}

func (w *walk) add(z znode, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.good[z] = true
	w.Znodes++
	if changed {
		w.Changed++
		w.again = true
	}
}

func (w *walk) list(to *[]string, path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*to = append(*to, path)
}

func (w *walk) refused(path string, err error) {
	w.list(&w.Refused, path)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Why = err
}
