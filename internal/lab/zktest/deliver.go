package zktest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/identity"
)

// A MultiOp is one operation of a multi.
type MultiOp struct {
	Op      Op
	Path    string
	Data    []byte // of OpSetData
	Version int32  // that the znode must have, -1 for any
}

// MultiOps lists the operations of a multi that was caught: checks, deletes and
// sets of data. Another operation is an error.
func MultiOps(multi []byte) (ops []MultiOp, err error) {
	r := bytes.NewReader(multi)
	next := func(field any) {
		if err == nil {
			err = binary.Read(r, binary.BigEndian, field)
		}
	}
	text := func() []byte {
		var length int32
		if next(&length); length < -1 || int(length) > r.Len() {
			err = io.ErrUnexpectedEOF
			return nil
		}
		b := make([]byte, max(0, length)) // -1 stands for no data
		next(b)
		return b
	}
	next(new([2]int32)) // xid, operation
	for err == nil {
		var header struct {
			Op   Op
			Done bool
			Err  int32
		}
		if next(&header); header.Done || err != nil {
			break
		}
		op := MultiOp{Op: header.Op, Path: string(text())}
		switch op.Op {
		case OpCheck, OpDelete:
		case OpSetData:
			op.Data = text()
		default:
			return ops, fmt.Errorf("operation %d is %s", len(ops), op.Op)
		}
		next(&op.Version)
		ops = append(ops, op)
	}
	return ops, err
}

// An Answer is a server's answer to a multi.
type Answer struct {
	Session   int64 // that the multi was sent on
	Refused   error // nil if the multi was carried out
	RefusedAt int   // the operation that was refused; -1 if none was
}

// Deliver sends the operations of a caught multi on a new session, and ends the session. So the write
// of a program whose session has ended arrives after all. A client library does that when it
// sends its queue on the session that it opens next. The zero value of who connects without TLS.
func Deliver(connectString string, who identity.Files, multi []byte) (a Answer, err error) {
	ops, err := MultiOps(multi)
	if err != nil {
		return a, err
	}
	conn, _, err := connect(firstServer(connectString), Dialer(who))
	if err != nil {
		return a, err
	}
	defer conn.Close()
	var requests []any
	for _, op := range ops {
		switch op.Op {
		case OpCheck:
			requests = append(requests, &zk.CheckVersionRequest{Path: op.Path, Version: op.Version})
		case OpDelete:
			requests = append(requests, &zk.DeleteRequest{Path: op.Path, Version: op.Version})
		case OpSetData:
			requests = append(requests, &zk.SetDataRequest{Path: op.Path, Data: op.Data, Version: op.Version})
		}
	}
	results, err := conn.Multi(requests...)
	a = Answer{Session: conn.SessionID(), RefusedAt: slices.IndexFunc(results, func(r zk.MultiResponse) bool { return r.Error != nil })}
	if a.RefusedAt >= 0 {
		a.Refused, err = results[a.RefusedAt].Error, nil
	}
	return a, err
}
