package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// RefusedPause is how long whoever may not use a permanent znode waits until it tries
// again. Nothing tells when an ACL is changed: no watch fires.
const RefusedPause = 2 * time.Second

// Right is one of an ACL's that the service needs on its permanent znodes.
type Right string

const (
	RightRead   Right = "read"
	RightCreate Right = "create"
	RightDelete Right = "delete"
)

// Refused tells whether a call was refused for want of a right.
func Refused(err error) bool { return errors.Is(err, zk.ErrNoAuth) }

// Rights says which rights are missing on the permanent znodes, each once, and once
// that it is there again. No program ends because of that: it tries again. The methods
// may be called from any goroutine.
type Rights struct {
	log *slog.Logger

	mu      sync.Mutex // guards missing
	missing map[lack]bool
}

type lack struct {
	znode string
	right Right
}

// NewRights returns one that knows of no missing right.
func NewRights(log *slog.Logger) *Rights {
	return &Rights{log: log, missing: make(map[lack]bool)}
}

// Lacks says that a call was refused.
func (r *Rights) Lacks(znode string, right Right, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := (lack{znode, right}); !r.missing[l] {
		r.missing[l] = true
		r.log.Warn("not allowed, trying again until it is", "znode", znode, "right", string(right), "err", err)
	}
}

// Has says that such a call was carried out.
func (r *Rights) Has(znode string, right Right) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := (lack{znode, right}); r.missing[l] {
		delete(r.missing, l)
		r.log.Info("allowed again", "znode", znode, "right", string(right))
	}
}

// Patiently repeats a call for as long as it is refused for want of a right, and until
// ctx ends.
func (r *Rights) Patiently(ctx context.Context, znode string, right Right, call func() error) error {
	for {
		err := call()
		switch {
		case err == nil:
			r.Has(znode, right)
			return nil
		case !Refused(err) || ctx.Err() != nil:
			return err
		}
		r.Lacks(znode, right, err)
		pause(ctx, RefusedPause)
		if ctx.Err() != nil {
			return err
		}
	}
}
