package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/go-zookeeper/zk"
)

// TestRecords tries what servers of an ensemble leave in their logs.
func TestRecords(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	h := s.conn()
	for range 5 {
		h.CreateSeq("/n", "data")
	}
	s.Kill()
	path := filepath.Join(s.DataDir(), "version-2", "log.1")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := [][]byte{file[:headerSize]} // and each record
	at := headerSize
	for record := range records(bytes.NewReader(file), int64(len(file))) {
		end := at + 12 + len(record) + 1
		parts = append(parts, file[at:end])
		at = end
	}
	if len(parts) != 7 {
		t.Fatalf("%d records", len(parts)-1)
	}
	whole, err := Read(s.DataDir())
	if err != nil {
		t.Fatal(err)
	}
	logged := func(t *testing.T, which ...int) string {
		t.Helper()
		log := bytes.Clone(parts[0])
		for _, i := range which {
			log = append(log, parts[i]...)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "log.1"), append(log, make([]byte, 1000)...), 0o644); err != nil {
			t.Fatal(err)
		}
		records, err := Records(dir)
		if err != nil || len(records) != len(which) {
			t.Errorf("%d records of %d, %v", len(records), len(which), err)
		}
		return dir
	}
	t.Run("what_is_logged_again_is_read_once", func(t *testing.T) {
		got, err := Read(logged(t, 1, 2, 3, 4, 2, 3, 4, 5, 6))
		if err != nil || !reflect.DeepEqual(got, whole) {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("a_gap_is_an_error", func(t *testing.T) {
		wantError(t, logged(t, 1, 2, 5, 6), "what was between is missing")
	})
	t.Run("what_is_logged_late_is_an_error", func(t *testing.T) {
		wantError(t, logged(t, 1, 2, 4, 3, 5, 6), "what was between is missing")
	})
}

// TestRefusedMulti tries both forms in which a refused multi is logged.
func TestRefusedMulti(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	h := s.conn()
	h.Create("/a", "")
	_, err := h.Conn.Multi(
		&zk.CheckVersionRequest{Path: "/a", Version: -1},
		&zk.CreateRequest{Path: "/b", Acl: zk.WorldACL(zk.PermAll)},
		&zk.CheckVersionRequest{Path: "/none", Version: 0})
	if !errors.Is(err, zk.ErrNoNode) {
		t.Fatal(err)
	}
	s.Kill()
	file, err := os.Open(filepath.Join(s.DataDir(), "version-2", "log.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var record []byte // the last one
	for r, err := range records(file, 1<<30) {
		if err != nil {
			t.Fatal(err)
		}
		record = r
	}
	plain, err := decode(record)
	if err != nil || plain.Refused != NoNode || plain.RefusedAt != 2 {
		t.Fatalf("%+v, %v", plain, err)
	}
	// Session, cxid, zxid, time, type and count are before the first operation: its
	// type, its length, and so on.
	at := 8 + 4 + 8 + 8 + 4 + 4
	for range plain.RefusedAt {
		copy(record[at:], "\xff\xff\xff\xff")
		at += 8 + int(binary.BigEndian.Uint32(record[at+4:]))
	}
	if again, err := decode(record); err != nil || !reflect.DeepEqual(again, plain) {
		t.Errorf("%+v, want %+v, %v", again, plain, err)
	}
}
