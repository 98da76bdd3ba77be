package history

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"iter"
	"os"
	"path/filepath"
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
	if sub := filepath.Join(dir, "version-2"); isDir(sub) {
		dir = sub
	}
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
	r := newTree()
	for _, f := range logs {
		if txns, err = appendFile(txns, r, f.path); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.path, err)
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

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
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

func appendFile(txns []Txn, r *tree, path string) ([]Txn, error) {
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
		if err := r.apply(&t); err != nil {
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
