package access

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"
)

// Closed is the policy of the matrix.
const Closed = `admin  x509:CN=tk-admin
master x509:CN=tk-master
worker x509:CN=tk-worker
client x509:CN=tk-client x509:CN=alice
viewer x509:CN=tk-viewer
`

// Columns are the columns of the matrix: their names, and the certificates.
var Columns = []struct{ Name, CN string }{
	{"admin", "tk-admin"}, {"master", "tk-master"}, {"worker", "tk-worker"}, {"client", "tk-client"},
	{"alice", "alice"}, {"viewer", "tk-viewer"}, {"nobody", "nobody"},
}

// Znodes are the rows of the table, in the order of the matrix.
var Znodes = []string{
	"/", Znode, "/master", "/master/x", "/workers", "/workers/x", "/drain", "/drain/x", "/members", "/members/x",
	"/tasks", "/tasks/x", "/data", "/data/x", "/zookeeper", "/zookeeper/quota", "/zookeeper/quota/x",
}

// Calls are the calls of the matrix, and the right on the znode that each needs.
var Calls = []struct {
	Name  string
	Needs int32
}{
	{"get", zk.PermRead}, {"list", zk.PermRead}, {"set", zk.PermWrite},
	{"create", zk.PermCreate}, {"delete", zk.PermDelete}, {"setACL", zk.PermAdmin},
}

// Golden is the matrix as a file.
const Golden = "testdata/matrix.golden"

// OK and Refused are the outcomes of a call on an open session.
const (
	OK      = "ok"
	Refused = "-"
)

// Line is a line of the matrix: the outcome for each column.
func Line(what string, cells []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-28s", what)
	for _, c := range cells {
		fmt.Fprintf(&b, " %-6s", c)
	}
	return strings.TrimRight(b.String(), " ")
}

// What names a call on a znode.
func What(znode, call string) string { return fmt.Sprintf("%-19s %s", znode, call) }

// expected returns the lines that follow from the ACLs.
func expected(t *testing.T) (lines []string) {
	t.Helper()
	p := parse(t, Closed)
	for _, znode := range Znodes {
		has := byID(p.For(znode))
		creator := "x509:CN=nobody" // elsewhere a right of the creator would show in nobody's column
		if znode == "/tasks/x" || znode == "/data/x" {
			creator = "x509:CN=tk-client"
		}
		has[creator] |= has["auth:"]
		for _, call := range Calls {
			var cells []string
			for _, who := range Columns {
				if (has["x509:CN="+who.CN]|has[everyone])&call.Needs != 0 {
					cells = append(cells, OK)
				} else {
					cells = append(cells, Refused)
				}
			}
			lines = append(lines, Line(What(znode, call.Name), cells))
		}
	}
	return lines
}

// golden returns the lines of the file that are about the table's znodes.
func golden(t *testing.T) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(Golden)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		if f := strings.Fields(l); len(f) == 2+len(Columns) && slices.Contains(Znodes, f[0]) {
			lines = append(lines, strings.TrimSuffix(l, "\n"))
		}
	}
	return lines
}

func TestTheTableSaysWhatTheMatrixShows(t *testing.T) {
	if got, want := strings.Join(expected(t), "\n"), strings.Join(golden(t), "\n"); got != want {
		t.Errorf("by the table it is\n%s\nand in %s\n%s", got, Golden, want)
	}
	for znode := range table {
		if !slices.Contains(Znodes, znode) {
			t.Errorf("%s has no rows in the matrix", znode)
		}
	}
}

// Adding a right to the table, or removing one, changes the matrix: for each role and znode.
func TestEachRightOfTheTableIsACellOfTheMatrix(t *testing.T) {
	want := golden(t)
	for znode, was := range table {
		for i, whose := range []string{"admin", "master", "worker", "client", "viewer", "creator", "everyone"} {
			for _, right := range "cdrwa" {
				if whose != "everyone" && strings.ContainsRune(was.everyone, right) {
					continue // it makes no difference
				}
				r := was
				letters := []*string{&r.admin, &r.master, &r.worker, &r.client, &r.viewer, &r.creator, &r.everyone}[i]
				*letters = Letters(rights(*letters) ^ rights(string(right)))
				table[znode] = r
				got := expected(t)
				table[znode] = was
				if slices.Equal(got, want) {
					t.Errorf("%s: right %c of %s: flipping it changes no cell", znode, right, whose)
				}
			}
		}
	}
}
