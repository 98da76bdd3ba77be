package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// RefusedPause is the pause between two attempts while a right is missing. No watch fires
// when an ACL is changed.
const RefusedPause = 2 * time.Second

// Right is a right that the service needs on its permanent znodes.
type Right string

const (
	RightRead   Right = "read"
	RightCreate Right = "create"
	RightDelete Right = "delete"
)

// Refused reports whether a call failed because a right is missing.
func Refused(err error) bool { return errors.Is(err, zk.ErrNoAuth) }

// Rights logs which rights on permanent znodes are missing: each once, and once when the
// right is back. No program ends because of a missing right: it tries again. The methods may
// be called from any goroutine.
type Rights struct {
	log *slog.Logger

	mu      sync.Mutex // guards missing
	missing map[lack]bool
}

type lack struct {
	znode string
	right Right
}

// NewRights returns a Rights without a missing right.
func NewRights(log *slog.Logger) *Rights {
	return &Rights{log: log, missing: make(map[lack]bool)}
}

// Lacks records that a call was refused on that znode; if err is an OpError of a create or
// delete, on the parent of its path. It returns the path of the znode.
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
			what = "a quota is exceeded"
		}
		r.log.Warn(what, "znode", znode, "right", string(right), "err", err)
	}
	return znode
}

// Has records that such a call was carried out.
func (r *Rights) Has(znode string, right Right) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := (lack{znode, right}); r.missing[l] {
		delete(r.missing, l)
		r.log.Warn("the right is back", "znode", znode, "right", string(right))
	}
}

// Patiently repeats a call, every RefusedPause, while a right is missing. When ctx ends, it
// returns the refusal. znode and right are for Lacks.
func (r *Rights) Patiently(ctx context.Context, znode string, right Right, call func() error) error {
	return r.patiently(ctx, znode, right, Refused, call)
}

// RegisterPatiently is Patiently for a role's own znode. It also waits while a quota is
// exceeded: a quota must not end a running program.
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
