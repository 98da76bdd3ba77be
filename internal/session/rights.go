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

// Lacks says that a call was refused: on that znode, or where the error tells the
// operation of a Multi, on the one above that. It returns which.
func (r *Rights) Lacks(znode string, right Right, err error) (on string) {
	var refused *OpError
	if errors.As(err, &refused) && (refused.Op.kind == opCreate || refused.Op.kind == opDelete) {
		znode = parent(refused.Op.Path)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := (lack{znode, right}); !r.missing[l] && !NoPolicy(err) {
		r.missing[l] = true
		what := "a right is missing"
		if errors.Is(err, ErrQuota) {
			what = "a quota is in the way"
		}
		r.log.Warn(what, "znode", znode, "right", string(right), "err", err)
	}
	return znode
}

// Has says that such a call was carried out.
func (r *Rights) Has(znode string, right Right) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := (lack{znode, right}); r.missing[l] {
		delete(r.missing, l)
		r.log.Warn("the right is back", "znode", znode, "right", string(right))
	}
}

// Patiently repeats a call for as long as it is refused for want of a right, and until
// ctx ends: then it returns the refusal. Lacks tells which znode it is about.
func (r *Rights) Patiently(ctx context.Context, znode string, right Right, call func() error) error {
	return r.patiently(ctx, znode, right, Refused, call)
}

// RegisterPatiently is Patiently for a role's own znode: a quota is waited for as well, for
// a program that runs is not to end by it.
func (r *Rights) RegisterPatiently(ctx context.Context, dir string, call func() error) error {
	waits := func(err error) bool { return Refused(err) || errors.Is(err, ErrQuota) }
	return r.patiently(ctx, dir, RightCreate, waits, call)
}

func (r *Rights) patiently(ctx context.Context, znode string, right Right, waits func(error) bool, call func() error) error {
	for on := znode; ; {
		err := call()
		if !waits(err) || ctx.Err() != nil {
			if err == nil {
				r.Has(on, right)
			}
			return err
		}
		on = r.Lacks(znode, right, err)
		pause(ctx, RefusedPause)
		if ctx.Err() != nil {
			return err
		}
	}
}
