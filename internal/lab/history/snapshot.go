package history

import (
	"fmt"
	"os"
	"strings"
)

// holds tells which znodes a snapshot holds, besides the servers' own: the
// first of them, or "" for none.
func holds(snapshot []byte) (path string, err error) {
	j := &jute{rest: snapshot}
	if j.int() != snapshotMagic && j.err == nil {
		return "", fmt.Errorf("no snapshot: it begins with % x", snapshot[:4])
	}
	j.int()  // version of the format
	j.long() // database
	for range j.count(12) {
		j.long() // session
		j.int()  // its timeout
	}
	for range j.count(12) {
		j.long() // number of an ACL
		j.skipACL()
	}
	for j.err == nil {
		path := j.string()
		if path == "/" { // the end; the root is ""
			break
		}
		if j.err == nil && path != "" && !strings.HasPrefix(path+"/", system+"/") {
			return path, nil
		}
		j.buffer()
		j.long()           // number of its ACL
		j.take(statOnDisk) // its Stat
	}
	if j.err != nil {
		return "", fmt.Errorf("snapshot: %w", j.err)
	}
	return "", nil
}

const (
	snapshotMagic = 0x5a4b534e        // "ZKSN"
	statOnDisk    = 4*8 + 3*4 + 8 + 8 // zxids and times, versions, owner, pzxid
)

// covered fails when a snapshot holds what came before the first transaction.
func covered(path string) error {
	snapshot, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	znode, err := holds(snapshot)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if znode != "" {
		return fmt.Errorf("%s holds %s, made by a transaction that no log has", path, znode)
	}
	return nil
}
