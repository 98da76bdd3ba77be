package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/printable"
)

// policy is what a session knows of /access. It may have changed at the session's start,
// when the watch fires, and after a reconnect: then the next create reads it again.
type policy struct {
	changes atomic.Int64 // how often it may have changed
	watched atomic.Bool  // a one-shot watch is set
	rules   atomic.Pointer[rules]
	reading sync.Mutex // one goroutine reads at a time
}

// rules is the policy as read.
type rules struct {
	access.Policy
	err  error // the policy cannot be read: nothing is created
	seen int64 // the value of changes before the read
}

// known is the policy as read last.
func (p *policy) known() rules {
	if r := p.rules.Load(); r != nil {
		return *r
	}
	return rules{}
}

// Policy returns the current policy. It fails with ErrOver, or because the policy cannot be
// read: then this session creates no znode.
func (s *Session) Policy() (access.Policy, error) {
	r, err := s.currentRules()
	if err != nil {
		return access.Policy{}, err
	}
	return r.Policy, r.err
}

// currentRules reads the policy if it may have changed. It fails when the session is over.
func (s *Session) currentRules() (rules, error) {
	p := &s.policy
	if r := p.rules.Load(); r != nil && r.seen == p.changes.Load() {
		return *r, nil
	}
	p.reading.Lock()
	defer p.reading.Unlock()
	was := p.rules.Load()
	if was != nil && was.seen == p.changes.Load() {
		return *was, nil
	}
	r := rules{seen: p.changes.Load()}
	data, err := s.readPolicy()
	switch {
	case errors.Is(err, ErrOver):
		return rules{}, err
	case errors.Is(err, zk.ErrNoNode):
	case err != nil:
		r.err = errNoPolicy{err}
	default:
		if r.Policy, err = access.Parse(data); err != nil {
			r.err = errNoPolicy{fmt.Errorf("%s: %w", access.Znode, err)}
		}
	}
	p.rules.Store(&r)
	s.logPolicy(was, r)
	return r, nil
}

// readPolicy reads /access, and makes sure that a watch is set. It fails with zk.ErrNoNode
// if /access is missing.
func (s *Session) readPolicy() ([]byte, error) {
	if !s.oneShot.Load() {
		data, _, _, err := s.GetPersistentW(access.Znode)
		return data, err
	}
	for {
		there := false
		err := s.read("exists", func() (err error) {
			if s.policy.watched.Swap(true) { // before the watch can fire
				there, _, err = s.conn.Exists(s.full(access.Znode))
			} else if there, _, _, err = s.conn.ExistsW(s.full(access.Znode)); err != nil {
				s.policy.watched.Store(false)
			}
			return err
		})
		if err == nil && !there {
			err = zk.ErrNoNode
		}
		if err != nil {
			return nil, s.wrap("find", access.Znode, zk.PermRead, err)
		}
		data, _, err := s.Get(access.Znode)
		if !errors.Is(err, zk.ErrNoNode) {
			return data, err
		}
	}
}

// logPolicy logs what a change of the policy means for the program.
func (s *Session) logPolicy(was *rules, is rules) {
	first := was == nil
	if first {
		was = &rules{}
	}
	same := was.String() == is.String() && fmt.Sprint(was.err) == fmt.Sprint(is.err)
	if was.err != nil && is.err == nil && !s.cfg.NoCreate {
		s.log.Warn("the policy can be read again")
	}
	switch {
	case is.err != nil:
		if same || s.cfg.NoCreate { // a call that fails because of it has the error
			return
		}
		s.log.Error("the policy cannot be read: this program creates no znode until it can be read", "err", is.err)
	case is.err == nil && is.IsZero() && !s.cfg.Address.loopback() && (first && !s.cfg.again || !same):
		s.log.Warn("open: anyone who reaches the servers may do anything; see client access")
	case !is.IsZero() && !same:
		s.warnRole(is.Policy)
	}
	if is.err == nil && was.err == nil && !first && s.lacksRole(is.Policy) && !s.lacksRole(was.Policy) {
		s.over(errRoleTaken)
	}
}

// errRoleTaken ends a session: a leader that lost the right to write must not keep others
// from leading.
var errRoleTaken = errors.New("the policy takes its role from this program")

// warnRole warns if the policy does not give the program its role.
func (s *Session) warnRole(p access.Policy) {
	if !s.lacksRole(p) {
		return
	}
	s.log.Warn("the policy does not give this program its role: ZooKeeper refuses its requests", "role", string(s.cfg.Role), "policy", s.Standing(p))
}

// LacksRole reports whether the program needs a role that the policy does not give it.
func (s *Session) LacksRole() bool { return s.lacksRole(s.policy.known().Policy) }

