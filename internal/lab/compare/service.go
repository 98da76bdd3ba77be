package compare

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/load"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

// service is two masters and two workers with eight slots each, and clients, on ZooKeeper
// servers of their own.
type service struct {
	*harness.Cluster
	inProcess *load.Client // the client that measures latency
	started   int          // programs so far
}

// open starts a service. The caller must close it.
func open(ctx context.Context, servers int) (s *service, err error) {
	s = new(service)
	if s.Cluster, err = harness.NewCluster(harness.Config{Servers: servers, Timeout: sessionTimeout, Chroot: "/compare"}); err != nil {
		return nil, err
	}
	address, err := session.ParseAddress(s.Connect())
	worker := []string{"worker", "registered", "--slots", "8"}
	for _, p := range [][]string{{"master", "leader"}, {"master", "backup"}, worker, worker} {
		if err == nil {
			_, err = s.start(ctx, p[0], p[1], p[2:]...)
		}
	}
	if err != nil {
		s.Cluster.Close()
		return nil, err
	}
	s.inProcess = load.Open(ctx, session.Config{Address: address, Timeout: sessionTimeout})
	return s, nil
}

func (s *service) close() {
	s.inProcess.Close() // its server is removed with whatever it could not withdraw
	s.Cluster.Close()
}

// start starts a program, waits for the line that it logs when it is ready, and returns the
// name that it has in the cluster.
func (s *service) start(ctx context.Context, program, ready string, args ...string) (name string, err error) {
	s.started++
	name = fmt.Sprintf("%s-%d", program, s.started)
	return name, s.Ready(ctx, name, ready, args...)
}

// submit starts a client that executes some tasks, at most window of them at a time, and waits
// for its first result.
func (s *service) submit(ctx context.Context, tasks int, payload string, window int) (client string, err error) {
	args := append([]string{"run", "--unordered", "--window", fmt.Sprint(window)}, slices.Repeat([]string{payload}, tasks)...)
	return s.start(ctx, "client", harness.Result, args...)
}

// results returns when a client has printed its results.
func (s *service) results(client string) (at []time.Time) {
	for _, e := range s.Events() {
		if e.From == client && e.Msg == harness.Result {
			at = append(at, e.Time)
		}
	}
	return at
}

// rate returns how many of some tasks are done in a second, from the first result to the last.
func (s *service) rate(ctx context.Context) (float64, error) {
	client, err := s.submit(ctx, tasks, "0", window)
	if err != nil {
		return 0, err
	}
	if err := s.Exit(ctx, client, 0); err != nil {
		return 0, err
	}
	at := s.results(client)
	return float64(len(at)-1) / at[len(at)-1].Sub(at[0]).Seconds(), nil
}

// writes returns how many znodes the servers alone write in a second, some of them in each
// Multi.
func (s *service) writes(ctx context.Context, perMulti, multis int) (float64, error) {
	zk, err := s.Session(ctx, "admin", "")
	if err != nil {
		return 0, err
	}
	defer zk.Close()
	var all errgroup.Group
	began := time.Now()
	for w := range writers {
		all.Go(func() error {
			path := fmt.Sprintf("/writes-%d", w) // no name of the service
			if _, err := zk.Multi(session.CreateEphemeral(path, nil)); err != nil {
				return err
			}
			ops := slices.Repeat([]session.Op{session.Set(path, []byte("pending"), session.AnyVersion)}, perMulti)
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

// masterFails ends the leader by a signal while tasks go on, and returns the time until the
// next assignment.
func (s *service) masterFails(ctx context.Context, sig syscall.Signal) (took time.Duration, err error) {
	err = s.loaded(ctx, func(string) error {
		killed := time.Now()
		if err := s.Signal(s.Leader(), sig); err != nil {
			return err
		}
		leader, err := s.Await(ctx, killed, "a new leader", func(e harness.Event) bool { return e.Msg == "leader" })
		if err != nil {
			return err
		}
		first, err := s.Await(ctx, leader.Time, "an assignment", func(e harness.Event) bool { return strings.HasPrefix(e.Msg, "assigned") })
		took = first.Time.Sub(killed)
		return err
	})
	if err == nil {
		_, err = s.start(ctx, "master", "backup")
	}
	return took, err
}

// serverFails kills a server and starts it again at once, while tasks go on. It returns the
// longest time without a result.
func (s *service) serverFails(ctx context.Context, server *zktest.Server) (longest time.Duration, err error) {
	err = s.loaded(ctx, func(client string) error {
		last := time.Now()
		server.Kill()
		if err := server.Restart(); err != nil {
			return err
		}
		if err := harness.Pause(ctx, 5*time.Second); err != nil {
			return err
		}
		for _, at := range append(s.results(client), time.Now()) {
			if at.After(last) {
				longest, last = max(longest, at.Sub(last)), at
			}
		}
		return nil
	})
	return longest, err
}

// loaded calls do while a client keeps eight tasks of 20 ms under way.
func (s *service) loaded(ctx context.Context, do func(client string) error) error {
	const plenty = 50_000 // more tasks than are done meanwhile
	client, err := s.submit(ctx, plenty, "0.02", 8)
	if err == nil {
		err = do(client)
	}
	if err == nil {
		err = s.Signal(client, syscall.SIGTERM)
	}
	if err == nil {
		err = s.Exit(ctx, client, 128+int(syscall.SIGTERM))
	}
	return err
}
