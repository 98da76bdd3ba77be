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
	Foreign []string // of the servers' own: closed by somebody else, and left so
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
	good  map[string]bool // paths of znodes that have their ACL
	again bool            // something has changed in this pass
}

func newWalk(t Tree, policy, previous access.Policy) *walk {
	return &walk{tree: t, policy: policy, previous: previous, good: make(map[string]bool)}
}

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
	w.again, w.Foreign, w.Wrong, w.Refused = false, nil, nil, nil
	for _, path := range slices.Concat([]string{"/", access.Znode}, task.Dirs()) {
		if err := w.visit(w.tree.Session, path); err != nil {
			return err
		}
	}
	for _, path := range slices.Concat([]string{serversOwn, quotas}, w.tree.quotaZnodes()) {
		if err := w.visit(w.tree.Servers, path); err != nil {
			return err
		}
	}
	for _, dir := range task.Dirs() {
		if err := w.below(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) below(ctx context.Context, dir string) error {
	names, _, err := w.tree.Session.Children(dir)
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return nil
	case session.Refused(err):
		w.refused(dir+"/*", err)
		return nil
	case err != nil:
		return err
	}
	g, all := errgroup.WithContext(ctx)
	g.SetLimit(pipeline)
	for _, name := range names {
		if all.Err() != nil {
			break
		}
		g.Go(func() error { return w.visit(w.tree.Session, dir+"/"+name) })
	}
	return cmp.Or(g.Wait(), context.Cause(ctx))
}

// visit sees to it that a znode has its ACL. The error is one of the session.
func (w *walk) visit(s *session.Session, path string) error {
	if w.isGood(path) {
		return nil
	}
	acl, stat, err := s.ACL(path)
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return nil
	case session.Refused(err):
		w.refused(path, err)
		return nil
	case err != nil:
		return err
	case w.policy.Obeys(path, acl):
		w.add(path, false)
		return nil
	case w.foreign(path, acl):
		w.list(&w.Foreign, path)
		return nil
	case w.look:
		w.list(&w.Wrong, path)
		return nil
	}
	err = s.SetACL(path, w.policy.Closed(path, acl), stat.Aversion)
	switch {
	case err == nil:
		w.add(path, true)
	case errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrBadVersion), errors.Is(err, session.ErrUnknown):
		w.mu.Lock()
		w.again = true
		w.mu.Unlock()
	case session.Refused(err):
		w.refused(path, err)
	default:
		return err
	}
	return nil
}

// foreign tells whether somebody else has closed a znode that is common to all installations.
func (w *walk) foreign(path string, acl []zk.ACL) bool {
	if path != serversOwn && !strings.HasPrefix(path, serversOwn+"/") || w.previous.Obeys(path, acl) {
		return false
	}
	return !slices.ContainsFunc(acl, func(a zk.ACL) bool { return a.Scheme == "world" && a.Perms&^zk.PermRead != 0 })
}

func (w *walk) isGood(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.good[path]
}

func (w *walk) add(path string, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.good[path] = true
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
