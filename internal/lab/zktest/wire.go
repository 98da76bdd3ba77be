package zktest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"taskkeeper/internal/identity"
)

// wire is a connection to a server, on which packets are written and read without a client
// library. A packet's length stands in front of it.
type wire struct {
	net.Conn
	in *bufio.Reader
}

func newWire(conn net.Conn) *wire { return &wire{conn, bufio.NewReader(conn)} }

// The fields of packets, in their order.
type (
	connectRequest struct {
		Version  int32
		LastZxid int64
		Timeout  int32 // in milliseconds
		Session  int64
		Length   int32 // of the password
		Password [16]byte
	}
	connectReply struct {
		Version, Timeout int32
		Session          int64 // the password follows
	}
	requestHeader struct {
		Xid int32
		Op  Op
	}
	replyHeader struct {
		Xid  int32
		Zxid int64
		Err  int32
	}

	// multiHeader stands before each operation, and each result, of a multi, and at its end.
	multiHeader struct {
		Op   Op
		Done bool
		Err  int32 // once more in the body
	}
)

func (h replyHeader) error() error {
	if h.Err != 0 {
		return fmt.Errorf("ZooKeeper's error %d", h.Err)
	}
	return nil
}

// decode reads a packet's next fields. A packet that is too short is an error.
func decode(packet *bytes.Reader, fields any) error {
	return binary.Read(packet, binary.BigEndian, fields)
}

// decodeBytes reads a packet's next string or data, which has its length in front.
func decodeBytes(packet *bytes.Reader) ([]byte, error) {
	var n int32
	if err := decode(packet, &n); err != nil || n == -1 {
		return nil, err
	}
	if n < 0 || int(n) > packet.Len() {
		return nil, io.ErrUnexpectedEOF
	}
	b := make([]byte, n)
	_, err := io.ReadFull(packet, b)
	return b, err
}

// send sends a packet, given as its parts.
func (w *wire) send(parts ...any) (err error) {
	packet := make([]byte, 4)
	for _, part := range parts {
		if packet, err = binary.Append(packet, binary.BigEndian, part); err != nil {
			return err
		}
	}
	binary.BigEndian.PutUint32(packet, uint32(len(packet)-4))
	_, err = w.Write(packet)
	return err
}

// call sends a packet, and decodes the beginning of the next packet that comes. The rest of that
// packet is the body.
func (w *wire) call(reply any, parts ...any) (body *bytes.Reader, err error) {
	if err := w.send(parts...); err != nil {
		return nil, err
	}
	packet, err := nextPacket(w.in)
	if err != nil {
		return nil, err
	}
	body = bytes.NewReader(packet[min(4, len(packet)):])
	return body, decode(body, reply)
}

// handshake asks for a session, or for a new one if that is 0, and returns the session that is
// granted: 0 if the server does not know it.
func (w *wire) handshake(session int64) (granted int64, err error) {
	request := connectRequest{Timeout: 10_000, Session: session, Length: 16}
	if session != 0 {
		request.Password = sessionPassword(session)
	}
	var reply connectReply
	_, err = w.call(&reply, request)
	return reply.Session, err
}

// closeSession ends the session of the connection.
func (w *wire) closeSession() error {
	var reply replyHeader
	_, err := w.call(&reply, requestHeader{Xid: 1, Op: OpClose})
	return errors.Join(err, reply.error())
}

