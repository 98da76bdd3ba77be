package history

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
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
