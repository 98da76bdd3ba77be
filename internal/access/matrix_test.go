package access_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/closing"
	"taskkeeper/internal/identity"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

var update = flag.Bool("update", false, "write testdata/matrix.golden as it is found to be")

func TestMain(m *testing.M) { zktest.Main(m) }

const preface = `Who may do what in an installation with TLS and a policy, as a ZooKeeper server decided it.
TestIntruderMatrix compares it with the server; with -update it writes this file anew.

A column is a certificate. client has submitted the task x, and alice is another client.
nobody is one of the same CA that the policy does not name.

    ok   carried out
    -    refused: no permission


1. The znodes. To create and delete is to do so below the znode. "x" stands for any name.
   A client that may delete below x has created it: the right is a mark, for there is nothing below.
`

// A matrix makes each call with each certificate.
type matrix struct {
	t        *testing.T
	server   *zktest.Server
	policy   access.Policy
	admin    *zktest.ManualClient
	files    []identity.Files       // by column
	clients  []*zktest.ManualClient // by column
	sessions []*session.Session
	text     bytes.Buffer
}

const chroot = "/app"

// The columns, by their places.
const (
	admin, master, worker = 0, 1, 2
	owner, another        = 3, 4 // of the task x
)

func TestIntruderMatrix(t *testing.T) {
	policy, err := access.Parse([]byte(access.Closed))
	if err != nil {
		t.Fatal(err)
	}
	server := zktest.NewServer(t, zktest.Options{TLS: true, FewWords: true})
	m := &matrix{t: t, server: server, policy: policy, admin: zktest.Conn(t, server.Addr())}
	for _, who := range access.Columns {
		files, err := server.CA().Issue(zktest.Request{CN: who.CN})
		if err != nil {
			t.Fatal(err)
		}
		m.files = append(m.files, files)
		m.clients = append(m.clients, zktest.ConnAs(t, server.Addr(), files))
	}
	m.closed()
	m.text.WriteString(preface)
	m.znodes()
	m.calls()
	m.words()
	m.outsiders()

	if *update {
		if err := os.WriteFile(access.Golden, m.text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(access.Golden)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, m.text.String(), string(want))
}

// compare reports the lines that differ.
func compare(t *testing.T, got, want string) {
	t.Helper()
	is, was := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(is), len(was)) {
		var a, b string
		if i < len(is) {
			a = is[i]
		}
		if i < len(was) {
			b = was[i]
		}
		if a != b {
			t.Errorf("line %d is\n%s\nand %s has\n%s", i+1, a, access.Golden, b)
		}
	}
}

// full is the path of a row's znode.
func full(znode string) string {
	switch {
	case znode == "/":
		return chroot
	case strings.HasPrefix(znode, "/zookeeper"):
		return znode
	}
	return chroot + znode
}

// creators names the column that creates a znode, as the programs do.
var creators = map[string]int{
	"/master/x": master, "/workers/x": worker, "/drain/x": admin, "/members/x": worker, "/tasks/x": owner, "/data/x": owner,
}

// make creates a znode with the session of its creator.
func (m *matrix) make(znode string) {
	m.t.Helper()
	_, err := m.sessions[creators[znode]].Multi(session.Create(znode, nil))
	m.must("make "+znode, err)
}

// closed sets up a closed installation.
func (m *matrix) closed() {
	m.t.Helper()
	tree := closing.Tree{Session: m.open(chroot, m.files[admin]), Servers: m.open("", m.files[admin]), Chroot: chroot}
	report, err := closing.Close(m.t.Context(), tree, closing.Order{Text: []byte(access.Closed)})
	m.must("close", err)
	if len(report.Foreign) > 0 {
		m.t.Fatalf("not closed: %v", report.Foreign)
	}
	for _, files := range m.files {
		m.sessions = append(m.sessions, m.open(chroot, files))
	}
	for _, znode := range access.Znodes {
		if _, made := creators[znode]; made {
			m.make(znode)
		}
	}
	const quota = "/zookeeper/quota/x"
	_, err = tree.Servers.Multi(session.Create(quota, nil).With(m.policy.For(quota)))
	m.must("make "+quota, err)
}

// open opens a session as the programs do.
func (m *matrix) open(chroot string, who identity.Files) *session.Session {
	return harness.Open(m.t, m.server.Addr()+chroot, func(c *session.Config) { c.TLS = who })
}

func (m *matrix) must(what string, err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("%s: %v", what, err)
	}
}

// title begins a part.
func (m *matrix) title(what string) {
	var names []string
	for _, who := range access.Columns {
		names = append(names, who.Name)
	}
	fmt.Fprintf(&m.text, "\n%s\n", access.Line(what, names))
}

// cell is the outcome of a call.
func (m *matrix) cell(what string, err error) string {
	switch {
	case err == nil:
		return access.OK
	case errors.Is(err, zk.ErrNoAuth):
		return access.Refused
	}
	m.t.Errorf("%s: %v", what, err)
	return "?"
}

// line makes a call with each certificate, and writes a line.
func (m *matrix) line(what string, try func(who int, conn *zk.Conn) error) {
	var cells []string
	for i, client := range m.clients {
		cells = append(cells, m.cell(access.Columns[i].Name+": "+what, try(i, client.Conn)))
	}
	fmt.Fprintln(&m.text, access.Line(what, cells))
}

