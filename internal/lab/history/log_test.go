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

// writer writes to a server, and keeps what the server's log must hold.
type writer struct {
	*zktest.ManualClient
	t      *testing.T
	server *zktest.Server
	want   []Txn
}

// expect adds a transaction. A server alone numbers its transactions from 1.
func (w *writer) expect(events ...Event) *Txn {
	w.want = append(w.want, Txn{Zxid: int64(len(w.want) + 1), Session: w.Session(), RefusedAt: -1, Events: events})
	return &w.want[len(w.want)-1]
}

func (w *writer) connect() {
	w.ManualClient = zktest.Conn(w.t, w.server.Addr())
	w.expect(Event{Op: OpenSession})
}

// refused sends a multi that is refused.
func (w *writer) refused(code int32, at int, ops ...any) {
	w.t.Helper()
	if _, err := w.Conn.Multi(ops...); err == nil {
		w.t.Fatal("a multi was carried out")
	}
	txn := w.expect()
	txn.Refused, txn.RefusedAt = code, at
}

// compare reads the log, and compares it with what was done.
func (w *writer) compare() (txns []Txn) {
	w.t.Helper()
	txns, err := Read(w.server.DataDir())
	if err != nil {
		w.t.Fatal(err)
	}
	got := slices.Clone(txns)
	for i := range got {
		if age := time.Since(got[i].Time); age < -time.Second || age > time.Minute {
			w.t.Errorf("transaction %d is from %v", got[i].Zxid, got[i].Time)
		}
		got[i].Time = time.Time{}
	}
	if fmt.Sprint(got) != fmt.Sprint(w.want) { // DeepEqual tells nil from empty data
		w.t.Errorf("got\n  %v\nwant\n  %v", got, w.want)
	}
	return txns
}

func TestRead(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{})
	w := &writer{t: t, server: server}
	w.connect()
	w.Create("/a", "one")
	w.expect(Event{Op: Create, Path: "/a", Data: []byte("one")})
	w.Set("/a", "")
	w.expect(Event{Op: Set, Path: "/a", Version: 1})
	w.Create("/a/ä b", "\x00\xff\n")
	w.expect(Event{Op: Create, Path: "/a/ä b", Data: []byte("\x00\xff\n")})
	w.Delete("/a/ä b")
	w.expect(Event{Op: Delete, Path: "/a/ä b"})
	candidate := w.CreateSeq("/c-", "me")
	w.expect(Event{Op: Create, Path: candidate, Data: []byte("me"), Owner: w.Session()})
	world := zk.WorldACL(zk.PermAll)
	if _, err := w.Conn.Multi(
		&zk.CreateRequest{Path: "/b", Data: []byte("1"), Acl: world},
		&zk.CreateRequest{Path: "/d", Acl: world, Flags: zk.FlagEphemeral},
		&zk.CheckVersionRequest{Path: "/b", Version: 0},
		&zk.SetDataRequest{Path: "/b", Data: []byte("2"), Version: 0},
		&zk.SetDataRequest{Path: "/b", Data: []byte("3"), Version: 1},
		&zk.DeleteRequest{Path: "/a", Version: 1}); err != nil {
		t.Fatal(err)
	}
	w.expect(
		Event{Op: Create, Path: "/b", Data: []byte("1")},
		Event{Op: Create, Path: "/d", Owner: w.Session()},
		Event{Op: Set, Path: "/b", Data: []byte("2"), Version: 1},
		Event{Op: Set, Path: "/b", Data: []byte("3"), Version: 2},
		Event{Op: Delete, Path: "/a"})
	w.refused(NoNode, 0,
		&zk.CheckVersionRequest{Path: "/fence", Version: -1},
		&zk.DeleteRequest{Path: "/b", Version: 2})
	w.refused(-103, 2,
		&zk.CheckVersionRequest{Path: "/b", Version: -1},
		&zk.CreateRequest{Path: "/f", Acl: world},
		&zk.SetDataRequest{Path: "/b", Data: []byte("5"), Version: 1},
		&zk.DeleteRequest{Path: "/b", Version: 2})
	refused := len(w.want)
	if _, err := w.Conn.Create("/b", nil, 0, world); !errors.Is(err, zk.ErrNodeExists) {
		t.Fatal(err)
	}
	w.expect().Refused = -110
	w.Close()
	w.expect(Event{Op: Delete, Path: candidate}, Event{Op: Delete, Path: "/d"}, Event{Op: CloseSession})
	for version := range int32(2) {
		server.Kill()
		w.compare()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		w.connect()
		w.Set("/b", "again")
		w.expect(Event{Op: Set, Path: "/b", Data: []byte("again"), Version: 3 + version})
		w.compare()
	}
	server.Kill()
	all := w.compare()

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
		"sorts records":                            {[]int{1, 2, 4, 3, 5, 6}, ""},
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
			got, err := Read(dir)
			if wantError(t, err, tc.want); tc.want == "" && !reflect.DeepEqual(got, all[:6]) {
				t.Error(got)
			}
		})
	}
	t.Run("fails if a file of the log is missing", func(t *testing.T) {
		logs, err := zxids(server.DataDir(), "log.")
		if err != nil || len(logs) != 3 {
			t.Fatal(logs, err)
		}
		for _, next := range []struct {
			log  int64
			want string
		}{
			{logs[1], "between them are missing"},
			{logs[2], fmt.Sprintf("it ends before the snapshot of transaction 0x%x", logs[2]-1)},
			{logs[0], "it ends before the snapshot"},
		} {
			if err := os.Remove(filepath.Join(dir, fmt.Sprintf("log.%x", next.log))); err != nil {
				t.Fatal(err)
			}
			_, err := Read(server.DataDir())
			wantError(t, err, next.want)
		}
	})
	t.Run("fails on other files", func(t *testing.T) {
		dir := t.TempDir()
		_, err := Read(dir)
		wantError(t, err, "no such file")
		writeLog(t, dir, []byte("ZKSN, and more than the header"))
		_, err = Read(dir)
		wantError(t, err, "no transaction log: it begins with 0x5a4b534e")
	})
}

// writeLog makes a data directory whose log is one file.
func writeLog(t *testing.T, dir string, log []byte) {
	t.Helper()
	path := filepath.Join(dir, "version-2", "log.1")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, log, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestReplayFailsIfAnEarlierTransactionIsMissing(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]Event{
		"": {Op: Create, Path: "/a/b"},
		"the transaction that created its parent is missing": {Op: Create, Path: "/b/c"},
		"create of /a, which exists":                         {Op: Create, Path: "/a"},
		"set of /b, which does not exist":                    {Op: Set, Path: "/b", Version: 1},
		"set of /a at version 0 makes it 2":                  {Op: Set, Path: "/a", Version: 2},
		"delete of /b, which does not exist":                 {Op: Delete, Path: "/b"},
	} {
		replayed := newTree()
		if err := replayed.apply(&Txn{Zxid: 1<<32 + 1, Events: []Event{{Op: Create, Path: "/a"}}}); err != nil {
			t.Fatal(err)
		}
		wantError(t, replayed.apply(&Txn{Zxid: 2<<32 + 1, Events: []Event{e}}), want)
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
