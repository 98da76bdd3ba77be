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

// Ask sends a server, given as host:port, one of ZooKeeper's four-letter words, and returns
// the answer as far as it came, at most 64 KB. It is bounded by ctx. Without files it speaks
// no TLS.
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

// connect connects to a server. The TCP connection alone may take as long as patience, if
// that is not 0.
func connect(ctx context.Context, network, server string, patience time.Duration, files identity.Files) (net.Conn, error) {
	d := net.Dialer{Timeout: patience}
	raw, err := d.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	return files.Secure(ctx, quiet(raw), server)
}

// speaksTLS tells whether a server begins a TLS handshake. It is told nothing, so its
// certificate may be any.
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