// znodes makes each call on each znode.
func (m *matrix) znodes() {
	m.title(access.What("znode", "call"))
	for _, znode := range access.Znodes {
		at := full(znode)
		data, _, err := m.admin.Conn.Get(at)
		m.must("get "+znode, err)
		acl, _, err := m.admin.Conn.GetACL(at)
		m.must("get the ACL of "+znode, err)
		if znode != access.Znodes[0] {
			m.text.WriteString("\n")
		}
		for _, call := range access.Calls {
			m.line(access.What(znode, call.Name), func(_ int, conn *zk.Conn) (err error) {
				switch call.Name {
				case "get":
					_, _, err = conn.Get(at)
				case "list":
					_, _, err = conn.Children(at)
				case "set":
					_, err = conn.Set(at, data, -1)
				case "create":
					below := at + "/new"
					if _, err = conn.Create(below, nil, 0, zk.WorldACL(zk.PermAll)); err == nil {
						m.admin.Delete(below)
					}
				case "delete":
					below := at + "/old"
					m.admin.Create(below, "")
					if err = conn.Delete(below, -1); err != nil {
						m.admin.Delete(below)
					}
				case "setACL":
					_, err = conn.SetACL(at, acl, -1)
				}
				return err
			})
		}
	}
}

// calls makes the calls that the table is not about.
func (m *matrix) calls() {
	m.text.WriteString("\n\n2. Other calls, and what several come to.\n")
	m.title("call")
	task, data := full("/tasks/x"), full("/data/x")
	m.line("see that /data/x exists", func(_ int, conn *zk.Conn) error {
		_, _, err := conn.Exists(data)
		return err
	})
	m.line("sync", func(_ int, conn *zk.Conn) error {
		_, err := conn.Sync(chroot)
		return err
	})
	m.line("check /tasks/x in a Multi", func(_ int, conn *zk.Conn) error {
		return multi(conn, &zk.CheckVersionRequest{Path: task, Version: -1})
	})
	m.line("getACL of /tasks/x", func(_ int, conn *zk.Conn) error {
		_, _, err := conn.GetACL(task)
		return err
	})
	m.line("learn x by a watch on /tasks", m.watch)
	m.line("delete x, knowing its name", func(_ int, conn *zk.Conn) error {
		err := multi(conn, &zk.DeleteRequest{Path: data, Version: -1}, &zk.DeleteRequest{Path: task, Version: -1})
		if err == nil {
			m.make("/data/x")
			m.make("/tasks/x")
		}
		return err
	})
	m.line("set a quota on "+chroot, func(_ int, conn *zk.Conn) error {
		quota := "/zookeeper/quota" + chroot
		_, err := conn.Create(quota, nil, 0, zk.WorldACL(zk.PermAll))
		if err == nil {
			m.admin.Delete(quota)
		}
		return err
	})
	m.line("end a session of client's", func(who int, _ *zk.Conn) error {
		victim := zktest.ConnAs(m.t, m.server.Addr(), m.files[owner])
		defer victim.Close()
		return zktest.ExpireSessionAs(m.server.Addr(), victim.Session(), m.files[who])
	})
	m.line("create beside "+chroot, func(_ int, conn *zk.Conn) error {
		_, err := conn.Create("/beside", nil, 0, zk.WorldACL(zk.PermAll))
		if err == nil {
			m.admin.Delete("/beside")
		}
		return err
	})
}

func multi(conn *zk.Conn, ops ...any) error {
	answers, err := conn.Multi(ops...)
	for _, a := range answers { // of several errors the first is the cause
		if a.Error != nil {
			return a.Error
		}
	}
	return err
}

// watch learns the name of a task by a watch on /tasks and all below. The servers accept
// anybody's watch, but send an event only to a client that may read the znode.
func (m *matrix) watch(who int, _ *zk.Conn) error {
	s := m.sessions[who]
	hints := s.Hints("/tasks/")
	_, err := s.WatchTree("/tasks")
	m.must("set a watch", err)
	m.must("sync", s.Sync())
	hints.Take()

	m.admin.Conn.Set(full("/tasks/x"), nil, -1)
	m.must("sync", s.Sync()) // events of earlier writes come before its answer
	if paths, _ := hints.Take(); paths["/tasks/x"].Times == 0 {
		return zk.ErrNoAuth
	}
	return nil
}

// words are ZooKeeper's four-letter words.
func (m *matrix) words() {
	m.text.WriteString("\n\n3. Four-letter words.\n")
	m.title("word")
	for _, word := range []string{
		"ruok", "srvr", "conf", "mntr", "wchs", // of the server
		"cons", "dump", "stat", "wchc", "wchp", // of sessions and znodes
		"envi", "isro", "dirs", "hash", "gtmk", "stmk", "crst", "srst",
	} {
		m.line(word, func(who int, _ *zk.Conn) error {
			answer, err := m.ask(m.files[who], word)
			if strings.Contains(answer, "not in the whitelist") {
				return zk.ErrNoAuth
			}
			return err
		})
	}
}
