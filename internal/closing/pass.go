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

// Tree is an installation and its servers.
type Tree struct {
	Session *session.Session // in the chroot
	Servers *session.Session // without a chroot; the same as Session if there is no chroot
	Chroot  string
}

// Report counts and lists znodes. Paths are without the chroot, except the servers' own znodes.
type Report struct {
	Znodes  int      // with the right ACL, before or after a change
	Changed int      // of Znodes
	Foreign []string // common to all installations: somebody else has closed them, left as they are
	Shared  []string // others have znodes there: left as they are
	Wrong   []string // with another ACL; only from Look
	Refused []string // whose ACL may not be read or set
	Why     error    // of one of Refused
}

// walk is the state that its passes share.
type walk struct {
	tree     Tree
	policy   access.Policy
	previous access.Policy
	look     bool // only look: write nothing

	mu sync.Mutex // guards the rest
	Report
	good  map[znode]bool // znodes that have their ACL
	again bool           // something has changed in this pass
}

// znode is the place of a znode.
type znode struct {
	by   *session.Session // path is below its chroot
	path string
}

func newWalk(t Tree, policy, previous access.Policy) *walk {
	return &walk{tree: t, policy: policy, previous: previous, good: make(map[znode]bool)}
}

// chroot is the path of the chroot for a session in it.
const chroot = "/"

// mostPasses is how many passes may change something. A program that reads the policy late
// creates znodes for one or two more passes.
const mostPasses = 20

// passes makes passes until one changes nothing.
func (w *walk) passes(ctx context.Context) error {
	for range mostPasses {
		if err := w.pass(ctx); err != nil || !w.again {
			return err
		}
	}
	return errors.New("other programs keep creating znodes with other ACLs: does their version know no policies? (client status)")
}

// pass visits all znodes once, except those already known to be good. The permanent znodes come
// first: they keep out everyone without a role.
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

// servers visits the servers' own znodes. Open does not open them if others use the servers:
// then anybody could set the quotas of other installations.
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

// alone reports whether nobody else has znodes on the servers. It is false if / may not be listed.
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

// byHand visits the znodes that a person has made in the chroot. Without a chroot it does nothing:
// others may use the servers' root. An installation below this one has a policy of its own.
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

// unlisted handles the error of a listing.
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

// above visits the znodes above the chroot, unless others have znodes there. They get the ACL of
// the chroot, because no quota bounds what is created there.
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
		g.Go(func() error { return w.whole(ctx, dir+"/"+name) }) // znodes made by hand may have children
	}
	return cmp.Or(g.Wait(), context.Cause(ctx))
}

// visit gives a znode the ACL that the policy has for the path as. It returns the znode's Stat;
// nil if the znode was good already or does not exist. The error is one of the session.
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

// common reports whether other installations have the znode as well.
func (w *walk) common(z znode) bool {
	return z.by != w.tree.Session || z.path == serversOwn || strings.HasPrefix(z.path, serversOwn+"/")
}

// foreign reports whether somebody else has closed a znode that is common to all installations.
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
