package history

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Op is the kind of an Event.
type Op string

const (
	Create       Op = "create"
	Set          Op = "set"
	Delete       Op = "delete"
	OpenSession  Op = "open session"
	CloseSession Op = "close session"
)

// An Event is one change.
type Event struct {
	Op      Op
	Path    string // "" for a session
	Data    []byte // Create, Set
	Version int32  // Set: of the data afterwards
	Owner   int64  // Create: the session with which the znode ends; 0 if it is persistent
}

// A Txn is one transaction: all its events happen together.
type Txn struct {
	Zxid    int64
	Session int64     // that asked for it
	Time    time.Time // by the clock of the server that ordered it
	Events  []Event   // CloseSession comes last, after the deletes of the session's znodes

	Expired   bool  // CloseSession: the servers ended the session, not its owner
	Refused   int32 // ZooKeeper's error code, such as NoNode; 0 if the transaction was carried out
	RefusedAt int   // the operation of a multi that was refused; -1 if it was no multi
}

// NoNode is the error code of a request for a znode that does not exist.
const NoNode int32 = -101

// closes reports whether the transaction ends its session.
func (t Txn) closes() bool {
	return len(t.Events) > 0 && t.Events[len(t.Events)-1].Op == CloseSession
}

// The types of transactions in the log. The service creates no containers and no znodes with a
// time to live, and no server is reconfigured: those types are errors.
const (
	typeCreate        = 1
	typeDelete        = 2
	typeSetData       = 5
	typeSetACL        = 7
	typeCheck         = 13
	typeMulti         = 14
	typeCreate2       = 15
	typeError         = -1
	typeCreateSession = -10
	typeCloseSession  = -11
)

// errorSize is the length of the body of an error, in bytes.
const errorSize = 4

// entry is what each entry of the log begins with.
type entry struct {
	Session int64
	Cxid    int32
	Zxid    int64
	Time    int64 // ms since 1970
	Type    int32
}

// decode reads an entry of the log. It leaves to a tree what the end of a session deletes, and
// does not read what follows the body: a digest, for example.
func decode(record []byte) (Txn, error) {
	var e entry
	n, err := binary.Decode(record, binary.BigEndian, &e)
	if err != nil {
		return Txn{}, err
	}
	j := &jute{rest: record[n:]}
	t := Txn{RefusedAt: -1, Session: e.Session, Zxid: e.Zxid, Time: time.UnixMilli(e.Time)}
	switch e.Type {
	case typeMulti:
		t.decodeMulti(j)
	case typeCreateSession:
		t.add(Event{Op: OpenSession})
	case typeCloseSession:
		t.Expired = e.Cxid == 0 // a client numbers its requests from 1
		t.add(Event{Op: CloseSession})
	default:
		t.decodeOp(j, e.Type)
	}
	if j.err != nil {
		return Txn{}, fmt.Errorf("transaction 0x%x of type %d: %w", t.Zxid, e.Type, j.err)
	}
	return t, nil
}

func (t *Txn) add(e Event) { t.Events = append(t.Events, e) }

// decodeMulti reads the operations of a multi. In a refused multi all operations from the refused
// one on are errors. Those before it may be errors too, but with the bodies of the operations:
// see Ensembles in the package's documentation.
func (t *Txn) decodeMulti(j *jute) {
	for i := range j.count() {
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
	case typeCreate, typeCreate2:
		e := Event{Op: Create, Path: j.string(), Data: j.buffer()}
		j.skipACL()
		if j.number(1) != 0 {
			e.Owner = t.Session
		}
		t.add(e)
	case typeDelete:
		t.add(Event{Op: Delete, Path: j.string()})
	case typeSetData:
		t.add(Event{Op: Set, Path: j.string(), Data: j.buffer(), Version: j.int()})
	case typeSetACL, typeCheck: // they change no data
	case typeError:
		t.Refused = j.int()
		if t.Refused == 0 && j.err == nil {
			j.err = fmt.Errorf("an error without a code")
		}
	default:
		j.err = fmt.Errorf("unknown type")
	}
}
