package history

import (
	"bufio"
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
	logMagic   = 0x5a4b4c47 // "ZKLG"
	headerSize = 16         // magic, version, database
	recordEnd  = 'B'
)

// Read reads all transactions of a server, in order, from its data directory or
// the version-2 in it. The server may be running: what it is writing just now
// is left out, as is what a crash left half written.
//
// It fails where the logs do not hold everything since the tree was empty.
func Read(dir string) ([]Txn, error) {
	records, err := Records(dir)
	if err != nil {
		return nil, err
	}
	snapshots, err := files(versioned(dir), "snapshot.")
	if err != nil {
		return nil, fmt.Errorf("read transaction logs: %w", err)
	}
	txns, r := once(records), newTree()
	for i := range txns {
		if err := r.apply(&txns[i]); err != nil {
			return nil, fmt.Errorf("read the transaction logs in %s: %w", dir, err)
		}
	}
	for _, s := range snapshots {
		if len(txns) == 0 && uint32(s.zxid) != 0 {
			return nil, fmt.Errorf("%s is there, and no transaction that came before it", s.path)
		}
		if len(txns) == 0 || s.zxid < txns[0].Zxid {
			if err := covered(s.path); err != nil {
				return nil, err
			}
		}
	}
	return txns, nil
}

// once drops what a server has logged again, which comes later than what follows
// it. What has the same zxid and is something else stays, and is an error.
func once(records []Txn) []Txn {
	txns := make([]Txn, 0, len(records))
	for _, r := range records {
		i, found := slices.BinarySearchFunc(txns, r, func(a, b Txn) int { return cmp.Compare(a.Zxid, b.Zxid) })
		if !found || !reflect.DeepEqual(txns[i], r) {
			txns = append(txns, r)
		}
	}
	return txns
}

// Records reads what a server has logged, as it stands there, gaps and all; see
// Ensembles above. What its records leave out is not added, so compare them only
// with another server's.
func Records(dir string) ([]Txn, error) {
	dir = versioned(dir)
	logs, err := files(dir, "log.")
	if err != nil {
		return nil, fmt.Errorf("read transaction logs: %w", err)
	}
	snapshots, err := files(dir, "snapshot.")
	if err != nil {
		return nil, fmt.Errorf("read transaction logs: %w", err)
	}
	if len(logs)+len(snapshots) == 0 {
		return nil, fmt.Errorf("read transaction logs: %s has none", dir)
	}
	var txns []Txn
	for _, f := range logs {
		if txns, err = appendFile(txns, f.path); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.path, err)
		}
	}
	return txns, nil
}

// Snapshots are the zxids of the snapshots that a server has.
func Snapshots(dir string) ([]int64, error) {
	found, err := files(versioned(dir), "snapshot.")
	if err != nil {
		return nil, fmt.Errorf("look for snapshots: %w", err)
	}
	var zxids []int64
	for _, f := range found {
		zxids = append(zxids, f.zxid)
	}
	return zxids, nil
}

// versioned is the version-2 in a data directory, or the directory if it is that.
func versioned(dir string) string {
	sub := filepath.Join(dir, "version-2")
	if info, err := os.Stat(sub); err == nil && info.IsDir() {
		return sub
	}
	return dir
}

type file struct {
	path string
	zxid int64 // the end of its name
}

// files lists the files that are named by a prefix and a zxid, in that order.
func files(dir, prefix string) ([]file, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var fs []file
	for _, e := range entries {
		hex, ok := strings.CutPrefix(e.Name(), prefix)
		zxid, err := strconv.ParseInt(hex, 16, 64)
		if ok && err == nil {
			fs = append(fs, file{filepath.Join(dir, e.Name()), zxid})
		}
	}
	slices.SortFunc(fs, func(a, b file) int { return int(min(1, max(-1, a.zxid-b.zxid))) })
	return fs, nil
}

func appendFile(txns []Txn, path string) ([]Txn, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	for record, err := range records(bufio.NewReaderSize(f, 1<<20), info.Size()) {
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

// records yields the whole records of one log file of so many bytes, up to the
// zeros that it is padded with, or to the first record that is torn or whose
// checksum is wrong. Then it yields an error if something kept it from reading,
// or if the file is no log.
func records(r io.Reader, size int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		big := binary.BigEndian
		var head [headerSize]byte
		_, err := io.ReadFull(r, head[:])
		if err == nil && big.Uint32(head[:]) != logMagic {
			err = fmt.Errorf("no transaction log: it begins with % x", head[:4])
		}
		left := size - headerSize
		for err == nil {
			var frame [12]byte // checksum 8 · length 4
			if _, err = io.ReadFull(r, frame[:]); err != nil {
				break
			}
			sum, n := big.Uint64(frame[:]), int64(int32(big.Uint32(frame[8:])))
			left -= int64(len(frame))
			if n <= 0 || n >= left {
				return
			}
			left -= n + 1
			record := make([]byte, n+1)
			if _, err = io.ReadFull(r, record); err != nil {
				break
			}
			if record[n] != recordEnd || uint64(adler32.Checksum(record[:n])) != sum {
				return
			}
			if !yield(record[:n:n], nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			yield(nil, err)
		}
	}
}

// Under returns the history below a chroot, as those see it who have it in
// their connect string. Of transactions that changed nothing there, the starts
// and ends of sessions remain, and what was refused: a refusal names no znode.
func Under(txns []Txn, chroot string) []Txn {
	chroot = strings.TrimSuffix(chroot, "/")
	if chroot == "" {
		return txns
	}
	var below []Txn
	for _, t := range txns {
		var events []Event
		for _, e := range t.Events {
			path, ok := strings.CutPrefix(e.Path, chroot+"/")
			switch {
			case e.Path == "":
			case ok:
				e.Path = "/" + path
			default:
				continue
			}
			events = append(events, e)
		}
		if t.Events = events; len(events) > 0 || t.Refused != 0 {
			below = append(below, t)
		}
	}
	return below
}
