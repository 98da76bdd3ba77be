package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

func TestMain(m *testing.M) { zktest.Main(m) }

// text describes a transaction.
func text(t Txn) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d: %#x", t.Zxid, t.Session)
	if t.Refused != 0 {
		fmt.Fprintf(&b, " refused %d at %d", t.Refused, t.RefusedAt)
	}
	for _, e := range t.Events {
		fmt.Fprintf(&b, "; %s %s %q v%d of %#x", e.Op, e.Path, e.Data, e.Version, e.Owner)
	}
	return b.String()
}

// writer writes to a server, and keeps what the server's log must hold.
type writer struct {
	*zktest.ManualClient
	t      *testing.T
	server *zktest.Server
	want   []string
}

// expect adds a transaction. A server alone numbers its transactions from 1.
func (w *writer) expect(format string, args ...any) {
	w.want = append(w.want, fmt.Sprintf("%d: %#x%s", len(w.want)+1, w.Session(), fmt.Sprintf(format, args...)))
}

func (w *writer) connect() {
	w.ManualClient = zktest.Conn(w.t, w.server.Addr())
	w.expect("; open session  \"\" v0 of 0x0")
}

// wrote adds what was just done to a znode, with the data and the Stat that the server has.
func (w *writer) wrote(op Op, path string) {
	w.t.Helper()
	data, _ := w.Get(path)
	stat, _ := w.Stat(path)
	w.expect("; %s %s %q v%d of %#x", op, path, data, stat.Version, stat.EphemeralOwner)
	if stat.Mzxid != int64(len(w.want)) {
		w.t.Errorf("%s of %s is transaction %d, not %d", op, path, stat.Mzxid, len(w.want))
	}
}

func (w *writer) multi(want error, ops ...any) {
	w.t.Helper()
	if _, err := w.Conn.Multi(ops...); !errors.Is(err, want) {
		w.t.Fatalf("multi: %v, want %v", err, want)
	}
}

// compare reads the log, and compares it with what was done.
func (w *writer) compare() (txns []Txn) {
	w.t.Helper()
	txns, err := Read(w.server.DataDir())
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, t := range txns {
		got = append(got, text(t))
	}
	if !slices.Equal(got, w.want) {
		w.t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(w.want, "\n  "))
	}
	return txns
}

