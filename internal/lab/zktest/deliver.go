package zktest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/identity"
)

// An Answer is what a server makes of a multi.
type Answer struct {
	Session   int64 // on which it was asked
	Zxid      int64 // what was refused has one too
	Refused   int32 // ZooKeeper's code of the error; 0 where it was carried out
	RefusedAt int   // the operation that was refused; -1 where none was
}

// Deliver sends a multi as it was caught, byte by byte, on a session of its own,
// which it ends. So the write of someone whose session has ended arrives after
// all: as when a client library sends what it has queued on the session that it
// opens next. The zero value of who connects without TLS.
func Deliver(addr string, who identity.Files, multi []byte) (Answer, error) {
	addr, _, _ = strings.Cut(addr, "/")
	conn, err := Dial(addr, who, 2*time.Second)
	if err != nil {
		return Answer{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	session, err := handshake(conn, 0, make([]byte, 16))
	if err != nil {
		return Answer{}, err
	}
	reply, err := call(conn, multi)
	if err != nil {
		return Answer{}, fmt.Errorf("deliver: %w", err)
	}
	a, err := parseAnswer(reply)
	if err != nil {
		return Answer{}, fmt.Errorf("deliver: %w: reply % x", err, reply)
	}
	a.Session = session
	return a, endSession(conn)
}

var errShort = errors.New("too short")

// opError stands for the operation in each result of a multi that was refused.
const opError Op = -1

// parseAnswer reads xid 4 · zxid 8 · error 4 · result… In a multi that was
// refused each result is an error, which is 0 before the operation in question.
func parseAnswer(reply []byte) (Answer, error) {
	f := fields{rest: reply}
	f.take(4)
	a := Answer{Zxid: int64(f.long()), RefusedAt: -1}
	if code := f.int(); code != 0 {
		return a, fmt.Errorf("no answer to a multi, error %d", code)
	}
	for i := 0; f.err == nil; i++ {
		op, done := f.opHeader()
		if done || op != opError {
			break
		}
		if code := f.int(); code != 0 {
			a.Refused, a.RefusedAt = code, i
			break
		}
	}
	return a, f.err
}

// A MultiOp is one operation of a multi.
type MultiOp struct {
	Op      Op
	Path    string
	Data    []byte // OpSetData
	Version int32  // that it asks for, -1 for any
}

// MultiOps lists the operations of a multi that was caught: checks, deletes and
// sets of data, others are an error.
func MultiOps(multi []byte) ([]MultiOp, error) {
	f := fields{rest: multi}
	f.take(8) // xid, operation
	var ops []MultiOp
	for {
		op, done := f.opHeader()
		if done || f.err != nil {
			return ops, f.err
		}
		o := MultiOp{Op: op, Path: string(f.buffer())}
		switch op {
		case OpCheck, OpDelete:
		case OpSetData:
			o.Data = f.buffer()
		default:
			return ops, fmt.Errorf("operation %d is %s", len(ops), op)
		}
		o.Version = f.int()
		ops = append(ops, o)
	}
}

// fields reads a packet's fields one after the other; zeros from an error on.
type fields struct {
	rest []byte
	err  error
}

func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.rest) {
		f.rest, f.err = nil, errShort
		return make([]byte, 8)
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) int() int32   { return int32(binary.BigEndian.Uint32(f.take(4))) }
func (f *fields) long() uint64 { return binary.BigEndian.Uint64(f.take(8)) }

func (f *fields) buffer() []byte {
	n := int(f.int())
	if n == -1 || f.err != nil {
		return nil
	}
	return slices.Clone(f.take(n))
}

// opHeader reads what is before each operation, and each result, of a multi.
func (f *fields) opHeader() (op Op, done bool) {
	op = Op(f.int())
	done = f.take(1)[0] != 0
	f.int() // an error, again in the body
	return op, done
}
