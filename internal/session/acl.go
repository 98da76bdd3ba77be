package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"
)

// Stat reads a znode's Stat, which needs no right. It fails with zk.ErrNoNode if the znode
// is missing.
func (s *Session) Stat(path string) (stat *zk.Stat, err error) {
	err = s.read("exists", func() error {
		there, found, err := s.conn.Exists(s.full(path))
		if err == nil && !there {
			err = zk.ErrNoNode
		}
		stat = found
		return err
	})
	return stat, s.wrap("get the Stat of", path, zk.PermRead, err)
}

// SetACL replaces a znode's ACL, which must be at version. ErrUnknown and ErrOver mean the
// same as from Multi.
func (s *Session) SetACL(path string, acl []zk.ACL, version int32) error {
	for {
		if err := s.await(); err != nil {
			return err
		}
		began := time.Now()
		_, err := s.conn.SetACL(s.full(path), acl, version)
		s.cfg.Meter.Request("set_acl", began)
		switch {
		case errors.Is(err, zk.ErrNoServer): // it was never sent
			continue
		case err != nil && s.ctx.Err() != nil:
			return s.overErr()
		case err != nil && !definite(err):
			err = fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return s.wrap("set the ACL of", path, zk.PermAdmin, err)
	}
}
