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
	// ErrUnknown means that the connection was lost before the answer came:
	// the call may have been carried out, now or a little later. Call Sync,
	// then read.
	ErrUnknown = errors.New("outcome unknown")
	// ErrTooLarge means that a Multi exceeds MaxPacket, or what these servers
	// take. It was not sent.
	ErrTooLarge = errors.New("too large")
	// ErrQuota means that a write would exceed a quota that the servers enforce.
	// It was not carried out, and will not be until the quota is raised or
	// something removed.
	ErrQuota = errors.New("quota exceeded")
	// ErrAuthRequired means that the servers answer nobody who has not
	// authenticated. It ends the session, and Run.
	ErrAuthRequired = errors.New("the servers demand authentication")

	// errThrottled means that the servers had too much to do and dropped the
	// request. It is repeated here.
	errThrottled = errors.New("throttled")
	// errRefused is for refusals that nobody branches on.
	errRefused = errors.New("refused by the servers")
)

// named gives a name to an error that a server answered with, where go-zookeeper
// has none or a wrong one.
func named(err error) error {
	var code int32
	switch {
	case err == nil:
		return nil
	case errors.Is(err, zk.ErrNoAuth):
		return noAuth{}
	}
	// The library keeps the number to itself: only its text tells.
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
	case code < -100: // of the operation; the others are of the system
		return fmt.Errorf("%w: error %d", errRefused, code)
	}
	return err
}

// noAuth is zk.ErrNoAuth, whose text says "not authenticated": the server knows who
// asks well enough, and the ACL does not let him.
type noAuth struct{ why string }

func (e noAuth) Error() string { return strings.TrimSuffix("no permission: "+e.why, ": ") }
func (noAuth) Unwrap() error   { return zk.ErrNoAuth }

// definite tells whether an error speaks of the operation itself. Some speak of
// the session, and go-zookeeper has no names for all of those.
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

// OpError says which operation a Multi failed at; nothing of it was carried
// out. It unwraps to zk.ErrNoNode, zk.ErrBadVersion, ErrQuota and the like.
type OpError struct {
	Index int // in the Multi's operations
	Op    Op
	Err   error
}

func (e *OpError) Error() string {
	text := e.Op.String() + ": " + e.Err.Error()
	if errors.Is(e.Err, ErrQuota) { // which is a directory's, or of one above
		text += " on " + parent(e.Op.Path)
	}
	return text
}

func (e *OpError) Unwrap() error { return e.Err }

// parent is the path of the znode above.
func parent(path string) string { return path[:max(1, strings.LastIndexByte(path, '/'))] }
