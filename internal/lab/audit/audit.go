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

// Report is what Check found, in lines for people.
type Report struct {
	Writes     int      // that the policy allows
	Refused    []string // attempts without the right
	Violations []string // writes that the policy does not allow
}

// Check judges everything that was written through the servers of one service, by the policy
// that Close gave their chroots. txns is the log of any one of the servers.
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
	return judge(entries, txns, roots), nil
}

// Judge is Check for zktest.MainClosed: a violation is an error.
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

// Err returns the violations; nil if there is none.
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

// noAuth is ZooKeeper's error code of a request without the right.
const noAuth int32 = -102

func judge(entries []zktest.AuditEntry, txns []history.Txn, roots []string) (r Report) {
	creators := make(map[string]string) // of each znode
	failures := make(map[int64][]zktest.AuditEntry)
	for _, e := range entries {
		switch {
		case e.Session == 0 || e.Operation == "ephemeralZNodeDeletionOnSessionCloseOrExpire":
			continue // the server itself
		case e.Result != "success":
			failures[e.Session] = append(failures[e.Session], e)
			continue
		case may(e, roots, creators[e.Znode]):
			r.Writes++
		default:
			r.Violations = append(r.Violations, line(e))
		}
		if e.Operation == "create" {
			creators[e.Znode] = e.User
		}
	}
	for _, t := range txns {
		if t.Refused == 0 {
			continue
		}
		e := zktest.AuditEntry{Session: t.Session, User: "somebody", Operation: "unknown"}
		if of := failures[t.Session]; len(of) > 0 { // in the same order as in the log of transactions
			e, failures[t.Session] = of[0], of[1:]
		}
		if t.Refused == noAuth {
			r.Refused = append(r.Refused, fmt.Sprintf("%s: %s", t.Time.Format("15:04:05.000"), line(e)))
		}
	}
	return r
}

func line(e zktest.AuditEntry) string {
	return strings.TrimSpace(fmt.Sprintf("%s, session %#x: %s %s", e.User, e.Session, e.Operation, e.Znode))
}

// may reports whether the policy allows a write below one of the roots. All clients may use
// the tasks that an admin created: see zktest.ManualClient.
func may(e zktest.AuditEntry, roots []string, creator string) bool {
	if isAdmin(e.User) {
		return true
	}
	i := slices.IndexFunc(roots, func(root string) bool { return strings.HasPrefix(e.Znode, root+"/") })
	if i < 0 {
		return false
	}
	znode, right := strings.TrimPrefix(e.Znode, roots[i]), int32(zk.PermWrite)
	var was []zk.ACL
	switch e.Operation {
	case "create":
		znode, right = path.Dir(znode), zk.PermCreate
	case "delete":
		znode, right = path.Dir(znode), zk.PermDelete
	case "setData":
		if creator != "" && !isAdmin(creator) {
			was = []zk.ACL{access.Entry("x509:"+creator, access.CreatorMark)}
		}
	default:
		return false
	}
	return slices.ContainsFunc(zktest.Policy().Closed(znode, was), func(a zk.ACL) bool {
		return a.Scheme == "x509" && a.ID == e.User && a.Perms&right != 0
	})
}

func isAdmin(user string) bool {
	return slices.Contains(zktest.Policy().Roles("x509:"+user), access.Admin)
}
