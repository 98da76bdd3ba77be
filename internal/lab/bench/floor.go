package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/client"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// pipeline is how many of the floor's calls are under way at once.
const pipeline = 64

// floor makes the calls that a task costs, by go-zookeeper alone and without the
// service: nobody waits for anybody, nothing is decided, nothing is repeated. No
// service that makes these calls can be faster on this server.
type floor struct {
	root                   string
	client, master, worker *zk.Conn // three sessions, as the three processes have
	candidate              string
	slots                  chan struct{} // one for each call under way
}

func openFloor(ctx context.Context, at session.Address) (f *floor, err error) {
	f = &floor{root: at.Chroot, slots: make(chan struct{}, pipeline)}
	for _, to := range []**zk.Conn{&f.client, &f.master, &f.worker} {
		c, events, err := zk.Connect(at.Servers, session.DefaultTimeout, zk.WithLogInfo(false), zk.WithLogger(silent{}), zk.WithDialer(dial))
		if err != nil {
			return nil, err
		}
		*to = c
		if err := connected(ctx, events); err != nil {
			f.close()
			return nil, err
		}
	}
	for _, dir := range task.Dirs() {
		if _, err := f.client.Create(f.root+dir, nil, 0, anyone); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			f.close()
			return nil, fmt.Errorf("create %s: %w", f.root+dir, err)
		}
	}
	f.candidate, err = f.master.Create(f.root+task.MasterDir+"/floor-", nil, zk.FlagEphemeral|zk.FlagSequence, anyone)
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// dial gives a connection that reads through a buffer, as the service's own do:
// the floor must not be higher for want of one.
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

type silent struct{}

func (silent) Printf(string, ...any) {}

var anyone = zk.WorldACL(zk.PermAll)

func connected(ctx context.Context, events <-chan zk.Event) error {
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("connect: %w", context.Cause(ctx))
		}
	}
}

// close ends the sessions; what they made goes with them, but the directories.
func (f *floor) close() {
	for _, c := range []*zk.Conn{f.client, f.master, f.worker} {
		if c != nil {
			c.Close()
		}
	}
}

// seat is a worker's znode.
type seat struct {
	path    string
	version int32
}

func (f *floor) seats(n int) ([]seat, error) {
	out := make([]seat, n)
	var reqs []any
	for i := range out {
		out[i].path = f.root + task.WorkerPath(uuid.NewString())
		reqs = append(reqs, &zk.CreateRequest{Path: out[i].path, Acl: anyone, Flags: zk.FlagEphemeral})
	}
	_, err := f.worker.Multi(reqs...)
	return out, err
}

// call makes a call when its turn comes.
func (f *floor) call(do func() error) error {
	f.slots <- struct{}{}
	defer func() { <-f.slots }()
	return do()
}

// each makes n calls, as many at once as may be.
func (f *floor) each(n int, do func(i int) error) error {
	if n == 1 {
		return f.call(func() error { return do(0) })
	}
	var all errgroup.Group
	for i := range n {
		all.Go(func() error { return f.call(func() error { return do(i) }) })
	}
	return all.Wait()
}

func (f *floor) multi(c *zk.Conn, reqs []any) error {
	return f.call(func() error {
		_, err := c.Multi(reqs...)
		return err
	})
}

// turn is the life of one task on each seat: their writes of one kind in one
// Multi, their reads at once, and one watch for all. It tells when the client
// had the results.
func (f *floor) turn(seats []seat) (fetched time.Time, err error) {
	n := len(seats)
	ids := make([]string, n)
	var create, assign, commit, clean []any
	assign = append(assign, &zk.CheckVersionRequest{Path: f.candidate, Version: -1})
	for i := range ids {
		ids[i] = task.NewID()
		data, state, at := f.root+task.DataPath(ids[i]), f.root+task.StatePath(ids[i]), seats[i]
		create = append(create,
			&zk.CreateRequest{Path: data, Data: []byte("0"), Acl: anyone, Flags: zk.FlagEphemeral},
			&zk.CreateRequest{Path: state, Data: []byte("pending"), Acl: anyone, Flags: zk.FlagEphemeral})
		assign = append(assign,
			&zk.CheckVersionRequest{Path: state},
			&zk.SetDataRequest{Path: at.path, Data: []byte(ids[i]), Version: at.version})
		commit = append(commit,
			&zk.SetDataRequest{Path: at.path, Version: at.version + 1},
			&zk.SetDataRequest{Path: state, Data: []byte("done 0")})
		clean = append(clean,
			&zk.DeleteRequest{Path: data, Version: -1},
			&zk.DeleteRequest{Path: state, Version: -1})
		seats[i].version += 2
	}
	get := func(c *zk.Conn, path func(i int) string) func() error {
		return func() error {
			return f.each(n, func(i int) error {
				_, _, err := c.Get(path(i))
				return err
			})
		}
	}
	var changed <-chan zk.Event
	state := func(i int) string { return f.root + task.StatePath(ids[i]) }
	for _, step := range []func() error{
		func() error { return f.multi(f.client, create) },
		func() error {
			return f.call(func() (err error) {
				_, _, changed, err = f.client.GetW(state(n - 1))
				return err
			})
		},
		func() error { return f.multi(f.master, assign) },
		get(f.worker, func(i int) string { return seats[i].path }),
		get(f.worker, func(i int) string { return f.root + task.DataPath(ids[i]) }),
		func() error { return f.multi(f.worker, commit) },
		func() error { return (<-changed).Err },
		get(f.client, state),
		func() error { fetched = time.Now(); return f.multi(f.client, clean) },
	} {
		if err := step(); err != nil {
			return fetched, err
		}
	}
	return fetched, nil
}

// latencies are those of n tasks one after the other: until the result is
// there, and with the clean-up.
func (f *floor) latencies(ctx context.Context, n int) (result, whole []time.Duration, err error) {
	seats, err := f.seats(1)
	for range n {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, nil, err
		}
		began := time.Now()
		var fetched time.Time
		fetched, err = f.turn(seats)
		result, whole = append(result, fetched.Sub(began)), append(whole, time.Since(began))
	}
	return result, whole, err
}

// inFlight is how many tasks the floor has under way when it makes its calls in
// batches: as many as a client of the service, by default.
const inFlight = client.DefaultWindow

// rate is how many tasks a second go through in batches, for so long, and how many
// that were.
func (f *floor) rate(ctx context.Context, batch int, long time.Duration) (perSecond float64, n int, err error) {
	var all errgroup.Group
	var done atomic.Int64
	began := time.Now()
	for range min(pipeline, inFlight/batch) {
		all.Go(func() error {
			seats, err := f.seats(batch)
			for err == nil && time.Since(began) < long {
				if _, err = f.turn(seats); err == nil {
					done.Add(int64(batch))
					err = context.Cause(ctx)
				}
			}
			return err
		})
	}
	err = all.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), int(done.Load()), err
}
