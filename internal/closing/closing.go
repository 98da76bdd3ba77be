package closing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/uuid"

	"taskkeeper/internal/access"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Order is the policy, and perhaps a quota, that Close sets.
type Order struct {
	Text  []byte // of the policy, as it is written
	Quota *Quota // nil: quotas stay as they are
}

// ErrLockedOut means that the caller would no longer be an admin.
var ErrLockedOut = errors.New("you would lock yourself out")

// Close gives the installation a policy. It may be called again, with the same policy or another
// one. After an error a part of the znodes may have the new ACLs.
func Close(ctx context.Context, t Tree, o Order) (Report, error) {
	policy, err := access.Parse(o.Text)
	if err != nil {
		return Report{}, err
	}
	if err := t.mayChange(); err != nil {
		return Report{}, err
	}
	if err := t.try(policy); err != nil {
		return Report{}, err
	}
	unlock, err := t.lock(ctx, policy.For(lockZnode))
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	previous, err := t.write(o.Text, policy)
	if err != nil {
		return Report{}, err
	}
	for _, dir := range task.Dirs() {
		if err := create(t.Session, dir, nil, policy); err != nil {
			return Report{}, err
		}
	}
	if o.Quota != nil {
		if err := t.setQuota(*o.Quota, policy); err != nil {
			return Report{}, err
		}
	}
	w := newWalk(t, policy, previous)
	err = w.passes(ctx)
	if err == nil {
		err = t.unchanged(o.Text)
	}
	return w.Report, orRefused(w.Report, err)
}

// ErrNotAdmin means that the caller may not change the present policy.
var ErrNotAdmin = errors.New("only an admin may change the policy")

// mayChange fails if the servers do not let the caller change the policy, so that nothing is
// half done. To find out it sets the present ACL of /access again.
func (t Tree) mayChange() error {
	acl, is, err := t.Session.ACL(access.Znode)
	if err == nil {
		err = t.Session.SetACL(access.Znode, acl, is.Aversion)
	}
	switch {
	case errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrBadVersion), errors.Is(err, session.ErrUnknown):
		return nil
	case !session.Refused(err):
		return err
	}
	policy, unknown := t.Session.Policy()
	switch {
	case errors.Is(unknown, session.ErrOver):
		return unknown
	case unknown != nil:
		return fmt.Errorf("%w: %w", ErrNotAdmin, err)
	case slices.Contains(t.Session.Roles(), access.Admin): // the ACL is not the policy's
		return err
	}
	return fmt.Errorf("%w: %s", ErrNotAdmin, t.Session.Standing(policy))
}

// lockZnode exists while somebody closes or opens the installation.
const lockZnode = "/access-lock"

// lockWait is how long another caller may hold the lock. The lock of a killed caller stays for
// its session timeout.
const lockWait = time.Minute

