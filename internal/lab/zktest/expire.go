package zktest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"taskkeeper/internal/identity"
)

// ExpireSession ends a session from outside: it takes the session over with a
// connection of its own and closes it. Its ephemeral znodes are gone when
// ExpireSession returns; its owner learns of it when it connects again.
// A session that the server does not know is an error.
func ExpireSession(addr string, session int64) error {
	return ExpireSessionAs(addr, session, adminOf(addr))
}

// ExpireSessionAs is ExpireSession as somebody. Servers care for the session's id and
// password only, and the password follows from the id.
func ExpireSessionAs(addr string, session int64, who identity.Files) error {
	addr, _, _ = strings.Cut(addr, "/")
	addr, _, _ = strings.Cut(addr, ",")
	for attempt := 0; ; attempt++ {
		known, err := closeSession(addr, session, who)
		switch {
		case err == nil && !known && attempt == 0:
			return fmt.Errorf("expire session 0x%x: %s does not know it", session, addr)
		case err == nil:
			return nil // not known after an attempt whose answer was lost: that one did it
		case attempt == 100:
			return fmt.Errorf("expire session 0x%x: %w", session, err)
		}
		// Its owner may have reconnected in between, which cuts us off.
		time.Sleep(20 * time.Millisecond)
	}
}

func closeSession(addr string, session int64, who identity.Files) (known bool, err error) {
	conn, err := Dial(addr, who, 2*time.Second)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))

	granted, err := handshake(conn, session, sessionPassword(session))
	if granted == 0 || err != nil {
		return false, err
	}
	return true, endSession(conn)
}

// handshake asks for a session, or for a new one if that is 0, and returns the
// one granted: 0 if the server does not know it.
func handshake(conn net.Conn, session int64, password []byte) (granted int64, err error) {
	big := binary.BigEndian
	connect := big.AppendUint32(nil, 0)         // protocol version
	connect = big.AppendUint64(connect, 0)      // last zxid seen
	connect = big.AppendUint32(connect, 10_000) // timeout, ms
	connect = big.AppendUint64(connect, uint64(session))
	connect = big.AppendUint32(connect, uint32(len(password)))
	connect = append(connect, password...)
	reply, err := call(conn, connect) // version 4 · timeout 4 · session 8 · password
	if err != nil {
		return 0, err
	}
	if len(reply) < 16 {
		return 0, fmt.Errorf("connect: short reply % x", reply)
	}
	return int64(big.Uint64(reply[8:])), nil
}

// endSession closes the session of a connection.
func endSession(conn net.Conn) error {
	const opCloseSession = -11
	request := binary.BigEndian.AppendUint32(nil, 1) // xid
	request = binary.BigEndian.AppendUint32(request, uint32(opCloseSession&0xffffffff))
	reply, err := call(conn, request) // xid 4 · zxid 8 · error 4
	if err != nil {
		return err
	}
	if len(reply) < 16 || binary.BigEndian.Uint32(reply[12:]) != 0 {
		return fmt.Errorf("close session: reply % x", reply)
	}
	return nil
}

// call sends one length-prefixed packet and reads the next one.
func call(conn net.Conn, packet []byte) ([]byte, error) {
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(packet)))
	if _, err := conn.Write(append(frame, packet...)); err != nil {
		return nil, err
	}
	return read(conn)
}

func read(conn net.Conn) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 1<<20 {
		return nil, fmt.Errorf("reply of %d bytes", n)
	}
	reply := make([]byte, n)
	_, err := io.ReadFull(conn, reply)
	return reply, err
}

// sessionPassword computes what the server gave to the session's owner: 16
// bytes of java.util.Random, seeded with nothing but the session's id.
func sessionPassword(session int64) []byte {
	const (
		superSecret = 0xB3415C00 // of ZooKeeperServer
		multiplier  = 0x5DEECE66D
		mask        = 1<<48 - 1
	)
	state := (uint64(session^superSecret) ^ multiplier) & mask
	var password []byte
	for range 4 {
		state = (state*multiplier + 0xB) & mask
		password = binary.LittleEndian.AppendUint32(password, uint32(state>>16))
	}
	return password
}
