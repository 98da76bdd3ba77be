package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/printable"
)

// Policy says which ids have which role. Its zero value is the open policy: everyone may do
// anything.
type Policy struct {
	ids  map[Role][]string   // as "x509:CN=tk-admin"
	made map[string][]zk.ACL // what For returns, by place
}

// maxPolicy bounds a policy, in bytes: the ACL of each new znode holds the ids of several
// roles.
const maxPolicy = 8 << 10

// Parse reads the data of /access. An error names the line.
func Parse(data []byte) (Policy, error) {
	if len(data) > maxPolicy {
		return Policy{}, fmt.Errorf("%d bytes, at most %d: several programs may share one certificate", len(data), maxPolicy)
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

// check says why an id cannot work.
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

// quoted makes a word fit for an error.
func quoted(word string) string { return `"` + printable.Line(printable.Cut(word, 100)) + `"` }

// IsZero reports whether the policy is the open one.
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

// Uses reports whether any id has this scheme.
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

// Roles lists the roles of an id, with the roles of world:anyone.
func (p Policy) Roles(id string) (roles []Role) {
	for _, role := range Roles() {
		if slices.Contains(p.ids[role], id) || slices.Contains(p.ids[role], everyone) {
			roles = append(roles, role)
		}
	}
	return roles
}

// Withholds reports whether no role among roles has all rights in perms on a znode that somebody
// else created.
func (p Policy) Withholds(roles []Role, path string, perms int32) bool {
	r := rowOf(path)
	has := func(role Role) bool { return r.of(role)&perms == perms }
	return !p.IsZero() && rights(r.everyone)&perms != perms && !slices.ContainsFunc(roles, has)
}

// For is the ACL for creating a znode at a path below the chroot. In it "auth" stands for the ids
// of the creator, who must have one. The caller must not change the ACL.
func (p Policy) For(path string) []zk.ACL {
	if p.IsZero() {
		return zk.WorldACL(zk.PermAll)
	}
	if acl, listed := p.made[place(path)]; listed {
		return acl
	}
	return p.acl(unlisted, nil)
}

// Closed is the ACL of an existing znode, or of one whose creator has no id. If its ACL names no
// creator, or gives everyone a right, all clients count as its creators.
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

// Obeys reports whether a znode has an ACL that For or Closed gives.
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

// acl returns an entry for each id that has any right.
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

// marked lists the creators that an ACL names, clients first. An ACL made by hand may name any
// number: only as many are kept as a policy could name.
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

// byID returns the rights of each id.
func byID(acl []zk.ACL) map[string]int32 {
	perms := make(map[string]int32, len(acl))
	for _, a := range acl {
		perms[a.Scheme+":"+a.ID] |= a.Perms
	}
	return perms
}
