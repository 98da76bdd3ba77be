package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/task"
)

const roles = `# who is who
admin   x509:CN=tk-admin
master  x509:CN=tk-master
worker  x509:CN=tk-worker
client  x509:CN=tk-client x509:CN=alice   # each by itself
viewer  x509:CN=tk-viewer
`

func parse(t *testing.T, text string) Policy {
	t.Helper()
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// show writes an ACL in one line, with short names.
func show(acl []zk.ACL) string {
	var all []string
	for _, a := range acl {
		who := strings.TrimPrefix(strings.TrimPrefix(a.ID, "CN="), "tk-")
		if a.Scheme == "auth" {
			who = "creator"
		}
		all = append(all, who+":"+Letters(a.Perms))
	}
	return strings.Join(all, " ")
}

func TestWhoMayDoWhatWithEachZnode(t *testing.T) {
	p := parse(t, roles)
	for _, want := range []struct{ path, creates, closed string }{
		{"", "admin:cdrwa master:cr worker:r client:r alice:r viewer:r", ""},
		{"/access", "admin:cdrwa anyone:r", ""},
		{"/master", "admin:cdrwa master:cdr viewer:r", ""},
		{"/master/4a71cc9b-", "admin:cdrwa master:rw viewer:r", ""},
		{"/workers", "admin:cdrwa master:r worker:cd viewer:r", ""},
		{"/workers/gpu.vm:1-x", "admin:cdrwa master:rw worker:rw viewer:r", ""},
		{"/tasks", "admin:cdrwa master:dr client:cd alice:cd viewer:r", ""},
		{"/tasks/t", "admin:cdrwa master:rw worker:rw viewer:r creator:drw", "admin:cdrwa master:rw worker:rw viewer:r client:drw alice:drw"},
		{"/tasks/t/junk", "admin:cdrwa master:rw worker:rw viewer:r creator:drw", "admin:cdrwa master:rw worker:rw viewer:r client:drw alice:drw"},
		{"/data", "admin:cdrwa master:dr client:cd alice:cd viewer:r", ""},
		{"/data/t", "admin:cdrwa master:r worker:r creator:dr", "admin:cdrwa master:r worker:r client:dr alice:dr"},
		{"/drain", "admin:cdrwa master:r viewer:r", ""},
		{"/drain/vm", "admin:cdrwa master:rw viewer:r", ""},
		{"/members", "admin:cdrwa master:crw worker:cr client:r alice:r viewer:r", ""},
		{"/members/vm:1-x", "admin:cdrwa master:r viewer:r", ""},
		{"/zookeeper", "admin:cdrwa viewer:r", ""},
		{"/zookeeper/quota", "admin:cdrwa viewer:r", ""},
		{"/zookeeper/quota/app/tasks/zookeeper_limits", "admin:cdrwa viewer:r", ""},
		{"/zookeeper/config", "admin:cdrwa", ""},
		{"/other", "admin:cdrwa", ""},
		{"/other/x", "admin:cdrwa", ""},
	} {
		if want.closed == "" {
			want.closed = want.creates
		}
		if got := show(p.For(want.path)); got != want.creates {
			t.Errorf("%s as it is created:\n%s, want\n%s", want.path, got, want.creates)
		}
		if got := show(p.Closed(want.path, zk.WorldACL(zk.PermAll))); got != want.closed {
			t.Errorf("%s as it is closed:\n%s, want\n%s", want.path, got, want.closed)
		}
	}
	for _, dir := range task.Dirs() {
		if _, listed := table[dir]; !listed {
			t.Errorf("%s has no row", dir)
		}
		if _, listed := table[dir+"/x"]; !listed {
			t.Errorf("%s/x has no row", dir)
		}
	}
}

func TestAnOpenPolicyGivesEveryoneAllRights(t *testing.T) {
	var p Policy
	for _, path := range []string{"", "/tasks", "/tasks/t", "/other"} {
		if got := show(p.For(path)) + " " + show(p.Closed(path, nil)); got != "anyone:cdrwa anyone:cdrwa" {
			t.Errorf("%s: %s", path, got)
		}
	}
	if !p.IsZero() || p.String() != "" || len(p.Roles("x509:CN=a")) != 0 {
		t.Errorf("%+v", p)
	}
	if !p.Obeys("/tasks", zk.WorldACL(zk.PermAll)) || p.Obeys("/tasks", zk.WorldACL(zk.PermRead)) {
		t.Error("an open policy is obeyed by another ACL than that of everyone")
	}
}

func TestAnIDWithSeveralRolesHasOneEntry(t *testing.T) {
	p := parse(t, "admin x509:CN=a\nmaster x509:CN=a x509:CN=m\nworker x509:CN=m\nclient world:anyone\n")
	if got := show(p.For("/workers")); got != "a:cdrwa m:cdr" {
		t.Error(got)
	}
	if got := fmt.Sprint(p.Roles("x509:CN=m"), p.Roles("x509:CN=other"), p.Roles("")); got != "[master worker client] [client] [client]" {
		t.Error(got)
	}
	if !p.Uses("x509") || !p.Uses("world") || p.Uses("digest") {
		t.Error("the schemes")
	}
}

func TestTheCreatorOfATaskStaysTheOnlyClientThatReadsIt(t *testing.T) {
	p := parse(t, roles)
	made := func(id string) []zk.ACL { // the ACL as the server stores it
		acl := slices.Clone(p.For("/tasks/t"))
		acl[len(acl)-1].Scheme, acl[len(acl)-1].ID = "x509", id
		return acl
	}
	const others = "admin:cdrwa master:rw worker:rw viewer:r"
	for _, tc := range []struct {
		name   string
		acl    []zk.ACL
		obeys  bool
		closed string
	}{
		{"a client's", made("CN=alice"), true, others + " alice:drw"},
		{"an admin's", made("CN=tk-admin"), true, others},
		{"of one that is no client any more", made("CN=bob"), false, others + " bob:d"},
		{"of one that is a viewer now", made("CN=tk-viewer"), false, "admin:cdrwa master:rw worker:rw viewer:dr"},
		{"of one that is a client again", append(made("CN=tk-admin"), zk.ACL{Perms: zk.PermDelete, Scheme: "x509", ID: "CN=alice"}), false, others + " alice:drw"},
		{"everyone's", zk.WorldACL(zk.PermAll), false, others + " client:drw alice:drw"},
		{"everyone's to read", zk.WorldACL(zk.PermRead), false, others + " client:drw alice:drw"},
		{"that of another client that reads it", append(made("CN=alice"), zk.ACL{Perms: zk.PermRead, Scheme: "x509", ID: "CN=tk-client"}), false, others + " alice:drw"},
		{"one with an admin of an older policy", append(made("CN=alice"), zk.ACL{Perms: zk.PermAll, Scheme: "x509", ID: "CN=tk-client"}), false, others + " alice:drw"},
		{"nobody's", []zk.ACL{{Perms: zk.PermAll, Scheme: "digest", ID: "me:secret"}}, false, others},
		{"a client's, with a right more", append(made("CN=alice"), zk.ACL{Perms: zk.PermCreate, Scheme: "x509", ID: "CN=alice"}), false, others + " alice:drw"},
	} {
		if got := p.Obeys("/tasks/t", tc.acl); got != tc.obeys {
			t.Errorf("%s: obeys: %v", tc.name, got)
		}
		closed := p.Closed("/tasks/t", tc.acl)
		if got := show(closed); got != tc.closed {
			t.Errorf("%s: closed as\n%s, want\n%s", tc.name, got, tc.closed)
		}
		if !p.Obeys("/tasks/t", closed) {
			t.Errorf("%s: what is closed does not obey", tc.name)
		}
	}
}

func TestAnACLKeepsNoMoreCreatorsThanAPolicyCouldName(t *testing.T) {
	p := parse(t, roles)
	var acl []zk.ACL
	for i := range 100 {
		acl = append(acl, zk.ACL{Perms: CreatorMark, Scheme: "x509", ID: fmt.Sprintf("CN=%d%s", i, strings.Repeat("A", 1000))})
	}
	acl = append(acl, zk.ACL{Perms: CreatorMark, Scheme: "x509", ID: "CN=alice"})
	closed := p.Closed("/tasks/t", acl)
	if got := show(closed); !strings.Contains(got, " alice:drw") || len(got) > 2*maxPolicy || !p.Obeys("/tasks/t", closed) {
		t.Errorf("%d bytes: %.300s", len(got), got)
	}
}

func TestNeedsNamesTheRolesWithARight(t *testing.T) {
	for _, tc := range []struct {
		path  string
		perms int32
		want  string
	}{
		{"/drain", zk.PermCreate, "admin"},
		{"/data/t", zk.PermRead, "admin, master, worker or its creator"},
		{"/tasks", zk.PermRead, "admin, master or viewer"},
		{"/tasks", zk.PermRead | zk.PermWrite, "admin"},
	} {
		if got := Needs(tc.path, tc.perms); got != tc.want {
			t.Errorf("%s %s: %s, want %s", tc.path, Letters(tc.perms), got, tc.want)
		}
	}
}

func TestWithholdsOnlyWhereNoRoleHasTheRight(t *testing.T) {
	p := parse(t, roles)
	for _, tc := range []struct {
		roles []Role
		path  string
		want  bool
	}{
		{nil, Znode, false},
		{nil, "/members", true},
		{[]Role{Client}, "/members", false},
		{[]Role{Worker, Master}, "/data/t", false},
		{[]Role{Viewer, Client}, "/data/t", true},
	} {
		if got := p.Withholds(tc.roles, tc.path, zk.PermRead); got != tc.want {
			t.Errorf("reading %s from %v: %v", tc.path, tc.roles, got)
		}
		if (Policy{}).Withholds(tc.roles, tc.path, zk.PermRead) {
			t.Errorf("without a policy: %s", tc.path)
		}
	}
}

var bad = []struct{ text, says string }{
	{"", "no line names an admin, and only an admin can change the policy"},
	{"admin\n", "no line names an admin, and only an admin can change the policy"},
	{"# admin x509:CN=a", "no line names an admin, and only an admin can change the policy"},
	{"admin x509:CN=a\nboss x509:CN=b\n", `line 2: "boss" is no role: want admin, master, worker, client or viewer`},
	{"admin x509:CN=a\n\nworker x509:CN=w\nworker x509:CN=v", "line 4: worker stands in a line above as well: write all its ids in one line"},
	{"admin x509:CN=a,O=b", `line 1: "x509:CN=a,O=b" has a comma, which ZooKeeper's shell cannot read in an ACL: use certificates with a CN alone`},
	{"admin CN=a", `line 1: "CN=a" is no id: want scheme:id, such as x509:CN=tk-worker, without blanks`},
	{"admin x509:CN=Jo Do", `line 1: "Do" is no id: want scheme:id, such as x509:CN=tk-worker, without blanks`},
	{"admin x509:", `line 1: "x509:" is no id: want scheme:id, such as x509:CN=tk-worker, without blanks`},
	{"admin x509:tk", `line 1: "x509:tk" is no subject of a certificate: want such as x509:CN=tk`},
	{"admin world:me", `line 1: "world:me" is nobody: want world:anyone`},
	{"admin auth:me", `line 1: "auth:me" names nobody in particular: want the id of a program`},
	{"admin x509:CN=\x1b[2J", `line 1: "x509:CN=\x1b[2J" has characters that cannot be printed`},
	{"\xff\n", `line 1: "\xff" is no role: want admin, master, worker, client or viewer`},
	{strings.Repeat("#\n", 5000), "10000 bytes, at most 8192: several programs may share one certificate"},
}

func TestAMalformedPolicyIsRefusedWithItsLine(t *testing.T) {
	for _, tc := range bad {
		if p, err := Parse([]byte(tc.text)); err == nil || err.Error() != tc.says || !p.IsZero() {
			t.Errorf("%.40q: %v, want\n%s", tc.text, err, tc.says)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(roles))
	for _, tc := range bad {
		f.Add([]byte(tc.text))
	}
	f.Add([]byte("admin ip:127.0.0.1 #\r\nclient world:anyone\tdigest:a:b=\nviewer"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b") || len(err.Error()) > 1000 {
				t.Errorf("no line: %q", err)
			}
			return
		}
		again, err := Parse([]byte(p.String()))
		if err != nil || again.String() != p.String() {
			t.Errorf("%q reads as %q: %v", p, again, err)
		}
		for _, path := range []string{"", "/tasks", "/tasks/t", "/data/t", string(text)} {
			acl := p.Closed(path, nil)
			if !p.Obeys(path, acl) || !slices.ContainsFunc(acl, func(a zk.ACL) bool { return a.Perms == zk.PermAll }) {
				t.Errorf("%q: %v", path, acl)
			}
			for _, a := range slices.Concat(acl, p.For(path)) {
				if a.Perms == 0 || a.Scheme == "" || a.ID == "" && a.Scheme != "auth" {
					t.Errorf("%q: %v", path, a)
				}
			}
		}
	})
}
