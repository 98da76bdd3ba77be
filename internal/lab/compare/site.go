package compare

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/load"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

// site is the service on servers of its own: two masters, two workers with eight slots
// each, and a client in this process.
type site struct {
	*harness.Cluster
	client  *load.Client
	session session.Config
	masters int // started so far
}

func open(ctx context.Context, servers int) (s *site, err error) {
	s = new(site)
	if s.Cluster, err = harness.NewCluster(harness.Config{Servers: servers, Timeout: sessionTimeout, Chroot: "/compare"}); err != nil {
		return nil, err
	}
	for range 2 {
		if err == nil {
			err = s.addMaster(ctx)
		}
	}
	for _, name := range []string{"worker-1", "worker-2"} {
		if err == nil {
			err = s.Ready(ctx, name, "registered", "--slots", "8")
		}
	}
	var address session.Address
	if err == nil {
		address, err = session.ParseAddress(s.Connect())
	}
	if err != nil {
		s.close()
		return nil, err
	}
	s.session = session.Config{Address: address, Timeout: sessionTimeout}
	s.client = load.Open(ctx, s.session)
	return s, nil
}

func (s *site) close() {
	if s.client != nil {
		s.client.Close() // what it could not withdraw goes with its server
	}
	s.Cluster.Close()
}

func (s *site) addMaster(ctx context.Context) error {
	s.masters++
	ready := "backup"
	if s.masters == 1 {
		ready = "leader"
	}
	return s.Ready(ctx, fmt.Sprintf("master-%d", s.masters), ready)
}

// masterFails ends the leader by a signal while tasks go on, and returns the time until the
// next assignment.
func (s *site) masterFails(ctx context.Context, sig syscall.Signal) (took time.Duration, err error) {
	err = s.stream(ctx, nil, func() error {
		hit := time.Now()
		if err := s.Signal(s.Leader(), sig); err != nil {
			return err
		}
		e, err := s.Await(ctx, hit, "a new leader", func(e harness.Event) bool { return e.Msg == "leader" })
		if err != nil {
			return err
		}
		first, err := s.Await(ctx, e.Time, "an assignment", func(e harness.Event) bool { return strings.HasPrefix(e.Msg, "assigned") })
		took = first.Time.Sub(hit)
		return err
	})
	if err == nil {
		err = s.addMaster(ctx)
	}
	return took, err
}

// serverFails kills a server and starts it again at once, while tasks go on. It returns
// the longest time without a result.
func (s *site) serverFails(ctx context.Context, server *zktest.Server) (longest time.Duration, err error) {
	var mu sync.Mutex // guards longest and last
	last := time.Now()
	err = s.stream(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		longest = max(longest, time.Since(last))
		last = time.Now()
	}, func() error {
		mu.Lock()
		longest, last = 0, time.Now()
		mu.Unlock()
		server.Kill()
		if err := server.Restart(); err != nil {
			return err
		}
		return harness.Pause(ctx, 5*time.Second)
	})
	return longest, err
}

// stream keeps eight tasks of 20 ms in flight while do runs, and calls done with each result.
func (s *site) stream(ctx context.Context, done func(), do func() error) error {
	ended := make(chan struct{})
	var streamed errgroup.Group
	streamed.Go(func() error {
		return s.client.Each(ctx, 8, func(int) (string, bool) {
			select {
			case <-ended:
				return "", false
			default:
				return "0.02", true
			}
		}, done)
	})
	err := harness.Pause(ctx, time.Second)
	if err == nil {
		err = do()
	}
	close(ended)
	if serr := streamed.Wait(); err == nil {
		err = serr
	}
	return err
}

// writers is how many writes are under way at once.
const writers = 64

// writes measures the bare servers: how many znodes are written in a second, some of them
// in each Multi.
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
