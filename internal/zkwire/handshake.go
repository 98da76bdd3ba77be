package zkwire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"taskkeeper/internal/identity"
)

// handshakeBound is how long a server may take for the handshake: its share of two thirds
// of the session timeout, because a frozen server must leave time to reach another before
// the session expires; and at most 5 s, because a restarting server can drop a handshake,
// and answers the next one.
func handshakeBound(timeout time.Duration, servers int) time.Duration {
	return min(timeout*2/3/time.Duration(servers), 5*time.Second)
}

// silenceBound is how long a server may be silent before the connection is given up. The
// library waits for two thirds of the session timeout, and sends a ping after half of that.
// With a timeout of hours a dead server would go unnoticed for hours, and a new connection
// costs little.
func silenceBound(timeout time.Duration) time.Duration {
	return min(timeout*2/3, 20*time.Second)
}

// longPing is how often this package sends a ping if the library's pings are too rare for
// silenceBound.
const longPing = 5 * time.Second

// pingsRarely reports whether the library's pings are too rare.
func pingsRarely(timeout time.Duration) bool { return silenceBound(timeout) < timeout*2/3 }

// greet waits until the whole answer to the handshake is in the buffer.
func (c *conn) greet() error {
	head, err := c.r.Peek(connectHeadEnd)
	if err != nil {
		return err
	}
	answer, err := parseConnect(head)
	if err != nil {
		return err
	}
	if _, err := c.r.Peek(answer.size); err != nil {
		return err
	}
	c.rest = answer.size
	if answer.session != 0 { // 0: the session has expired, which the library reports
		c.t.granted(answer)
	}
	return nil
}

// ungreeted records why a handshake was not answered. If the server closed the connection
// but serves others, it refuses this session.
func (c *conn) ungreeted(err error) {
	var fault *identity.Error
	switch {
	case errors.As(err, &fault): // its text is complete
	case isTimeout(err), c.t.SessionID() != 0, !c.t.cfg.TLS.IsZero(), !speaksTLS(c.t.ctx, c.server):
		err = fmt.Errorf("%s: no answer to the handshake: %w", c.server, err)
	default:
		err = fmt.Errorf("%s: it speaks TLS: is that its secureClientPort? Give --tls-ca or $%s", c.server, identity.CAVariable)
	}
	c.t.failed(err)
	if fault == nil && !isTimeout(err) && c.t.SessionID() != 0 && serves(c.t.ctx, c.server, c.t.cfg.TLS) {
		c.t.cfg.Refused(c.server)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// serves reports whether a server serves clients. A server that is down, starting or without
// a quorum does not. serves sends the four-letter word srvr, which servers allow by default.
// A server without a quorum answers without its mode, or as read-only; a read-only server
// refuses sessions that may write.
func serves(ctx context.Context, server string, files identity.Files) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	answer, _ := Ask(ctx, server, files, "srvr")
	return strings.Contains(answer, "Mode: ") && !strings.Contains(answer, "Mode: read-only")
}