func TestRead(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{})
	began := time.Now().Add(-time.Second)
	w := &writer{t: t, server: server}
	w.connect()
	w.Create("/a", "one")
	w.wrote(Create, "/a")
	w.Set("/a", "two")
	w.wrote(Set, "/a")
	w.Set("/a", "")
	w.wrote(Set, "/a")
	w.Create("/a/ä b", "\x00\xff\n")
	w.wrote(Create, "/a/ä b")
	w.Delete("/a/ä b")
	w.expect("; delete /a/ä b \"\" v0 of 0x0")
	w.CreateEphemeral("/d", "mine")
	w.wrote(Create, "/d")
	w.Set("/d", "still")
	w.wrote(Set, "/d")
	first, second := w.CreateSeq("/a/c-", "candidate"), ""
	w.wrote(Create, first)
	second = w.CreateSeq("/a/c-", "candidate")
	w.wrote(Create, second)

	acl := zk.WorldACL(zk.PermAll)
	w.multi(nil,
		&zk.CreateRequest{Path: "/b", Data: []byte("1"), Acl: acl},
		&zk.CreateRequest{Path: "/e", Acl: acl, Flags: zk.FlagEphemeral},
		&zk.CheckVersionRequest{Path: "/b", Version: 0},
		&zk.SetDataRequest{Path: "/b", Data: []byte("2"), Version: 0},
		&zk.SetDataRequest{Path: "/b", Data: []byte("3"), Version: 1},
		&zk.DeleteRequest{Path: "/e", Version: 0})
	w.expect("; create /b \"1\" v0 of 0x0; create /e \"\" v0 of %#[1]x; set /b \"2\" v1 of 0x0; set /b \"3\" v2 of 0x0; delete /e \"\" v0 of %#[1]x", w.Session())
	w.multi(zk.ErrNoNode,
		&zk.CheckVersionRequest{Path: "/fence", Version: -1},
		&zk.DeleteRequest{Path: "/b", Version: 2})
	w.expect(" refused %d at 0", NoNode)
	w.multi(zk.ErrBadVersion,
		&zk.CheckVersionRequest{Path: "/b", Version: -1},
		&zk.CreateRequest{Path: "/f", Acl: acl},
		&zk.SetDataRequest{Path: "/b", Data: []byte("5"), Version: 1},
		&zk.DeleteRequest{Path: "/b", Version: 2})
	w.expect(" refused -103 at 2")
	refused := len(w.want)
	if _, err := w.Conn.Create("/a", nil, 0, acl); !errors.Is(err, zk.ErrNodeExists) {
		t.Fatal(err)
	}
	w.expect(" refused -110 at -1")
	w.Close()
	w.expect("; delete %s \"\" v0 of %#[2]x; delete %s \"\" v0 of %#[2]x; delete /d \"\" v1 of %#[2]x; close session  \"\" v0 of 0x0", first, w.Session(), second)
	for range 2 {
		server.Kill()
		w.compare()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		w.connect()
		w.Set("/b", "again")
		w.wrote(Set, "/b")
		w.compare()
	}
	server.Kill()
	all := w.compare()
	for _, txn := range all {
		if txn.Time.Before(began) || txn.Time.After(time.Now().Add(time.Second)) {
			t.Errorf("transaction %d at %v, done after %v", txn.Zxid, txn.Time, began)
		}
	}

	// The log until the first kill: its header, each record, and 100 zeros.
	dir := filepath.Join(server.DataDir(), "version-2")
	file, err := os.ReadFile(filepath.Join(dir, "log.1"))
	if err != nil {
		t.Fatal(err)
	}
	const frameSize = 12
	ends := []int{16}
	for record := range records(bytes.NewReader(file)) {
		ends = append(ends, ends[len(ends)-1]+frameSize+len(record)+1)
	}
	last := len(ends) - 1
	file = file[:ends[last]+100]

	t.Run("reads a torn log up to the torn record", func(t *testing.T) {
		count := func(file []byte) (n int) {
			for _, err := range records(bytes.NewReader(file)) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			return n
		}
		for at := ends[0]; at < ends[last]; at++ {
			before, _ := slices.BinarySearch(ends[1:], at+1) // records that end before this byte
			if got := count(file[:at]); got != before {
				t.Fatalf("cut off at %d: %d records, want %d", at, got, before)
			}
			if got := count(append(bytes.Clone(file[:at]), make([]byte, 1000)...)); got != before && got != before+1 { // +1: the bytes were zeros
				t.Fatalf("zeros from %d: %d records, want %d", at, got, before)
			}
			flipped := bytes.Clone(file)
			flipped[at] ^= 1
			if got := count(flipped); got != before {
				t.Fatalf("changed at %d: %d records, want %d", at, got, before)
			}
		}
	})
	t.Run("reads a multi refused in either form alike", func(t *testing.T) {
		record := bytes.Clone(file[ends[refused-1]+frameSize : ends[refused]-1])
		plain, err := decode(record)
		if err != nil || plain.RefusedAt != 2 {
			t.Fatalf("%+v, %v", plain, err)
		}
		at := 8 + 4 + 8 + 8 + 4 + 4 // session, cxid, zxid, time, type, count; then type and length of each operation
		for range plain.RefusedAt {
			copy(record[at:], "\xff\xff\xff\xff")
			at += 8 + int(binary.BigEndian.Uint32(record[at+4:]))
		}
		if again, err := decode(record); err != nil || !reflect.DeepEqual(again, plain) {
			t.Errorf("%+v, want %+v, %v", again, plain, err)
		}
	})
	for name, tc := range map[string]struct {
		records []int
		want    string // the error
	}{
		"reads records that are logged again once": {[]int{1, 2, 3, 4, 2, 3, 4, 5, 6}, ""},
		"fails if a record is missing":             {[]int{1, 2, 5, 6}, "between them are missing"},
		"fails if a record comes late":             {[]int{1, 2, 4, 3, 5, 6}, "between them are missing"},
		"fails if the first record is missing":     {[]int{2, 3}, "before it are missing"},
		"fails without records":                    {nil, "has no transaction log"},
	} {
		t.Run(name, func(t *testing.T) {
			log := bytes.Clone(file[:ends[0]])
			for _, i := range tc.records {
				log = append(log, file[ends[i-1]:ends[i]]...)
			}
			dir := t.TempDir()
			writeLog(t, dir, log)
			if found, err := Records(dir); err != nil || len(found) != len(tc.records) {
				t.Errorf("%d records of %d, %v", len(found), len(tc.records), err)
			}
			if wantError(t, dir, tc.want); tc.want != "" {
				return
			}
			if got, _ := Read(dir); !reflect.DeepEqual(got, all[:6]) {
				t.Error(got)
			}
		})
	}
	t.Run("fails if a file of the log is missing", func(t *testing.T) {
		logs, err := zxids(server.DataDir(), "log.")
		if err != nil || len(logs) != 3 {
			t.Fatal(logs, err)
		}
		for want, missing := range map[string][]int64{
			"between them are missing": logs[1:2],
			"before it are missing":    logs[:1],
			fmt.Sprintf("before the snapshot of transaction 0x%x", logs[2]-1): logs[1:],
			"before the snapshot of": logs,
		} {
			for _, zxid := range missing {
				path := filepath.Join(dir, fmt.Sprintf("log.%x", zxid))
				if err := os.Rename(path, path+"-away"); err != nil {
					t.Fatal(err)
				}
			}
			wantError(t, server.DataDir(), want)
			for _, zxid := range missing {
				path := filepath.Join(dir, fmt.Sprintf("log.%x", zxid))
				if err := os.Rename(path+"-away", path); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestReadFailsOnOtherFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wantError(t, dir, "no such file")
	if err := os.Mkdir(filepath.Join(dir, "version-2"), 0o755); err != nil {
		t.Fatal(err)
	}
	wantError(t, dir, "has no transaction log")
	writeLog(t, dir, []byte("ZKSN, and more than the header"))
	wantError(t, dir, "no transaction log: it begins with 0x5a4b534e")
}

// writeLog makes a data directory whose log is one file.
func writeLog(t *testing.T, dir string, log []byte) {
	t.Helper()
	path := filepath.Join(dir, "version-2", "log.1")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, log, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, dir, want string) {
	t.Helper()
	_, err := Read(dir)
	if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
		t.Errorf("Read: %v, want %q", err, want)
	}
}

func TestReplayFailsIfAnEarlierTransactionIsMissing(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]Event{
		"": {Op: Create, Path: "/a/b"},
		"the transaction that created /b is missing": {Op: Create, Path: "/b/c"},
		"create of /a, which exists":                 {Op: Create, Path: "/a"},
		"set of /b, which does not exist":            {Op: Set, Path: "/b", Version: 1},
		"set of /a at version 0 makes it 2":          {Op: Set, Path: "/a", Version: 2},
		"delete of /b, which does not exist":         {Op: Delete, Path: "/b"},
	} {
		replayed := newTree()
		if err := replayed.apply(&Txn{Zxid: 1<<32 + 1, Events: []Event{{Op: Create, Path: "/a"}}}); err != nil {
			t.Fatal(err)
		}
		err := replayed.apply(&Txn{Zxid: 2<<32 + 1, Events: []Event{e}})
		if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

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
	want := []Txn{
		{Zxid: 1, Events: []Event{{Op: OpenSession}}},
		{Zxid: 3, Events: []Event{{Op: Create, Path: "/a"}}},
		{Zxid: 5, Refused: NoNode},
		{Zxid: 6, Events: []Event{{Op: CloseSession}}},
	}
	if got := Under(txns, "/app/"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	if fmt.Sprint(Under(txns, "/")) != all || fmt.Sprint(txns) != all {
		t.Error("the whole history is changed")
	}
}
