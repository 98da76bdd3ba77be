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

// handshakeBound is how long a server may take for the handshake. Each gets its
// share of two thirds of the timeout: a frozen one must leave time to reach another
// before the session expires. None gets more than 5 s: a server that restarts can
// swallow a handshake, and answers the next one.
func handshakeBound(timeout time.Duration, servers int) time.Duration {
	return min(timeout*2/3/time.Duration(servers), 5*time.Second)
}

// silenceBound is for how long a server may say nothing until the connection is given
// up. The library waits for two thirds of the timeout, and has pings answered in
// half of that. With a timeout of hours nobody would notice for hours that the other
// end is gone; to connect again costs little.
func silenceBound(timeout time.Duration) time.Duration {
	return min(timeout*2/3, 20*time.Second)
}

// longPing is how often a server is pinged where the library would do so later.
const longPing = 5 * time.Second

// pingsRarely tells whether the library does.
func pingsRarely(timeout time.Duration) bool { return silenceBound(timeout) < timeout*2/3 }

// greet waits for the whole answer to the handshake, and leaves it in the buffer.
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
	if answer.session != 0 { // else it has expired: the library's event follows
		c.t.granted(answer)
	}
	return nil
}

// ungreeted says why a handshake was not answered. A server that closes it, and serves
// others, refuses this session.
func (c *conn) ungreeted(err error) {
	var fault *identity.Error
	switch {
	case errors.As(err, &fault): // it says all
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

// serves tells whether a server serves clients: one that is down, starting or
// without a quorum does not, and is waited for. It asks by the four-letter word
// srvr, which is allowed by default. A server without a quorum answers that too,
// but not with its mode; or it is read-only, and refuses whoever may write.
func serves(ctx context.Context, server string, files identity.Files) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	answer, _ := Ask(ctx, server, files, "srvr")
	return strings.Contains(answer, "Mode: ") && !strings.Contains(answer, "Mode: read-only")
}
