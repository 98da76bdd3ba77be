package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/printable"
)

// Policy is which ids have which role. Its zero value is the open one: everyone may do
// anything.
type Policy struct {
	ids  map[Role][]string   // as "x509:CN=tk-admin"
	made map[string][]zk.ACL // what For returns, by place
}

// maxPolicy bounds a policy, in bytes: each znode that is created carries the ids of
// several roles.
const maxPolicy = 8 << 10

// Parse reads what /access holds. An error names the line.
func Parse(data []byte) (Policy, error) {
	if len(data) > maxPolicy {
		return Policy{}, fmt.Errorf("%d bytes, at most %d: several programs may have one certificate", len(data), maxPolicy)
	}
	p := Policy{ids: make(map[Role][]string)}
	for i, line := range strings.Split(string(data), "\n") {
		if err := p.parse(line); err != nil {
			return Policy{}, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if len(p.ids[Admin]) == 0 {
		return Policy{}, errors.New("no line names an admin, and only an admin can change the policy")
	}
	p.made = make(map[string][]zk.ACL)
	for place, r := range table {
		p.made[place] = p.acl(r, nil)
		if r.creator != "" {
			p.made[place] = append(p.made[place], zk.AuthACL(rights(r.creator))...)
		}
	}
	return p, nil
}

// parse reads a line.
func (p Policy) parse(line string) error {
	words := strings.Fields(line)
	if i := slices.IndexFunc(words, func(w string) bool { return w[0] == '#' }); i >= 0 {
		words = words[:i]
	}
	if len(words) == 0 {
		return nil
	}
	role := Role(words[0])
	if !slices.Contains(Roles(), role) {
		return fmt.Errorf("%s is no role: want admin, master, worker, client or viewer", quoted(words[0]))
	}
	if _, twice := p.ids[role]; twice {
		return fmt.Errorf("%s stands in a line above as well: write all its ids in one line", role)
	}
	p.ids[role] = nil
	for _, id := range words[1:] {
		if err := check(id); err != nil {
			return err
		}
		if !slices.Contains(p.ids[role], id) {
			p.ids[role] = append(p.ids[role], id)
		}
	}
	return nil
}

// check tells why an id cannot work.
func check(id string) error {
	scheme, name, _ := strings.Cut(id, ":")
	switch {
	case scheme == "" || name == "" || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
		return fmt.Errorf("%s is no id: want scheme:id, such as x509:CN=tk-worker, without blanks", quoted(id))
	case strings.Contains(name, ","):
		return fmt.Errorf("%s has a comma, which ZooKeeper's shell cannot read in an ACL: use certificates with a CN alone", quoted(id))
	case printable.Line(id) != id:
		return fmt.Errorf("%s has characters that cannot be printed", quoted(id))
	case scheme == "x509" && !strings.Contains(name, "="):
		return fmt.Errorf("%s is no subject of a certificate: want such as x509:CN=%s", quoted(id), printable.Line(name))
	case scheme == "world" && name != "anyone":
		return fmt.Errorf("%s is nobody: want world:anyone", quoted(id))
	case scheme == "auth" || scheme == "super":
		return fmt.Errorf("%s names nobody in particular: want the id of a program", quoted(id))
	}
	return nil
}

// quoted is a word fit for an error.
func quoted(word string) string { return `"` + printable.Line(printable.Cut(word, 100)) + `"` }

// IsZero tells whether the policy is the open one.
func (p Policy) IsZero() bool { return len(p.ids) == 0 }

// String is the policy as Parse reads it, with a line for each role.
func (p Policy) String() string {
	if p.IsZero() {
		return ""
	}
	var b strings.Builder
	for _, role := range Roles() {
		fmt.Fprintln(&b, strings.TrimSpace(fmt.Sprintf("%-7s %s", role, strings.Join(p.ids[role], " "))))
	}
	return b.String()
}

// Uses tells whether any id is of a scheme.
func (p Policy) Uses(scheme string) bool {
	for _, ids := range p.ids {
		if slices.ContainsFunc(ids, func(id string) bool { return strings.HasPrefix(id, scheme+":") }) {
			return true
		}
	}
	return false
}

// IDs lists the ids that have any role, each once.
func (p Policy) IDs() (ids []string) {
	for _, role := range Roles() {
		ids = append(ids, p.ids[role]...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Of lists the ids that have a role.
func (p Policy) Of(role Role) []string { return p.ids[role] }

// Entry is an ACL's entry for an id.
func Entry(id string, perms int32) zk.ACL {
	scheme, name, _ := strings.Cut(id, ":")
	return zk.ACL{Perms: perms, Scheme: scheme, ID: name}
}

const everyone = "world:anyone"

// Roles lists the roles of an id; also those that everyone has.
func (p Policy) Roles(id string) (roles []Role) {
	for _, role := range Roles() {
		if slices.Contains(p.ids[role], id) || slices.Contains(p.ids[role], everyone) {
			roles = append(roles, role)
		}
	}
	return roles
}

// Withholds tells whether none of some roles has all of some rights on a znode that somebody
// else created.
func (p Policy) Withholds(roles []Role, path string, perms int32) bool {
	r := rowOf(path)
	has := func(role Role) bool { return r.of(role)&perms == perms }
	return !p.IsZero() && rights(r.everyone)&perms != perms && !slices.ContainsFunc(roles, has)
}

// For is the ACL of a znode, by its path below the chroot, for who creates it: "auth"
// stands for the ids of its creator, who must have one. The caller does not change it.
func (p Policy) For(path string) []zk.ACL {
	if p.IsZero() {
		return zk.WorldACL(zk.PermAll)
	}
	if acl, listed := p.made[place(path)]; listed {
		return acl
	}
	return p.acl(unlisted, nil)
}

// Closed is the ACL of a znode that is there already, or whose creator has no id. Where nothing
// tells who created it, or everyone had a right, all clients did.
func (p Policy) Closed(path string, was []zk.ACL) []zk.ACL {
	if p.IsZero() {
		return zk.WorldACL(zk.PermAll)
	}
	creators := p.ids[Client]
	if len(was) > 0 && byID(was)[everyone] == 0 {
		creators = p.marked(was)
	}
	return p.acl(rowOf(path), creators)
}

// Obeys tells whether a znode has an ACL that For or Closed gives.
func (p Policy) Obeys(path string, acl []zk.ACL) bool {
	has := byID(acl)
	if p.IsZero() {
		return has[everyone] == zk.PermAll
	}
	want := byID(p.acl(rowOf(path), p.marked(acl)))
	if len(has) != len(want) {
		return false
	}
	for id, perms := range want {
		if has[id] != perms {
			return false
		}
	}
	return true
}

// acl has an entry for each id that has any right.
func (p Policy) acl(r row, creators []string) (acl []zk.ACL) {
	add := func(id string, perms int32) {
		entry := Entry(id, perms)
		i := slices.IndexFunc(acl, func(a zk.ACL) bool { return a.Scheme == entry.Scheme && a.ID == entry.ID })
		switch {
		case perms == 0:
		case i >= 0:
			acl[i].Perms |= perms
		default:
			acl = append(acl, entry)
		}
	}
	for _, role := range Roles() {
		for _, id := range p.ids[role] {
			add(id, r.of(role))
		}
	}
	for _, id := range creators {
		perms := rights(r.creator)
		if !slices.Contains(p.Roles(id), Client) {
			perms &= CreatorMark
		}
		add(id, perms)
	}
	add(everyone, rights(r.everyone))
	return acl
}

// marked lists the creators that an ACL names, those first that are clients. By hand any number
// may stand there: so many are kept as a policy could name.
func (p Policy) marked(acl []zk.ACL) (ids []string) {
	var others []string
	for id, perms := range byID(acl) {
		switch {
		case perms&CreatorMark == 0, perms&zk.PermAdmin != 0: // an admin's right marks nobody
		case slices.Contains(p.Roles(id), Client):
			ids = append(ids, id)
		default:
			others = append(others, id)
		}
	}
	slices.Sort(ids)
	slices.Sort(others)
	ids = append(ids, others...)
	size := 0
	for i, id := range ids {
		if size += len(id); size > maxPolicy {
			return ids[:i]
		}
	}
	return ids
}

// byID is what each id may do.
func byID(acl []zk.ACL) map[string]int32 {
	perms := make(map[string]int32, len(acl))
	for _, a := range acl {
		perms[a.Scheme+":"+a.ID] |= a.Perms
	}
	return perms
}
