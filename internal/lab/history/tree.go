package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// system is the servers' own tree, parts of which no transaction made.
const system = "/zookeeper"

// tree replays transactions, to tell what their records leave out.
type tree struct {
	nodes  map[string]*znode
	owned  map[int64]map[string]bool // ephemeral znodes by session
	newest int64                     // zxid
}

type znode struct {
	version int32
	owner   int64
}

func newTree() *tree {
	return &tree{nodes: make(map[string]*znode), owned: make(map[int64]map[string]bool)}
}

// apply carries a transaction out and completes it. A transaction that cannot
// have been the next one is an error.
func (r *tree) apply(t *Txn) error {
	if err := follows(r.newest, t.Zxid); err != nil {
		return err
	}
	r.newest = t.Zxid
	if t.closes() {
		r.complete(t)
	}
	for i := range t.Events {
		if err := r.change(&t.Events[i], t.Session); err != nil {
			return fmt.Errorf("transaction 0x%x: %w", t.Zxid, err)
		}
	}
	return nil
}

// follows tells whether a zxid can come next. Its lower half counts up by one
// and starts again with each leader of an ensemble, of which the upper half is
// the number.
func follows(last, zxid int64) error {
	switch {
	case zxid == last+1, zxid>>32 > last>>32 && uint32(zxid) == 1:
		return nil
	case last == 0:
		return fmt.Errorf("the log begins with transaction 0x%x: what was before is missing", zxid)
	}
	return fmt.Errorf("transaction 0x%x follows 0x%x: what was between is missing", zxid, last)
}

// complete adds to a session's end what it removes.
func (r *tree) complete(t *Txn) {
	end := t.Events
	t.Events = nil
	for _, path := range slices.Sorted(maps.Keys(r.owned[t.Session])) {
		t.add(Event{Op: Delete, Path: path})
	}
	t.Events = append(t.Events, end...)
}

func (r *tree) change(e *Event, session int64) error {
	n := r.nodes[e.Path]
	switch {
	case e.Op == OpenSession:
	case e.Op == CloseSession:
		delete(r.owned, session)
	case strings.HasPrefix(e.Path+"/", system+"/"):
	case e.Op == Create && n != nil:
		return fmt.Errorf("create of %s, which exists", e.Path)
	case e.Op == Create:
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
		n.version, e.Owner = e.Version, n.owner
	case e.Op == Delete:
		e.Version, e.Owner = n.version, n.owner
		delete(r.nodes, e.Path)
		delete(r.owned[n.owner], e.Path)
	}
	return nil
}
