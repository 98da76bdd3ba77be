package session

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/go-zookeeper/zk"
)

var (
	// ErrOver means that the session is over. A call that was under way may
	// have been carried out.
	ErrOver = errors.New("session over")
	// ErrUnknown means that the connection was lost before the answer arrived.
	// The call may have been carried out, or may be a little later. Call Sync,
	// then read.
	ErrUnknown = errors.New("outcome unknown")
	// ErrTooLarge means that a Multi exceeds Session.MaxPacket. It was not sent.
	ErrTooLarge = errors.New("too large")
	// ErrQuota means that a write would exceed a quota that the servers enforce.
	// It was not carried out, and will not be until someone raises the quota or
	// removes something.
	ErrQuota = errors.New("quota exceeded")
	// ErrAuthRequired means that the servers only answer clients that have
	// authenticated. It ends the session, and Run.
	ErrAuthRequired = errors.New("the servers demand authentication")

	// errThrottled means that an overloaded server dropped the request. This
	// package repeats the request.
	errThrottled = errors.New("throttled")
	// errRefused is for the other refusals: no caller branches on them.
	errRefused = errors.New("refused by the servers")
)

// named returns a named error for an answer of a server for which go-zookeeper has no
// name, or a wrong one.
func named(err error) error {
	var code int32
	switch {
	case err == nil:
		return nil
	case errors.Is(err, zk.ErrNoAuth):
		return noAuth{}
	}
	// The library does not export the number: it is only in the text.
	if _, serr := fmt.Sscanf(err.Error(), "unknown error: %d", &code); serr != nil {
		return err
	}
	switch {
	case code == -124:
		return ErrAuthRequired
	case code == -125:
		return ErrQuota
	case code == -127:
		return errThrottled
	case code < -100: // an error of the operation; others are errors of the system
		return fmt.Errorf("%w: error %d", errRefused, code)
	}
	return err
}

// noAuth is zk.ErrNoAuth with a better text. The library's says "not authenticated", but
// the client is: the ACL does not give it the right.
type noAuth struct{ why string }

func (e noAuth) Error() string { return strings.TrimSuffix("no permission: "+e.why, ": ") }
func (noAuth) Unwrap() error   { return zk.ErrNoAuth }

// definite reports whether an error is the answer to the operation itself. Other errors are
// about the session, and go-zookeeper does not name all of them.
func definite(err error) bool {
	for _, e := range []error{
		zk.ErrNoNode, zk.ErrNodeExists, zk.ErrBadVersion, zk.ErrNotEmpty, zk.ErrNoAuth, zk.ErrInvalidACL,
		zk.ErrNoChildrenForEphemerals, zk.ErrBadArguments, zk.ErrInvalidPath, ErrQuota, errRefused,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func connectionLost(err error) bool {
	var ne net.Error
	return errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer) ||
		errors.Is(err, zk.ErrSessionMoved) || errors.Is(err, zk.ErrSessionExpired) || errors.As(err, &ne)
}

// OpError names the operation at which a Multi failed: no operation was carried out. It
// unwraps to zk.ErrNoNode, zk.ErrBadVersion, ErrQuota and the like.
type OpError struct {
	Index int // in the Multi's operations
	Op    Op
	Err   error
}

func (e *OpError) Error() string {
	text := e.Op.String() + ": " + e.Err.Error()
	if errors.Is(e.Err, ErrQuota) { // a quota is set on the parent, or on a znode above it
		text += " on " + parent(e.Op.Path)
	}
	return text
}

func (e *OpError) Unwrap() error { return e.Err }

// parent is the path of the znode above.
func parent(path string) string { return path[:max(1, strings.LastIndexByte(path, '/'))] }
