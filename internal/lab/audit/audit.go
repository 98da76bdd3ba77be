package audit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/lab/zktest"
)

// Report is what came of a run. Refusals and violations are lines for people.
type Report struct {
	Writes     int      // that the policy allows
	Refused    []string // attempts that were refused for want of a right
	Violations []string // writes that the policy does not allow
}

// Check judges what was written through servers that serve as one, by the policy that Close
// gave their chroots. The transactions are those of one of their logs.
func Check(txns []history.Txn, servers ...*zktest.Server) (Report, error) {
	var entries []zktest.AuditEntry
	var roots []string
	for _, s := range servers {
		audit, err := s.Audit()
		if err != nil {
			return Report{}, err
		}
		entries = append(entries, audit...)
		roots = append(roots, s.Closed()...)
	}
	return judge(entries, txns, zktest.Policy(), roots), nil
}

// Judge is Check for the tests of a package: a violation is an error.
func Judge(s *zktest.Server) (text string, err error) {
	txns, err := history.Read(s.DataDir())
	if err != nil {
		return "", err
	}
	r, err := Check(txns, s)
	if err != nil {
		return "", err
	}
	return r.String(), r.Err()
}

// Err is nil if nothing was written that the policy does not allow.
func (r Report) Err() error {
	if len(r.Violations) == 0 {
		return nil
	}
	return fmt.Errorf("%d writes that the policy does not allow:\n%s", len(r.Violations), strings.Join(r.Violations, "\n"))
}

func (r Report) String() string {
	lines := append([]string{fmt.Sprintf("%d writes, each by who may; %d attempts refused", r.Writes, len(r.Refused))}, r.Refused...)
	return strings.Join(lines, "\n  ")
}

// judge judges what is below some chroots.
func judge(entries []zktest.AuditEntry, txns []history.Txn, policy access.Policy, roots []string) (r Report) {
	creators := make(map[string]string) // who created a znode that is there
	failures := make(map[int64][]zktest.AuditEntry)
	for _, e := range entries {
		switch {
		case e.Session == 0 || e.Operation == "ephemeralZNodeDeletionOnSessionCloseOrExpire":
			// The server's own doing.
		case e.Result != "success":
			failures[e.Session] = append(failures[e.Session], e)
		default:
			if may(policy, e, roots, creators[e.Znode]) {
				r.Writes++
			} else {
				r.Violations = append(r.Violations, line(e))
			}
			if strings.HasPrefix(e.Operation, "create") {
				creators[e.Znode] = e.User
			}
		}
	}
	for _, t := range txns {
		if t.Refused == 0 {
			continue
		}
		e := zktest.AuditEntry{Session: t.Session, User: "somebody", Operation: "unknown"}
		if of := failures[t.Session]; len(of) > 0 {
			e, failures[t.Session] = of[0], of[1:]
		}
		if t.Refused == noAuth {
			r.Refused = append(r.Refused, fmt.Sprintf("%s: %s", t.Time.Format("15:04:05.000"), line(e)))
		}
	}
	return r
}

// noAuth is ZooKeeper's code of a refusal for want of a right.
const noAuth int32 = -102

func line(e zktest.AuditEntry) string {
	return strings.TrimSpace(fmt.Sprintf("%s, session %#x: %s %s", e.User, e.Session, e.Operation, e.Znode))
}

// may tells whether the policy allows a write. What an admin created is all clients', as what
// was there before the policy: see zktest.ManualClient.
func may(policy access.Policy, e zktest.AuditEntry, roots []string, creator string) bool {
	if isAdmin(policy, e.User) {
		return true
	}
	below, closed := within(e.Znode, roots)
	if !closed {
		return false
	}
	var was []zk.ACL
	if creator != "" && !isAdmin(policy, creator) {
		was = []zk.ACL{access.Entry("x509:"+creator, access.CreatorMark)}
	}
	switch e.Operation {
	case "create", "createTTL", "createContainer":
		return grants(policy.Closed(path.Dir(below), nil), e.User, zk.PermCreate)
	case "delete", "deleteContainer":
		return grants(policy.Closed(path.Dir(below), nil), e.User, zk.PermDelete)
	case "setData":
		return grants(policy.Closed(below, was), e.User, zk.PermWrite)
	}
	return false
}

func isAdmin(policy access.Policy, user string) bool {
	return slices.Contains(policy.Roles("x509:"+user), access.Admin)
}

func grants(acl []zk.ACL, user string, perms int32) bool {
	return slices.ContainsFunc(acl, func(a zk.ACL) bool { return a.Scheme == "x509" && a.ID == user && a.Perms&perms == perms })
}

// within is a path below the chroot that it is in.
func within(znode string, roots []string) (below string, closed bool) {
	for _, root := range roots {
		if rest, ok := strings.CutPrefix(znode, root); ok && (rest == "" || rest[0] == '/') {
			return rest, true
		}
	}
	return "", false
}
