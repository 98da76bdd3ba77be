package zktest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/identity"
)

// ExpireSession ends a session from outside: it takes the session over with a
// connection of its own and closes it. The session's ephemeral znodes are gone when
// ExpireSession returns; the session's owner learns of it when it connects again.
// A session that the server does not know is an error.
func ExpireSession(connectString string, session int64) error {
	return ExpireSessionAs(connectString, session, serverAt(connectString).Identity("admin"))
}

// ExpireSessionAs is ExpireSession with a certificate. Servers ask only for the session's id and
// password, and the password follows from the id.
func ExpireSessionAs(connectString string, session int64, who identity.Files) error {
	// One attempt is not enough: the owner may connect again before the session is closed.
	for attempt := range 100 {
		known, err := takeOver(connectString, session, who)
		switch {
		case err != nil:
			return fmt.Errorf("expire session 0x%x: %w", session, err)
		case !known && attempt == 0:
			return fmt.Errorf("expire session 0x%x: %s does not know it", session, connectString)
		case !known:
			return nil
		}
	}
	return fmt.Errorf("expire session 0x%x: its owner keeps it", session)
}

// takeOver continues a session, and closes it.
func takeOver(connectString string, session int64, who identity.Files) (known bool, err error) {
	dial := Dialer(who)
	conn, _, err := connect(firstServer(connectString), func(network, addr string, limit time.Duration) (net.Conn, error) {
		conn, err := dial(network, addr, limit)
		return &takeover{Conn: conn, session: session}, err
	})
	if errors.Is(err, zk.ErrSessionExpired) {
		return false, nil
	}
	if err == nil {
		conn.Close()
	}
	return true, err
}

// takeover is a connection whose handshake asks for a session of somebody else.
type takeover struct {
	net.Conn
	session int64
	asked   bool
}

func (c *takeover) Write(p []byte) (int, error) {
	if !c.asked { // length 4 · version 4 · last zxid 8 · timeout 4 · session 8 · length 4 · password 16
		p = slices.Clone(p)
		binary.BigEndian.PutUint64(p[20:], uint64(c.session))
		putPassword(p[32:], c.session)
		c.asked = true
	}
	return c.Conn.Write(p)
}

// putPassword writes the password that the server gave to a session's owner: 16
// bytes of java.util.Random, whose seed is the session's id.
func putPassword(p []byte, session int64) {
	const (
		superSecret = 0xB3415C00 // of ZooKeeperServer
		multiplier  = 0x5DEECE66D
		mask        = 1<<48 - 1
	)
	state := (uint64(session^superSecret) ^ multiplier) & mask
	for i := range 4 {
		state = (state*multiplier + 0xB) & mask
		binary.LittleEndian.PutUint32(p[4*i:], uint32(state>>16))
	}
}
