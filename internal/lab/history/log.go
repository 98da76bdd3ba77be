package history

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const (
	logMagic  = 0x5a4b4c47 // "ZKLG"
	recordEnd = 'B'
)

// header is what a log file begins with.
type header struct {
	Magic, Version uint32
	Database       uint64
}

// frame is what each record begins with.
type frame struct {
	Checksum uint64
	Length   int32 // of the entry, in bytes
}

// Read reads all transactions of a server, in order, from its data directory. The server may be
// running: a record that is half written is left out.
//
// Read fails if the log files lack a transaction since the tree was empty.
func Read(dir string) ([]Txn, error) {
	snapshots, err := Snapshots(dir) // before the log, which may grow meanwhile
	if err != nil {
		return nil, err
	}
	records, err := Records(dir)
	if err != nil {
		return nil, err
	}
	if len(records)+len(snapshots) == 0 {
		return nil, fmt.Errorf("%s has no transaction log", dir)
	}
	txns, replayed := once(records), newTree()
	for i := range txns {
		if err := replayed.apply(&txns[i]); err != nil {
			return nil, fmt.Errorf("read the transaction log in %s: %w", dir, err)
		}
	}
	for _, s := range snapshots {
		if s > replayed.newest && uint32(s) != 0 {
			return nil, fmt.Errorf("read the transaction log in %s: it ends before the snapshot of transaction 0x%x", dir, s)
		}
	}
	return txns, nil
}

// once sorts records by zxid, and drops those that a server has logged again. If two records of
// one zxid differ, both stay, and cannot be replayed.
func once(records []Txn) []Txn {
	slices.SortStableFunc(records, func(a, b Txn) int { return cmp.Compare(a.Zxid, b.Zxid) })
	return slices.CompactFunc(records, func(a, b Txn) bool { return reflect.DeepEqual(a, b) })
}

// Records reads what a server has logged, with all gaps and repetitions: see Ensembles in the
// package's documentation. Nothing is added to the records, so compare them only with those of
// another server.
func Records(dir string) (txns []Txn, err error) {
	logs, err := zxids(dir, "log.")
	if err != nil {
		return nil, err
	}
	for _, zxid := range logs {
		path := filepath.Join(dir, "version-2", "log."+strconv.FormatInt(zxid, 16))
		if txns, err = appendFile(txns, path); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return txns, nil
}

// Snapshots lists the zxids of a server's snapshots, in order.
func Snapshots(dir string) ([]int64, error) { return zxids(dir, "snapshot.") }

// zxids lists the zxids in the names of the files that begin with a prefix, in order.
func zxids(dir, prefix string) (found []int64, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, "version-2"))
	if err != nil {
		return nil, fmt.Errorf("find the files %s…: %w", prefix, err)
	}
	for _, e := range entries {
		hex, ok := strings.CutPrefix(e.Name(), prefix)
		if zxid, err := strconv.ParseInt(hex, 16, 64); ok && err == nil {
			found = append(found, zxid)
		}
	}
	slices.Sort(found)
	return found, nil
}

func appendFile(txns []Txn, path string) ([]Txn, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for record, err := range records(bufio.NewReaderSize(f, 1<<20)) {
		if err != nil {
			return nil, err
		}
		t, err := decode(record)
		if err != nil {
			return nil, err
		}
		txns = append(txns, t)
	}
	return txns, nil
}

// records yields the entries of a log file, up to the zeros at its end, or to the first record
// that is torn or has a wrong checksum. It yields an error last if reading fails, or if the
// file is no log.
func records(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var head header
		err := binary.Read(r, binary.BigEndian, &head)
		if err == nil && head.Magic != logMagic {
			err = fmt.Errorf("no transaction log: it begins with %#x", head.Magic)
		}
		for err == nil {
			var f frame
			if err = binary.Read(r, binary.BigEndian, &f); err != nil {
				break
			}
			var record []byte
			if record, err = io.ReadAll(io.LimitReader(r, int64(f.Length)+1)); err != nil {
				break
			}
			entry, ended := bytes.CutSuffix(record, []byte{recordEnd})
			if !ended || len(entry) == 0 || len(entry) != int(f.Length) || uint64(adler32.Checksum(entry)) != f.Checksum {
				return
			}
			if !yield(entry, nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			yield(nil, err)
		}
	}
}

// Under returns the history below a chroot, with the paths of a client that has the chroot in
// its connect string. The starts and ends of all sessions remain, and all refused transactions:
// a refusal names no znode.
func Under(txns []Txn, chroot string) []Txn {
	chroot = strings.TrimSuffix(chroot, "/")
	var below []Txn
	for _, t := range txns {
		var events []Event
		for _, e := range t.Events {
			path, ok := strings.CutPrefix(e.Path, chroot+"/")
			if ok {
				e.Path = "/" + path
			}
			if ok || e.Path == "" {
				events = append(events, e)
			}
		}
		if t.Events = events; len(events) > 0 || t.Refused != 0 {
			below = append(below, t)
		}
	}
	return below
}
