package history

import (
	"fmt"
	"time"
)

// Op is what an Event does.
type Op int

// What happens in a transaction.
const (
	Create Op = iota + 1
	Set
	Delete
	OpenSession
	CloseSession
)

func (o Op) String() string {
	switch o {
	case Create:
		return "create"
	case Set:
		return "set"
	case Delete:
		return "delete"
	case OpenSession:
		return "open session"
	case CloseSession:
		return "close session"
	}
	return fmt.Sprintf("op %d", int(o))
}

// An Event is one change.
type Event struct {
	Op      Op
	Path    string // "" for a session
	Data    []byte // Create, Set
	Version int32  // of the data afterwards; Delete: the last one
	Owner   int64  // the session whose end removes the znode; 0 if it is permanent
}

// A Txn is one transaction: its events happened together.
type Txn struct {
	Zxid    int64
	Session int64     // who asked for it
	Time    time.Time // by the clock of the server that ordered it
	Events  []Event   // CloseSession comes after what the session's end removed

	// Expired tells of the end of a session that the servers ended it, not its
	// owner.
	Expired bool
	// Refused is not 0 where nothing was changed: ZooKeeper's code of the error,
	// for example NoNode.
	Refused int32
	// RefusedAt is the operation of a multi that was refused; -1 where it was no
	// multi.
	RefusedAt int
}

// NoNode is the code of a refusal because a znode is not there.
const NoNode int32 = -101

// closes tells whether the transaction ended its session.
func (t Txn) closes() bool {
	return len(t.Events) > 0 && t.Events[len(t.Events)-1].Op == CloseSession
}

// The types of transactions in the log.
const (
	typeCreate          = 1
	typeDelete          = 2
	typeSetData         = 5
	typeSetACL          = 7
	typeCheck           = 13
	typeMulti           = 14
	typeCreate2         = 15
	typeReconfig        = 16
	typeCreateContainer = 19
	typeDeleteContainer = 20
	typeCreateTTL       = 21
	typeError           = -1
	typeCreateSession   = -10
	typeCloseSession    = -11
)

// errorSize is the length of the body of an error: a code.
const errorSize = 4

// decode reads one record of the log. It knows no state: of a Delete neither
// version nor owner, of a Set no owner, and of the end of a session not what it
// removes. (Servers since 3.6 list that in the record, unless told not to.)
//
// After what is decoded there may be more: a digest of the whole tree, for one.
func decode(record []byte) (Txn, error) {
	j := &jute{rest: record}
	t := Txn{RefusedAt: -1, Session: j.long()}
	cxid := j.int()
	t.Zxid = j.long()
	t.Time = time.UnixMilli(j.long())
	kind := j.int()
	switch kind {
	case typeMulti:
		t.decodeMulti(j)
	case typeCreateSession:
		j.int() // the timeout
		t.add(Event{Op: OpenSession})
	case typeCloseSession:
		// The client's own request has a number, the servers' has none.
		t.Expired = cxid == 0
		t.add(Event{Op: CloseSession})
	default:
		t.decodeOp(j, kind)
	}
	if j.err != nil {
		return Txn{}, fmt.Errorf("transaction 0x%x of type %d: %w", t.Zxid, kind, j.err)
	}
	return t, nil
}

func (t *Txn) add(e Event) { t.Events = append(t.Events, e) }

// decodeMulti reads the operations of a multi. One that was refused is logged
// too: from the operation refused on, all are errors. Those before it may be as
// well, with the bodies that they had; see Ensembles.
func (t *Txn) decodeMulti(j *jute) {
	for i := range j.count(8) {
		kind := j.int()
		op := &jute{rest: j.buffer()}
		if j.err != nil {
			return
		}
		if kind == typeError && len(op.rest) > errorSize {
			continue
		}
		t.decodeOp(op, kind)
		if op.err != nil {
			j.err = fmt.Errorf("operation %d of type %d: %w", i, kind, op.err)
			return
		}
		if t.Refused != 0 {
			t.RefusedAt, t.Events = i, nil
			return
		}
	}
}

func (t *Txn) decodeOp(j *jute, kind int32) {
	switch kind {
	case typeCreate, typeCreate2, typeCreateContainer, typeCreateTTL:
		e := Event{Op: Create, Path: j.string(), Data: j.buffer()}
		j.skipACL()
		if kind == typeCreate || kind == typeCreate2 {
			if j.bool() {
				e.Owner = t.Session
			}
		}
		j.int() // the parent's version
		if kind == typeCreateTTL {
			j.long()
		}
		t.add(e)
	case typeDelete, typeDeleteContainer:
		t.add(Event{Op: Delete, Path: j.string()})
	case typeSetData, typeReconfig:
		t.add(Event{Op: Set, Path: j.string(), Data: j.buffer(), Version: j.int()})
	case typeSetACL, typeCheck: // no change that anyone here asks for
	case typeError:
		t.Refused = j.int()
		if t.Refused == 0 && j.err == nil {
			j.err = fmt.Errorf("an error without a code")
		}
	default:
		j.err = fmt.Errorf("unknown type")
	}
}
