package history

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

func TestMain(m *testing.M) { zktest.Main(m) }

// server is a server whose log is compared with what was done.
type server struct {
	*zktest.Server
	t    *testing.T
	want []string
}

func newServer(t *testing.T) *server {
	return &server{Server: zktest.NewServer(t, zktest.Options{}), t: t}
}

// text writes a transaction down, the zxid first if it is that of a Stat.
func text(t Txn, zxid int64) string {
	var b strings.Builder
	if zxid != 0 {
		fmt.Fprintf(&b, "%d: ", zxid)
	}
	fmt.Fprintf(&b, "%#x", t.Session)
	if t.Expired {
		b.WriteString(" expired")
	}
	if t.Refused != 0 {
		fmt.Fprintf(&b, " refused %d at %d", t.Refused, t.RefusedAt)
	}
	for _, e := range t.Events {
		fmt.Fprintf(&b, "; %s %s %q v%d of %#x", e.Op, e.Path, e.Data, e.Version, e.Owner)
	}
	return b.String()
}

// read reads the log once it has as many transactions as were done, and
// compares: each of want is a transaction as text writes it, with the zxid or
// without.
func (s *server) read() []Txn {
	s.t.Helper()
	var txns []Txn
	zktest.Eventually(s.t, "the log", func() (bool, string) {
		var err error
		if txns, err = Read(s.DataDir()); err != nil {
			s.t.Fatal(err)
		}
		return len(txns) >= len(s.want), fmt.Sprintf("%d transactions of %d", len(txns), len(s.want))
	})
	var got []string
	for i, t := range txns {
		zxid := int64(0)
		if i < len(s.want) && !strings.HasPrefix(s.want[i], "0x") {
			zxid = t.Zxid
		}
		got = append(got, text(t, zxid))
	}
	if !slices.Equal(got, s.want) {
		s.t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(s.want, "\n  "))
	}
	return txns
}

func (s *server) expect(format string, args ...any) {
	s.want = append(s.want, fmt.Sprintf(format, args...))
}

// conn opens a session.
func (s *server) conn() *zktest.ManualClient {
	h := zktest.Conn(s.t, s.Addr())
	s.expect("%#x; open session  \"\" v0 of 0x0", h.Session())
	return h
}

// made expects that the znode was created just now.
func (s *server) made(h *zktest.ManualClient, path string) {
	s.t.Helper()
	data, _ := h.Get(path)
	stat, _ := h.Stat(path)
	s.expect("%d: %#x; create %s %q v0 of %#x", stat.Czxid, h.Session(), path, data, stat.EphemeralOwner)
}

// set expects that it was set just now.
func (s *server) set(h *zktest.ManualClient, path string) {
	s.t.Helper()
	data, _ := h.Get(path)
	stat, _ := h.Stat(path)
	s.expect("%d: %#x; set %s %q v%d of %#x", stat.Mzxid, h.Session(), path, data, stat.Version, stat.EphemeralOwner)
}

