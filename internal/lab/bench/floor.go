package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/client"
	"taskkeeper/internal/lab/load"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func floorLatency(ctx context.Context, rd *round) ([]sample, error) {
	f, err := openFloor(rd.cfg.Address)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if _, _, err := f.run(ctx, 1, 1, rd.long(0)); err != nil { // they do not count
		return nil, err
	}
	all, passed, err := f.run(ctx, 1, 1, rd.long(time.Second))
	if err != nil {
		return nil, err
	}
	return append(latencies(all), took(withCleanUp, passed/time.Duration(len(all)))), nil
}

func floorRate(ctx context.Context, rd *round) ([]sample, error) {
	f, err := openFloor(rd.cfg.Address)
	if err != nil {
		return nil, err
	}
	defer f.close()
	var rates, costs []sample
	for _, batch := range []int{1, 100} {
		before := rd.usage()
		// A client of the service has as many tasks under way by default.
		turns, passed, err := f.run(ctx, min(mostCalls, client.DefaultWindow/batch), batch, rd.long(3*time.Second))
		if err != nil {
			return nil, err
		}
		n := len(turns) * batch
		rates = append(rates, sample{what: batchOf(batch), unit: perSecond, value: float64(n) / passed.Seconds()})
		costs = append(costs, rd.usage().since(before, n, fmt.Sprintf(" (batch %d)", batch))...)
	}
	return append(rates, costs...), nil
}

// mostCalls is how many calls of the floor are under way at once, at most.
const mostCalls = 64

// floor makes the calls that a task costs, by go-zookeeper alone: it waits for nobody,
// decides nothing and repeats nothing. A service that makes these calls cannot be faster on
// the same server.
type floor struct {
	root                   string
	client, master, worker *zk.Conn // three sessions, as the three programs have
	candidate              string
	underway               chan struct{} // has one element for each call
}

func openFloor(at session.Address) (f *floor, err error) {
	f = &floor{root: at.Chroot, underway: make(chan struct{}, mostCalls)}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	for _, to := range []**zk.Conn{&f.client, &f.master, &f.worker} {
		*to, _, err = zk.Connect(at.Servers, session.DefaultTimeout, zk.WithLogger(log.New(io.Discard, "", 0)), zk.WithDialer(dial))
		if err != nil {
			return f, err
		}
	}
	f.candidate, err = f.master.Create(f.root+task.MasterDir+"/floor-", nil, zk.FlagEphemeral|zk.FlagSequence, anyone)
	return f, err
}

// close ends the sessions, which deletes all that the floor has created.
func (f *floor) close() {
	for _, c := range []*zk.Conn{f.client, f.master, f.worker} {
		if c != nil {
			c.Close()
		}
	}
}

// dial makes a connection that is read through a buffer, as the programs do: the floor must
// not be slower than they are.
func dial(network, addr string, timeout time.Duration) (net.Conn, error) {
	c, err := net.DialTimeout(network, addr, timeout)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

type conn struct {
	net.Conn
	r *bufio.Reader
}

func (c *conn) Read(p []byte) (int, error) { return c.r.Read(p) }

var anyone = zk.WorldACL(zk.PermAll)

// workers creates n znodes of free workers, and returns their paths.
func (f *floor) workers(n int) ([]string, error) {
	var paths []string
	var reqs []any
	for range n {
		path := f.root + task.WorkerPath(uuid.NewString())
		paths = append(paths, path)
		reqs = append(reqs, &zk.CreateRequest{Path: path, Acl: anyone, Flags: zk.FlagEphemeral})
	}
	_, err := f.worker.Multi(reqs...)
	return paths, err
}

// turn executes one task on each worker: their writes of one kind are one Multi, their reads
// are concurrent, and there is one watch for all. It returns when the client had the results.
func (f *floor) turn(workers []string) (fetched time.Time, err error) {
	var data, states []string
	var create, commit, clean []any
	assign := []any{&zk.CheckVersionRequest{Path: f.candidate, Version: -1}}
	for i, worker := range workers {
		id := task.NewID()
		data, states = append(data, f.root+task.DataPath(id)), append(states, f.root+task.StatePath(id))
		create = append(create,
			&zk.CreateRequest{Path: data[i], Data: []byte("0"), Acl: anyone, Flags: zk.FlagEphemeral},
			&zk.CreateRequest{Path: states[i], Data: []byte("pending"), Acl: anyone, Flags: zk.FlagEphemeral})
		assign = append(assign,
			&zk.CheckVersionRequest{Path: states[i]},
			&zk.SetDataRequest{Path: worker, Data: []byte(id), Version: -1})
		commit = append(commit,
			&zk.SetDataRequest{Path: worker, Version: -1},
			&zk.SetDataRequest{Path: states[i], Data: []byte("done 0")})
		clean = append(clean,
			&zk.DeleteRequest{Path: data[i], Version: -1},
			&zk.DeleteRequest{Path: states[i], Version: -1})
	}
	call := func(do func() error) {
		if err == nil {
			err = f.call(do)
		}
	}
	multi := func(c *zk.Conn, reqs []any) {
		call(func() error {
			_, err := c.Multi(reqs...)
			return err
		})
	}
	get := func(c *zk.Conn, paths []string) {
		if err == nil {
			err = f.get(c, paths)
		}
	}
	var changed <-chan zk.Event
	multi(f.client, create)
	call(func() (err error) {
		_, _, changed, err = f.client.GetW(states[len(states)-1])
		return err
	})
	multi(f.master, assign)
	get(f.worker, workers)
	get(f.worker, data)
	multi(f.worker, commit)
	if err == nil {
		err = (<-changed).Err
	}
	get(f.client, states)
	fetched = time.Now()
	multi(f.client, clean)
	return fetched, err
}

// call makes a call as soon as fewer than mostCalls are under way.
func (f *floor) call(do func() error) error {
	f.underway <- struct{}{}
	defer func() { <-f.underway }()
	return do()
}

// get reads znodes concurrently.
func (f *floor) get(c *zk.Conn, paths []string) error {
	var all errgroup.Group
	for _, path := range paths {
		all.Go(func() error {
			return f.call(func() error {
				_, _, err := c.Get(path)
				return err
			})
		})
	}
	return all.Wait()
}

// run executes tasks in some pipelines, each a batch at a time, until a time has passed. It
// returns how long each turn took from its submission to its results, and how long all took.
func (f *floor) run(ctx context.Context, pipelines, batch int, long time.Duration) (turns []time.Duration, passed time.Duration, err error) {
	var mu sync.Mutex // guards turns
	var all errgroup.Group
	began := time.Now()
	for range pipelines {
		all.Go(func() error {
			workers, err := f.workers(batch)
			for err == nil && time.Since(began) < long {
				submitted := time.Now()
				var fetched time.Time
				if fetched, err = f.turn(workers); err == nil {
					err = context.Cause(ctx)
				}
				mu.Lock()
				turns = append(turns, fetched.Sub(submitted))
				mu.Unlock()
			}
			return err
		})
	}
	err = all.Wait()
	return turns, time.Since(began), err
}

// latencies are the figures of tasks that were executed one after the other.
func latencies(all []time.Duration) []sample {
	return []sample{took(untilResult, load.Quantile(all, 0.5)), took("submission to result, p99", load.Quantile(all, 0.99))}
}
