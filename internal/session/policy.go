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

// policy is what a session knows of /access. The first create that comes after it may
// have changed reads it again: at a session's start, when the watch fires, and after a
// reconnect.
type policy struct {
	changes atomic.Int64 // how often it may have changed
	watched atomic.Bool  // a watch is set that fires once
	rules   atomic.Pointer[rules]
	reading sync.Mutex // one reads at a time
}

// rules is what was read.
type rules struct {
	access.Policy
	err  error // it cannot be read: nothing is created
	seen int64 // changes before that
}

// known is what was read last.
func (p *policy) known() rules {
	if r := p.rules.Load(); r != nil {
		return *r
	}
	return rules{}
}

// Policy is who may do what here, as it is now. The error is ErrOver, or says why the policy
// cannot be read: then nothing is created.
func (s *Session) Policy() (access.Policy, error) {
	r, err := s.currentRules()
	if err != nil {
		return access.Policy{}, err
	}
	return r.Policy, r.err
}

// currentRules reads the policy, if it may have changed. It fails when the session is over.
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
	s.tell(was, r)
	return r, nil
}

// readPolicy reads /access and sees to it that a watch is set; zk.ErrNoNode if it is not there.
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

// tell logs what the policy means for the program, where it has changed.
func (s *Session) tell(was *rules, is rules) {
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
		if same || s.cfg.NoCreate { // what it keeps from being done has the error
			return
		}
		s.log.Error("the policy cannot be read: nothing is created here until it can", "err", is.err)
	case is.err == nil && is.IsZero() && !s.cfg.Address.loopback() && (first && !s.cfg.again || !same):
		s.log.Warn("open: anyone who reaches the servers may do anything; see client access")
	case !is.IsZero() && !same:
		s.tellRole(is.Policy)
	}
	if is.err == nil && was.err == nil && !first && s.lacksRole(is.Policy) && !s.lacksRole(was.Policy) {
		s.over(errRoleTaken)
	}
}

// errRoleTaken ends a session: a leader that may write no more is not to keep others from leading.
var errRoleTaken = errors.New("the policy takes its role from this program")

// tellRole warns of a certificate that does not have the program's role.
func (s *Session) tellRole(p access.Policy) {
	if !s.lacksRole(p) {
		return
	}
	s.log.Warn("the policy does not give this program its role: it is refused", "role", string(s.cfg.Role), "policy", s.Standing(p))
}

// LacksRole tells whether the policy does not give the program the role that it needs.
func (s *Session) LacksRole() bool { return s.lacksRole(s.policy.known().Policy) }

// lacksRole tells whether a policy does not give the program the role that it needs.
func (s *Session) lacksRole(p access.Policy) bool {
	return s.cfg.Role != "" && !p.IsZero() && s.knowsRoles(p) && !slices.Contains(p.Roles(s.id()), s.cfg.Role)
}

// id is what the session is to the policy: the subject of its certificate; "" without one.
func (s *Session) id() string {
	if s.who == "" {
		return ""
	}
	return "x509:" + s.who
}

// knowsRoles tells whether the roles of this session can be known here: what the servers take
// it for but for its certificate is theirs to know.
func (s *Session) knowsRoles(p access.Policy) bool {
	return !slices.ContainsFunc([]string{"ip", "digest", "sasl"}, p.Uses)
}

// Standing says in words who this session is by a policy.
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

// Withholds tells whether the policy does not give this session some rights on a znode that
// somebody else created: then no ACL is to be blamed.
func (s *Session) Withholds(path string, perms int32) bool {
	if path != access.Znode { // else it may be what is being read
		_, _ = s.currentRules()
	}
	p := s.policy.known().Policy
	return p.Withholds(p.Roles(s.id()), path, perms)
}

// Permitted returns the refusal of what the policy does not permit, on a znode that somebody
// else created, before it is asked for: nobody is about to give that right.
func (s *Session) Permitted(verb, path string, perms int32) error {
	if !s.Withholds(path, perms) || !s.knowsRoles(s.policy.known().Policy) {
		return nil
	}
	return s.wrap(verb, path, perms, zk.ErrNoAuth)
}

// Roles are those of this session by the policy, as far as they can be known here.
func (s *Session) Roles() []access.Role { return s.policy.known().Roles(s.id()) }

// acl is the ACL of what this session creates at a path below the chroot. Without a certificate
// its creator has no id that would tell it from other clients.
func (s *Session) acl(r rules, path string) []zk.ACL {
	if s.id() == "" {
		return r.Closed(path, nil)
	}
	return r.For(path)
}

// aclSize is what an ACL adds to a packet, in bytes.
func aclSize(acl []zk.ACL) (size int) {
	for _, a := range acl {
		size += 12 + len(a.Scheme) + len(a.ID)
	}
	return size
}

// errNoPolicy refuses what would be created while the policy cannot be read. It is a refusal
// for want of a right: who waits for rights waits for the policy.
type errNoPolicy struct{ err error }

func (e errNoPolicy) Error() string {
	return e.err.Error() + " (an admin mends it: client access close POLICY)"
}
func (e errNoPolicy) Unwrap() error { return zk.ErrNoAuth }

// NoPolicy tells whether something was not created because the policy cannot be read. The session
// has logged that, unless Config.NoCreate is set.
func NoPolicy(err error) bool {
	var e errNoPolicy
	return errors.As(err, &e)
}

// denied says who was refused what, and who would not be.
func (s *Session) denied(path string, perms int32) error {
	withheld := s.Withholds(path, perms)
	r := s.policy.known()
	p := r.Policy
	switch {
	case r.err != nil && path != access.Znode:
		return noAuth{"who has it is not known: " + r.err.Error()}
	case p.IsZero():
		return noAuth{}
	case !withheld:
		return noAuth{fmt.Sprintf("%s, which permits this: see client access show", s.Standing(p))}
	}
	return noAuth{fmt.Sprintf("%s; this needs %s", s.Standing(p), access.Needs(path, perms))}
}

// wrap adds to an error what was done with which znode, and which rights that needs.
func (s *Session) wrap(verb, path string, needs int32, err error) error {
	if err == nil {
		return nil
	}
	if Refused(err) {
		err = s.denied(path, needs)
	}
	return fmt.Errorf("%s %s: %w", verb, path, err)
}