// lock keeps others from closing and opening at the same time: each would undo the work of the
// other. Call unlock to end the lock.
func (t Tree) lock(ctx context.Context, acl []zk.ACL) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, errBusy)
	defer cancel()
	for {
		_, err := t.Session.Multi(session.CreateEphemeral(lockZnode, nil).With(acl))
		if errors.Is(err, zk.ErrNodeExists) {
			var stat *zk.Stat
			stat, err = t.Session.Stat(lockZnode)
			switch {
			case err == nil && stat.EphemeralOwner == 0:
				return nil, fmt.Errorf("%s exists and is not ephemeral: somebody made it by hand; delete it", lockZnode)
			case err == nil && stat.EphemeralOwner != t.Session.ID():
				err = zk.ErrNodeExists
			}
		}
		switch {
		case err == nil:
			// If it may no longer be deleted it vanishes with the session.
			return func() { _, _ = t.Session.Multi(session.Delete(lockZnode, session.AnyVersion)) }, nil
		case errors.Is(err, session.ErrUnknown), errors.Is(err, zk.ErrNoNode):
			continue
		case !errors.Is(err, zk.ErrNodeExists):
			return nil, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

var errBusy = fmt.Errorf("somebody else is changing who may do what: %s exists; try again", lockZnode)

// orRefused returns err, or an error if znodes could not be changed.
func orRefused(r Report, err error) error {
	if err == nil && len(r.Refused) > 0 {
		err = fmt.Errorf("%d znodes are left as they were, such as %s: %w", len(r.Refused), r.Refused[0], r.Why)
	}
	return err
}

// Open takes the policy and the quotas away: everyone may do anything again. After an error a
// part of the znodes may be open.
func Open(ctx context.Context, t Tree) (Report, error) {
	if err := t.mayChange(); err != nil {
		return Report{}, err
	}
	unlock, err := t.lock(ctx, zk.WorldACL(zk.PermAll))
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	text, stat, err := t.Session.Get(access.Znode)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		return Report{}, err
	}
	closed := err == nil
	previous, _ := access.Parse(text) // an unreadable policy counts as none
	if closed && stat.NumChildren > 0 {
		return Report{}, fmt.Errorf("%s has children, so that it cannot be deleted: delete those (client doctor)", access.Znode)
	}
	keptQuota := t.removeQuota()
	if keptQuota != nil && !session.Refused(keptQuota) {
		return Report{}, keptQuota
	}
	w := newWalk(t, access.Policy{}, previous)
	if closed {
		// The policy is deleted after a pass: if the caller is killed before, the policy stays.
		if err := w.pass(ctx); err != nil {
			return w.Report, err
		}
		_, err := t.Session.Multi(session.Delete(access.Znode, stat.Version))
		switch {
		case errors.Is(err, zk.ErrBadVersion):
			return w.Report, errChanged
		case errors.Is(err, session.ErrUnknown), errors.Is(err, zk.ErrNoNode): // if it still exists the next call deletes it
		case err != nil:
			return w.Report, err
		}
	}
	err = w.passes(ctx) // znodes that were created under the policy meanwhile
	if keptQuota != nil {
		w.list(&w.Foreign, quotas+t.Chroot)
	}
	return w.Report, orRefused(w.Report, err)
}

// Look reports which znodes have the ACLs of a policy, and changes none.
func Look(ctx context.Context, t Tree, policy access.Policy) (Report, error) {
	w := newWalk(t, policy, policy)
	w.look = true
	err := w.pass(ctx)
	return w.Report, err
}

// errChanged means that somebody else changed the policy at the same time.
var errChanged = fmt.Errorf("somebody else has changed %s meanwhile: look at it, and try again", access.Znode)

// write writes the policy to /access, where all sessions read it, and returns the previous one.
func (t Tree) write(text []byte, policy access.Policy) (previous access.Policy, err error) {
	for {
		was, stat, err := t.Session.Get(access.Znode)
		var op session.Op
		switch {
		case errors.Is(err, zk.ErrNoNode):
			op = session.Create(access.Znode, text).With(policy.For(access.Znode))
		case err != nil:
			return previous, err
		default:
			previous, _ = access.Parse(was)
			if bytes.Equal(was, text) {
				return previous, nil
			}
			op = session.Set(access.Znode, text, stat.Version)
		}
		_, err = t.Session.Multi(op)
		switch {
		case err == nil:
			return previous, nil
		case errors.Is(err, session.ErrUnknown):
			if err := t.Session.Sync(); err != nil {
				return previous, err
			}
		case errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNodeExists):
			return previous, errChanged
		default:
			return previous, err
		}
	}
}

// unchanged fails if the policy is no longer as it was written: until the chroot was closed
// anyone could delete it.
func (t Tree) unchanged(text []byte) error {
	is, _, err := t.Session.Get(access.Znode)
	if errors.Is(err, zk.ErrNoNode) || err == nil && !bytes.Equal(is, text) {
		return errChanged
	}
	return err
}

// create creates a missing permanent znode, with the ACL of the policy.
func create(s *session.Session, path string, data []byte, policy access.Policy) error {
	for {
		if _, err := s.Stat(path); !errors.Is(err, zk.ErrNoNode) {
			return err
		}
		_, err := s.Multi(session.Create(path, data).With(policy.For(path)))
		if !errors.Is(err, session.ErrUnknown) && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
	}
}

// try fails if the servers do not accept the ids of a policy, or if the caller would be no admin
// under it. It creates ephemeral znodes with these ids, and reads one that only admins may read.
func (t Tree) try(policy access.Policy) error {
	attempt := func(acl []zk.ACL) (path string, err error) {
		path = "/access-" + uuid.NewString()
		_, err = t.Session.Multi(session.CreateEphemeral(path, nil).With(acl))
		if errors.Is(err, session.ErrUnknown) {
			path = "/access-" + uuid.NewString()
			_, err = t.Session.Multi(session.CreateEphemeral(path, nil).With(acl))
		}
		return path, err
	}
	var admins []zk.ACL
	for _, id := range policy.IDs() {
		acl := access.Entry(id, zk.PermCreate)
		path, err := attempt([]zk.ACL{acl})
		switch {
		case errors.Is(err, zk.ErrInvalidACL):
			hint := ""
			if acl.Scheme == "x509" {
				hint = ": they know certificates only if zoo.cfg has a secureClientPort"
			}
			return fmt.Errorf("the servers do not accept the id %s%s", id, hint)
		case err != nil:
			return err
		}
		if _, err := t.Session.Multi(session.Delete(path, session.AnyVersion)); err != nil {
			return err
		}
	}
	for _, a := range policy.For(access.Znode) {
		if a.Perms == zk.PermAll {
			admins = append(admins, a)
		}
	}
	path, err := attempt(admins)
	if err != nil {
		return err
	}
	_, _, err = t.Session.Get(path)
	if _, err := t.Session.Multi(session.Delete(path, session.AnyVersion)); err != nil {
		return err
	}
	switch {
	case session.Refused(err):
		return fmt.Errorf("%w: %s, and only an admin can change the policy; to hand it over, name both as admins, and have the other one close it with itself alone", ErrLockedOut, t.Session.Standing(policy))
	}
	return err
}
