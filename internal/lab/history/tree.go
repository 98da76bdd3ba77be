package history

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// system is the servers' own tree. No transaction creates its first znodes.
const system = "/zookeeper"

// tree replays transactions. It adds the deletes to the end of a session, and notices if earlier
// transactions are missing.
type tree struct {
	nodes  map[string]*znode
	owned  map[int64]map[string]bool // the paths of ephemeral znodes, by session
	newest int64                     // zxid
}

type znode struct {
	version int32
	owner   int64
}

func newTree() *tree {
	return &tree{nodes: make(map[string]*znode), owned: make(map[int64]map[string]bool)}
}

// apply carries out the next transaction. It fails if the transaction cannot be the next one.
func (r *tree) apply(t *Txn) error {
	if err := follows(r.newest, t.Zxid); err != nil {
		return err
	}
	r.newest = t.Zxid
	if t.closes() {
		t.Events = slices.Concat(r.deletes(t.Session), t.Events)
	}
	for _, e := range t.Events {
		if err := r.change(e); err != nil {
			return fmt.Errorf("transaction 0x%x: %w", t.Zxid, err)
		}
	}
	return nil
}

// follows fails if a zxid cannot be the next one. The upper half is the epoch of the servers'
// leader; the lower half counts up from 1 in each epoch.
func follows(last, zxid int64) error {
	switch {
	case zxid == last+1, zxid>>32 > last>>32 && uint32(zxid) == 1:
		return nil
	case last == 0:
		return fmt.Errorf("the log begins with transaction 0x%x: the transactions before it are missing", zxid)
	}
	return fmt.Errorf("transaction 0x%x follows 0x%x: the transactions between them are missing", zxid, last)
}

// deletes returns what the end of a session deletes.
func (r *tree) deletes(session int64) (events []Event) {
	for _, path := range slices.Sorted(maps.Keys(r.owned[session])) {
		events = append(events, Event{Op: Delete, Path: path})
	}
	return events
}

func (r *tree) change(e Event) error {
	n := r.nodes[e.Path]
	switch {
	case e.Op == OpenSession, e.Op == CloseSession, strings.HasPrefix(e.Path+"/", system+"/"):
	case e.Op == Create && n != nil:
		return fmt.Errorf("create of %s, which exists", e.Path)
	case e.Op == Create:
		if parent := path.Dir(e.Path); parent != "/" && r.nodes[parent] == nil {
			return fmt.Errorf("create of %s: the transaction that created %s is missing", e.Path, parent)
		}
		r.nodes[e.Path] = &znode{owner: e.Owner}
		if e.Owner != 0 {
			if r.owned[e.Owner] == nil {
				r.owned[e.Owner] = make(map[string]bool)
			}
			r.owned[e.Owner][e.Path] = true
		}
	case n == nil:
		return fmt.Errorf("%s of %s, which does not exist", e.Op, e.Path)
	case e.Op == Set:
		if e.Version != n.version+1 {
			return fmt.Errorf("set of %s at version %d makes it %d", e.Path, n.version, e.Version)
		}
		n.version = e.Version
	case e.Op == Delete:
		delete(r.nodes, e.Path)
		delete(r.owned[n.owner], e.Path)
	}
	return nil
}
