package access

import (
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"
)

// Znode holds the policy, below the chroot.
const Znode = "/access"

// Role is the part that a process plays in the installation.
type Role string

const (
	Admin  Role = "admin"
	Master Role = "master"
	Worker Role = "worker"
	Client Role = "client"
	Viewer Role = "viewer"
)

// Roles lists all of them.
func Roles() []Role { return []Role{Admin, Master, Worker, Client, Viewer} }

// row holds each role's rights on a znode, in the letters of ZooKeeper's shell.
type row struct{ admin, master, worker, client, viewer, creator, everyone string }

// table has a row for each znode; "x" stands for any name. The right to delete a znode is a right
// on its parent. A creator is a client; see CreatorMark.
//
// Everyone may read the policy, so that a program without a role can report that.
var table = map[string]row{
	//                     admin    master  worker  client  viewer  creator  everyone
	"/":                  {"cdrwa", "cr", "r", "r", "r", "", ""},
	Znode:                {"cdrwa", "", "", "", "", "", "r"},
	"/master":            {"cdrwa", "cdr", "", "", "r", "", ""},
	"/master/x":          {"cdrwa", "rw", "", "", "r", "", ""},
	"/workers":           {"cdrwa", "r", "cd", "", "r", "", ""},
	"/workers/x":         {"cdrwa", "rw", "rw", "", "r", "", ""},
	"/tasks":             {"cdrwa", "dr", "", "cd", "r", "", ""},
	"/tasks/x":           {"cdrwa", "rw", "rw", "", "r", "drw", ""},
	"/data":              {"cdrwa", "dr", "", "cd", "r", "", ""},
	"/data/x":            {"cdrwa", "r", "r", "", "", "dr", ""},
	"/drain":             {"cdrwa", "r", "", "", "r", "", ""},
	"/drain/x":           {"cdrwa", "rw", "", "", "r", "", ""},
	"/members":           {"cdrwa", "crw", "cr", "r", "r", "", ""},
	"/members/x":         {"cdrwa", "r", "", "", "r", "", ""},
	"/zookeeper":         {"cdrwa", "", "", "", "r", "", ""}, // the servers' own, with the quotas
	"/zookeeper/quota":   {"cdrwa", "", "", "", "r", "", ""},
	"/zookeeper/quota/x": {"cdrwa", "", "", "", "r", "", ""},
}

// CreatorMark is the right that marks the creator in the ACL of a task. It permits nothing: it is
// about children, and a task has none unless an admin creates them. An id that the policy no
// longer names as a client keeps only this right; named again, it may use its tasks again.
const CreatorMark = zk.PermDelete

// unlisted is the row of a znode that no program of ours creates.
var unlisted = row{admin: "cdrwa"}

// place is the key of a path in the table. A deeper znode has the place of its ancestor there.
func place(path string) string {
	const quotas = "/zookeeper/quota/"
	if strings.HasPrefix(path, quotas) {
		return quotas + "x"
	}
	dir, name, below := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case !below:
		return "/" + dir
	case "/"+dir == "/zookeeper":
		return "/" + dir + "/" + name
	}
	return "/" + dir + "/x"
}

func rowOf(path string) row {
	r, listed := table[place(path)]
	if !listed {
		return unlisted
	}
	return r
}

// of returns a role's rights.
func (r row) of(role Role) int32 {
	return rights(map[Role]string{Admin: r.admin, Master: r.master, Worker: r.worker, Client: r.client, Viewer: r.viewer}[role])
}

// rights reads the letters.
func rights(letters string) (perms int32) {
	for _, letter := range letters {
		perms |= map[rune]int32{'c': zk.PermCreate, 'd': zk.PermDelete, 'r': zk.PermRead, 'w': zk.PermWrite, 'a': zk.PermAdmin}[letter]
	}
	return perms
}

// Letters writes rights as ZooKeeper's shell does.
func Letters(perms int32) string {
	var b strings.Builder
	for _, letter := range "cdrwa" {
		if perms&rights(string(letter)) != 0 {
			b.WriteRune(letter)
		}
	}
	return b.String()
}

// Words are the entries of an ACL as ZooKeeper's shell reads them, with commas between.
func Words(acl []zk.ACL) (all []string) {
	for _, a := range acl {
		all = append(all, a.Scheme+":"+a.ID+":"+Letters(a.Perms))
	}
	return all
}

// Needs says who has all rights in perms on a znode: "admin, client or its creator".
func Needs(path string, perms int32) string {
	var who []string
	r := rowOf(path)
	for _, role := range Roles() {
		if r.of(role)&perms == perms {
			who = append(who, string(role))
		}
	}
	if r.creator != "" && rights(r.creator)&perms == perms {
		who = append(who, "its creator")
	}
	last := len(who) - 1
	return strings.Join(slices.DeleteFunc([]string{strings.Join(who[:last], ", "), who[last]}, func(s string) bool { return s == "" }), " or ")
}
