package session

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/go-zookeeper/zk"
)

// RefusedPause is how long whoever may not use a permanent znode waits until it tries
// again. Nothing tells when an ACL is changed: no watch fires.
const RefusedPause = 2 * time.Second

// The rights of an ACL that the service needs on its permanent znodes.
const (
	RightRead   = "read"
	RightCreate = "create"
	RightDelete = "delete"
)

// Patiently does call again and again for as long as it is refused for want of a right
// on a permanent znode, and until ctx ends. It says so once, and once that it goes on.
func Patiently(ctx context.Context, log *slog.Logger, znode, right string, call func() error) error {
	refused := false
	for {
		err := call()
		switch {
		case errors.Is(err, zk.ErrNoAuth) && ctx.Err() == nil:
			if !refused {
				refused = true
				Refused(log, znode, right, err)
			}
			pause(ctx, RefusedPause)
			if ctx.Err() == nil {
				continue
			}
		case err == nil && refused:
			Allowed(log, znode, right)
		}
		return err
	}
}

// Refused says that a right is missing.
func Refused(log *slog.Logger, znode, right string, err error) {
	log.Warn("not allowed: trying again until it is", "znode", znode, "right", right, "err", err)
}

// Allowed says that it is there again.
func Allowed(log *slog.Logger, znode, right string) {
	log.Info("allowed again", "znode", znode, "right", right)
}