func TestRead(t *testing.T) {
	t.Parallel()

	t.Run("tells_what_was_done", func(t *testing.T) {
		s := newServer(t)
		began := time.Now().Add(-time.Second)
		h := s.conn()
		h.Create("/a", "one")
		s.made(h, "/a")
		h.Set("/a", "two")
		s.set(h, "/a")
		h.Set("/a", "")
		s.set(h, "/a")
		h.Create("/a/ä b", "\x00\xff\n")
		s.made(h, "/a/ä b")
		h.Delete("/a/ä b")
		s.expect("%#x; delete /a/ä b %q v0 of 0x0", h.Session(), "")
		h.CreateEphemeral("/e", "mine")
		s.made(h, "/e")
		h.Set("/e", "still")
		s.set(h, "/e")
		for range 2 {
			s.made(h, h.CreateSeq("/a/c-", "candidate"))
		}
		for _, txn := range s.read() {
			if txn.Time.Before(began) || txn.Time.After(time.Now().Add(time.Second)) {
				t.Errorf("transaction %d at %v, done after %v", txn.Zxid, txn.Time, began)
			}
		}
	})

	t.Run("groups_a_multi_and_tells_of_one_that_was_refused_nothing", func(t *testing.T) {
		s := newServer(t)
		h := s.conn()
		acl := zk.WorldACL(zk.PermAll)
		multi := func(want error, ops ...any) {
			t.Helper()
			if _, err := h.Conn.Multi(ops...); !errors.Is(err, want) {
				t.Fatalf("multi: %v, want %v", err, want)
			}
		}
		multi(nil,
			&zk.CreateRequest{Path: "/a", Data: []byte("1"), Acl: acl},
			&zk.CreateRequest{Path: "/e", Acl: acl, Flags: zk.FlagEphemeral},
			&zk.CheckVersionRequest{Path: "/a", Version: 0},
			&zk.SetDataRequest{Path: "/a", Data: []byte("2"), Version: 0},
			&zk.SetDataRequest{Path: "/a", Data: []byte("3"), Version: 1},
			&zk.DeleteRequest{Path: "/e", Version: 0})
		s.expect("%#x; create /a \"1\" v0 of 0x0; create /e \"\" v0 of %#[1]x; set /a \"2\" v1 of 0x0; set /a \"3\" v2 of 0x0; delete /e \"\" v0 of %#[1]x", h.Session())
		multi(zk.ErrBadVersion,
			&zk.SetDataRequest{Path: "/a", Data: []byte("4"), Version: 2},
			&zk.SetDataRequest{Path: "/a", Data: []byte("5"), Version: 2},
			&zk.DeleteRequest{Path: "/a", Version: 2})
		s.expect("%#x refused -103 at 1", h.Session())
		multi(zk.ErrNoNode,
			&zk.CheckVersionRequest{Path: "/fence", Version: -1},
			&zk.DeleteRequest{Path: "/a", Version: 2})
		s.expect("%#x refused %d at 0", h.Session(), NoNode)
		if _, err := h.Conn.Create("/a", nil, 0, acl); !errors.Is(err, zk.ErrNodeExists) {
			t.Fatal(err)
		}
		s.expect("%#x refused -110 at -1", h.Session())
		s.read()
	})

	t.Run("tells_what_the_end_of_a_session_removed", func(t *testing.T) {
		s := newServer(t)
		h := s.conn()
		for _, path := range []string{"/a", "/b", "/c"} {
			h.CreateEphemeral(path, "")
			s.made(h, path)
		}
		h.Delete("/b")
		s.expect("%#x; delete /b \"\" v0 of %#[1]x", h.Session())
		h.Close()
		s.expect("%#x; delete /a \"\" v0 of %#[1]x; delete /c \"\" v0 of %#[1]x; close session  \"\" v0 of 0x0", h.Session())

		proxy, through := zktest.Via(t, s.Addr())
		short, _, err := zk.Connect([]string{through}, time.Second, zk.WithLogInfo(false), zk.WithLogger(quiet{}))
		if err != nil {
			t.Fatal(err)
		}
		defer short.Close()
		if _, err := short.Create("/d", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
		id := short.SessionID()
		s.expect("%#x; open session  \"\" v0 of 0x0", id)
		s.expect("%#x; create /d \"\" v0 of %#[1]x", id)
		s.read()
		proxy.Blackhole(true)
		s.expect("%#x expired; delete /d \"\" v0 of %#[1]x; close session  \"\" v0 of 0x0", id)
		s.read()
	})

	t.Run("goes_on_over_a_kill_and_a_restart", func(t *testing.T) {
		s := newServer(t)
		for i := range 3 {
			h := s.conn()
			path := fmt.Sprintf("/%d", i)
			h.Create(path, "")
			s.made(h, path)
			h.Close()
			s.expect("%#x; close session  \"\" v0 of 0x0", h.Session())
			s.read()
			s.Kill()
			s.read()
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		s.read()
	})

	t.Run("counts_as_many_transactions_as_ZooKeepers_own_tool", func(t *testing.T) {
		s := newServer(t)
		h := s.conn()
		for i := range 100 {
			path := h.CreateSeq("/n", strings.Repeat("x", 100*i))
			s.made(h, path)
		}
		h.Close()
		s.Kill()
		txns, err := Read(s.DataDir())
		if err != nil {
			t.Fatal(err)
		}
		if n := dump(t, filepath.Join(s.DataDir(), "version-2", "log.1")); n != len(txns) || n < 101 {
			t.Errorf("%d transactions, the tool says %d", len(txns), n)
		}
	})

	t.Run("fails_where_a_log_is_missing", func(t *testing.T) {
		s := newServer(t)
		for range 2 {
			h := s.conn()
			h.CreateSeq("/n", "")
			h.Close()
			s.Kill()
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		h := s.conn()
		h.Create("/last", "")
		s.Kill()
		dir := filepath.Join(s.DataDir(), "version-2")
		logs, err := files(dir, "log.")
		if err != nil || len(logs) != 3 {
			t.Fatal(logs, err)
		}
		wantError(t, dir, "") // nothing is missing yet
		for _, remove := range []struct{ path, want string }{
			{logs[1].path, "what was between is missing"},
			{logs[0].path, "what was before is missing"},
			{logs[2].path, "no transaction that came before"},
		} {
			if err := os.Remove(remove.path); err != nil {
				t.Fatal(err)
			}
			wantError(t, dir, remove.want)
		}
		wantError(t, t.TempDir(), "has none")
		wantError(t, filepath.Join(dir, "nowhere"), "no such file")
	})
}

func wantError(t *testing.T, dir, want string) {
	t.Helper()
	_, err := Read(dir)
	if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
		t.Errorf("Read: %v, want %q", err, want)
	}
}

// dump returns how many transactions ZooKeeper's own tool finds in a file.
func dump(t *testing.T, path string) int {
	t.Helper()
	classes := "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar"
	if home := os.Getenv("ZOOKEEPER_HOME"); home != "" {
		classes = home + "/lib/*:" + home + "/*"
	}
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	out, err := exec.Command(java, "-cp", classes, "org.apache.zookeeper.server.persistence.TxnLogToolkit", "-d", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`EOF reached after (\d+) txns`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no count:\n%s", out)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// quiet drops go-zookeeper's log.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

func TestUnder(t *testing.T) {
	t.Parallel()
	txns := []Txn{
		{Zxid: 1, Events: []Event{{Op: OpenSession}}},
		{Zxid: 2, Events: []Event{{Op: Create, Path: "/app"}}},
		{Zxid: 3, Events: []Event{{Op: Create, Path: "/app/a"}, {Op: Create, Path: "/apple/b"}}},
		{Zxid: 4, Events: []Event{{Op: Create, Path: "/a"}}},
		{Zxid: 5, Refused: NoNode},
		{Zxid: 6, Events: []Event{{Op: Delete, Path: "/other/a"}, {Op: CloseSession}}},
	}
	all := fmt.Sprint(txns)
	var got []string
	for _, txn := range Under(txns, "/app/") {
		got = append(got, text(txn, txn.Zxid))
	}
	want := []string{
		`1: 0x0; open session  "" v0 of 0x0`,
		`3: 0x0; create /a "" v0 of 0x0`,
		`5: 0x0 refused -101 at 0`,
		`6: 0x0; close session  "" v0 of 0x0`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s", strings.Join(got, "\n  "))
	}
	if fmt.Sprint(Under(txns, "/")) != all || fmt.Sprint(txns) != all {
		t.Error("the whole history is changed")
	}
}

func TestTornFile(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	h := s.conn()
	for range 5 {
		h.CreateSeq("/n", "data")
	}
	s.Kill()
	path := filepath.Join(s.DataDir(), "version-2", "log.1")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ends := []int{headerSize} // of each record
	for record := range records(bytes.NewReader(whole), int64(len(whole))) {
		ends = append(ends, ends[len(ends)-1]+12+len(record)+1)
	}
	if len(ends) != 7 {
		t.Fatalf("%d records", len(ends)-1)
	}
	whole = whole[:ends[len(ends)-1]+100] // of 64 MB of padding
	before := func(at int) (n int) {      // records whole before a place
		for _, end := range ends[1:] {
			if end <= at {
				n++
			}
		}
		return n
	}
	count := func(file []byte) (n int) {
		for _, err := range records(bytes.NewReader(file), int64(len(file))) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	for at := 4; at < ends[len(ends)-1]; at++ {
		if got, want := count(whole[:at]), before(at); got != want {
			t.Fatalf("cut off at %d: %d records, want %d", at, got, want)
		}
		padded := append(bytes.Clone(whole[:at]), make([]byte, 1000)...)
		if at >= headerSize {
			if got, want := count(padded), before(at); got != want && got != want+1 { // +1: zeros cut off
				t.Fatalf("zeros from %d: %d records, want %d", at, got, want)
			}
		}
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1
		if at >= headerSize {
			if got, want := count(flipped), before(at); got != want {
				t.Fatalf("changed at %d: %d records, want %d", at, got, want)
			}
		}
	}
	whole[0]++
	for _, err = range records(bytes.NewReader(whole), int64(len(whole))) {
	}
	if err == nil {
		t.Error("another kind of file is read")
	}
}