// dialSession connects to the first server of a connect string, and makes the handshake.
func dialSession(connectString string, who identity.Files, session int64) (w *wire, granted int64, err error) {
	conn, err := Dial(firstServer(connectString), who, 2*time.Second)
	if err != nil {
		return nil, 0, err
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	w = newWire(conn)
	if granted, err = w.handshake(session); err != nil {
		conn.Close()
	}
	return w, granted, err
}

func firstServer(connectString string) string {
	servers, _, _ := strings.Cut(connectString, "/")
	first, _, _ := strings.Cut(servers, ",")
	return first
}

// ExpireSession ends a session from outside: it takes the session over with a
// connection of its own and closes it. The session's ephemeral znodes are gone when
// ExpireSession returns; the session's owner learns of it when it connects again.
// A session that the server does not know is an error.
func ExpireSession(connectString string, session int64) error {
	return ExpireSessionAs(connectString, session, adminOf(connectString))
}

// ExpireSessionAs is ExpireSession with a certificate. Servers ask only for the session's id and
// password, and the password follows from the id.
func ExpireSessionAs(connectString string, session int64, who identity.Files) error {
	for attempt := 0; ; attempt++ {
		known, err := takeOver(connectString, session, who)
		switch {
		case err == nil && !known && attempt == 0:
			return fmt.Errorf("expire session 0x%x: %s does not know it", session, connectString)
		case err == nil: // an earlier attempt has ended an unknown session, and its answer was lost
			return nil
		case attempt == 100:
			return fmt.Errorf("expire session 0x%x: %w", session, err)
		}
		// The owner may have connected again, which ends this connection.
		time.Sleep(20 * time.Millisecond)
	}
}

// takeOver continues a session, and ends it.
func takeOver(connectString string, session int64, who identity.Files) (known bool, err error) {
	w, granted, err := dialSession(connectString, who, session)
	if err != nil {
		return false, err
	}
	defer w.Close()
	if granted == 0 {
		return false, nil
	}
	return true, w.closeSession()
}

// sessionPassword computes the password that the server gave to the session's owner: 16
// bytes of java.util.Random, whose seed is the session's id.
func sessionPassword(session int64) (password [16]byte) {
	const (
		superSecret = 0xB3415C00 // of ZooKeeperServer
		multiplier  = 0x5DEECE66D
		mask        = 1<<48 - 1
	)
	state := (uint64(session^superSecret) ^ multiplier) & mask
	for i := range 4 {
		state = (state*multiplier + 0xB) & mask
		binary.LittleEndian.PutUint32(password[4*i:], uint32(state>>16))
	}
	return password
}

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
	packet := bytes.NewReader(multi)
	err = decode(packet, new(requestHeader))
	for err == nil {
		var header multiHeader
		if err = decode(packet, &header); err != nil || header.Done {
			break
		}
		op := MultiOp{Op: header.Op}
		var path []byte
		path, err = decodeBytes(packet)
		op.Path = string(path)
		switch {
		case err != nil:
		case op.Op == OpSetData:
			op.Data, err = decodeBytes(packet)
		case op.Op != OpCheck && op.Op != OpDelete:
			err = fmt.Errorf("operation %d is %s", len(ops), op.Op)
		}
		if err == nil {
			err = decode(packet, &op.Version)
		}
		ops = append(ops, op)
	}
	return ops, err
}

// An Answer is a server's answer to a multi.
type Answer struct {
	Session   int64 // that the multi was sent on
	Zxid      int64 // a refused multi has one too
	Refused   int32 // ZooKeeper's error code; 0 if the multi was carried out
	RefusedAt int   // the operation that was refused; -1 if none was
}

// Deliver sends a multi as it was caught, byte by byte, on a new session, and ends the session.
// So the write of a program whose session has ended arrives after all. A client library does
// that when it sends its queue on the session that it opens next. The zero value of who
// connects without TLS.
func Deliver(connectString string, who identity.Files, multi []byte) (a Answer, err error) {
	w, session, err := dialSession(connectString, who, 0)
	if err != nil {
		return a, err
	}
	defer w.Close()
	a = Answer{Session: session, RefusedAt: -1}
	var reply replyHeader
	body, err := w.call(&reply, multi)
	if err == nil {
		err = reply.error()
	}
	a.Zxid = reply.Zxid
	// Each result of a refused multi is an error. It is 0 before the refused operation.
	const opError = -1
	for i := 0; err == nil && a.Refused == 0; i++ {
		var result multiHeader
		if err = decode(body, &result); err != nil || result.Done || result.Op != opError {
			break
		}
		if result.Err != 0 {
			a.Refused, a.RefusedAt = result.Err, i
		}
		err = decode(body, new(int32)) // the error once more
	}
	if err != nil {
		return a, fmt.Errorf("deliver: %w", err)
	}
	return a, w.closeSession()
}
