package zkwire

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"taskkeeper/internal/identity"
)

// Ask sends one of ZooKeeper's four-letter words to a server, host:port, and returns the
// answer, at most 64 KB of it. When Ask fails, the answer may be incomplete. Ask ends at the
// latest with ctx. Without files it uses no TLS.
func Ask(ctx context.Context, server string, files identity.Files, word string) (answer string, err error) {
	c, err := connect(ctx, "tcp", server, 0, files)
	if err != nil {
		return "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, err = io.WriteString(c, word); err == nil {
		var b []byte
		b, err = io.ReadAll(io.LimitReader(c, 64<<10))
		answer = string(b)
	}
	if err != nil {
		err = fmt.Errorf("ask %s %s: %w", server, word, cmp.Or(context.Cause(ctx), err))
	}
	return answer, err
}

// connect connects to a server. timeout bounds the TCP handshake alone; 0 means no bound but
// ctx.
func connect(ctx context.Context, network, server string, timeout time.Duration, files identity.Files) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	raw, err := d.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	return files.Secure(ctx, quiet(raw), server)
}

// speaksTLS reports whether a server answers a TLS handshake. It accepts any certificate,
// because it sends no data.
func speaksTLS(ctx context.Context, server string) (speaks bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return false
	}
	defer raw.Close()
	enough := func(tls.ConnectionState) error { speaks = true; return errors.New("this is all we ask") }
	_ = tls.Client(raw, &tls.Config{InsecureSkipVerify: true, VerifyConnection: enough}).HandshakeContext(ctx)
	return speaks
}
