package history

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// system is the servers' own tree. No transaction creates its first znodes.
const system = "/zookeeper"

// tree replays transactions. It adds the deletes to the end of a session, and notices if earlier
// transactions are missing.
type tree struct {
	nodes  map[string]znode
	newest int64 // zxid
}

type znode struct {
	version int32
	owner   int64
}

func newTree() *tree { return &tree{nodes: make(map[string]znode)} }

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
	for path, n := range r.nodes {
		if n.owner == session {
			events = append(events, Event{Op: Delete, Path: path})
		}
	}
	slices.SortFunc(events, func(a, b Event) int { return strings.Compare(a.Path, b.Path) })
	return events
}

func (r *tree) change(e Event) error {
	n, exists := r.nodes[e.Path]
	switch {
	case e.Op == OpenSession, e.Op == CloseSession, strings.HasPrefix(e.Path+"/", system+"/"):
	case e.Op == Create && exists:
		return fmt.Errorf("create of %s, which exists", e.Path)
	case e.Op == Create:
		if _, exists := r.nodes[path.Dir(e.Path)]; !exists && path.Dir(e.Path) != "/" {
			return fmt.Errorf("create of %s: the transaction that created its parent is missing", e.Path)
		}
		r.nodes[e.Path] = znode{owner: e.Owner}
	case !exists:
		return fmt.Errorf("%s of %s, which does not exist", e.Op, e.Path)
	case e.Op == Set:
		if e.Version != n.version+1 {
			return fmt.Errorf("set of %s at version %d makes it %d", e.Path, n.version, e.Version)
		}
		r.nodes[e.Path] = znode{e.Version, n.owner}
	case e.Op == Delete:
		delete(r.nodes, e.Path)
	}
	return nil
}