// lacksRole is LacksRole for a given policy.
func (s *Session) lacksRole(p access.Policy) bool {
	return s.cfg.Role != "" && !p.IsZero() && s.knowsRoles(p) && !slices.Contains(p.Roles(s.id()), s.cfg.Role)
}

// id is the session's id in the policy: the subject of its certificate; "" without one.
func (s *Session) id() string {
	if s.who == "" {
		return ""
	}
	return "x509:" + s.who
}

// knowsRoles reports whether this process can know its roles. It cannot if the policy uses
// ids that only the servers know: an IP address as they see it, digest, sasl.
func (s *Session) knowsRoles(p access.Policy) bool {
	return !slices.ContainsFunc([]string{"ip", "digest", "sasl"}, p.Uses)
}

// Standing returns a sentence: who this session is, and which roles a policy gives it.
func (s *Session) Standing(p access.Policy) string {
	who := "a session without a certificate (--tls-cert)"
	if s.who != "" {
		who = printable.Line(s.who)
	}
	var roles []string
	for _, r := range p.Roles(s.id()) {
		article := "a "
		if r == access.Admin {
			article = "an "
		}
		roles = append(roles, article+string(r))
	}
	switch {
	case p.IsZero():
		return who + " may do anything, as everyone may"
	case len(roles) > 0:
		return who + " is " + strings.Join(roles, " and ") + " by " + access.Znode
	case !s.knowsRoles(p):
		return who + " has the roles that the servers find by " + access.Znode
	}
	return who + " has no role by " + access.Znode
}

// Withholds reports whether the policy withholds rights from this session, on a znode that
// someone else created. Then a refusal is no fault of a single znode's ACL.
func (s *Session) Withholds(path string, perms int32) bool {
	if path != access.Znode { // currentRules itself may be reading that one
		_, _ = s.currentRules()
	}
	p := s.policy.known().Policy
	return p.Withholds(p.Roles(s.id()), path, perms)
}

// Permitted fails if the policy does not permit an action on a znode that someone else
// created. It sends no request: a caller need not wait for a right that will not come.
func (s *Session) Permitted(verb, path string, perms int32) error {
	if !s.Withholds(path, perms) || !s.knowsRoles(s.policy.known().Policy) {
		return nil
	}
	return s.wrap(verb, path, perms, zk.ErrNoAuth)
}

// Roles returns the roles that the policy gives this session, as far as this process can
// know them: see Standing.
func (s *Session) Roles() []access.Role { return s.policy.known().Roles(s.id()) }

// acl is the ACL of a znode that this session creates. path is below the chroot. Without a
// certificate no id distinguishes the creator from other clients.
func (s *Session) acl(r rules, path string) []zk.ACL {
	if s.id() == "" {
		return r.Closed(path, nil)
	}
	return r.For(path)
}

// aclSize is how many bytes an ACL adds to a packet.
func aclSize(acl []zk.ACL) (size int) {
	for _, a := range acl {
		size += 12 + len(a.Scheme) + len(a.ID)
	}
	return size
}

// errNoPolicy is the error of a create while the policy cannot be read. It counts as a
// missing right: code that waits for a right then waits for the policy.
type errNoPolicy struct{ err error }

func (e errNoPolicy) Error() string {
	return e.err.Error() + " (an admin must mend it: client access close POLICY)"
}
func (e errNoPolicy) Unwrap() error { return zk.ErrNoAuth }

// NoPolicy reports whether a create failed because the policy cannot be read. The session
// has logged that already, unless Config.NoCreate is set.
func NoPolicy(err error) bool {
	var e errNoPolicy
	return errors.As(err, &e)
}

// denied returns a refusal that says who this session is, and which roles have the right.
func (s *Session) denied(path string, perms int32) error {
	withheld := s.Withholds(path, perms)
	r := s.policy.known()
	p := r.Policy
	switch {
	case r.err != nil && path != access.Znode:
		return noAuth{"it is not known who has it: " + r.err.Error()}
	case p.IsZero():
		return noAuth{}
	case !withheld:
		return noAuth{fmt.Sprintf("%s, which permits this, but the znode's ACL does not: see client access show", s.Standing(p))}
	}
	return noAuth{fmt.Sprintf("%s; this needs %s", s.Standing(p), access.Needs(path, perms))}
}

// wrap adds the action and the znode to an error, and to a refusal which roles have the rights.
func (s *Session) wrap(verb, path string, needs int32, err error) error {
	if err == nil {
		return nil
	}
	if Refused(err) {
		err = s.denied(path, needs)
	}
	return fmt.Errorf("%s %s: %w", verb, path, err)
}
