package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/session"
)

// writers is how many writes are under way at once.
const writers = 64

// writes measures the bare servers: how many znodes are written in a second,
// some of them in each Multi.
func (s *site) writes(ctx context.Context, perMulti, multis int) (perSecond float64, err error) {
	zk, err := session.Open(ctx, s.session)
	if err != nil {
		return 0, err
	}
	defer zk.Close()
	var all errgroup.Group
	began := time.Now()
	for w := range writers {
		all.Go(func() error {
			// In the tree of the service, and none of its names.
			path := fmt.Sprintf("/writes-%d", w)
			if _, err := zk.Multi(session.CreateEphemeral(path, nil)); err != nil {
				return err
			}
			ops := make([]session.Op, perMulti)
			for i := range ops {
				ops[i] = session.Set(path, []byte("pending"), session.AnyVersion)
			}
			for range multis {
				if _, err := zk.Multi(ops...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = all.Wait()
	return float64(writers*perMulti*multis) / time.Since(began).Seconds(), err
}
