package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestMain(m *testing.M) { zktest.Main(m) }

// testTimeout is a session timeout that no test waits for, and none meets
// because the machine is busy.
const testTimeout = 20 * time.Second

// hosted is a process that hosts slots.
type hosted struct {
	t    *testing.T
	s    *session.Session
	stop context.CancelFunc
	done chan error // receives what Run returned
}

// host runs slots until the test ends, when the session goes first: a run
// whose tasks are stuck ends too.
func host(t *testing.T, s *session.Session, slots int, fn task.Func) *hosted {
	t.Helper()
	return hostAs(t, s, Config{Slots: slots, Run: fn})
}

func hostAs(t *testing.T, s *session.Session, cfg Config) *hosted {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = harness.Logger(t)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &hosted{t: t, s: s, stop: cancel, done: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.done <- Run(ctx, s, cfg)
	}()
	t.Cleanup(func() { s.Close(); cancel(); <-ended })
	return p
}

// wait returns what Run returned.
func (p *hosted) wait() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(20 * time.Second):
		p.t.Fatal("Run does not return")
		return nil
	}
}

// leave tells the process to stop and waits until it has.
func (p *hosted) leave() {
	p.t.Helper()
	p.stop()
	if err := p.wait(); err != nil {
		p.t.Errorf("Run: %v", err)
	}
}

// desk is the leader and the client, played by hand.
type desk struct {
	*zktest.ManualClient
	t      *testing.T
	chroot string
}

func newDesk(t *testing.T, connect string) desk {
	t.Helper()
	d := desk{zktest.Conn(t, connect), t, connect[strings.IndexByte(connect+"/", '/'):]}
	for _, dir := range task.Dirs() {
		d.Create(dir, "")
	}
	return d
}

// full is a path as the server knows it, for what ManualClient does not do.
func (d desk) full(path string) string { return d.chroot + path }

func (d desk) submit(id, payload string) {
	d.t.Helper()
	d.Create(task.DataPath(id), payload)
	d.Create(task.StatePath(id), "pending")
}

// workers waits until that many are registered and returns their ids.
func (d desk) workers(n int) []string {
	d.t.Helper()
	var ids []string
	zktest.Eventually(d.t, fmt.Sprintf("%d workers", n), func() (bool, string) {
		ids = d.Children(task.WorkersDir)
		return len(ids) == n, fmt.Sprint(ids)
	})
	return ids
}

func (d desk) worker() string {
	d.t.Helper()
	return d.workers(1)[0]
}

func (d desk) assign(worker string, ids ...string) {
	d.t.Helper()
	d.Set(task.WorkerPath(worker), strings.Join(ids, "\n"))
}

// reads waits until a znode holds data; "" also when it is gone.
func (d desk) reads(path, want string) {
	d.t.Helper()
	zktest.Eventually(d.t, path, func() (bool, string) {
		got, _ := d.Get(path)
		return got == want, fmt.Sprintf("%.200q, want %.200q", got, want)
	})
}

// state waits until a task's state is so, the facts aside.
func (d desk) state(id, want string) {
	d.t.Helper()
	zktest.Eventually(d.t, "state of "+id, func() (bool, string) {
		got := d.plain(id)
		return got == want, fmt.Sprintf("%.200q, want %.200q", got, want)
	})
}

// plain is a task's state without facts; "" when it is gone.
func (d desk) plain(id string) string {
	d.t.Helper()
	data, there := d.Get(task.StatePath(id))
	if !there {
		return ""
	}
	s := task.ParseState([]byte(data))
	s.Facts = ""
	return string(s.Bytes())
}

// returns is a task.Func without more than a result.
func returns(f func(context.Context, task.Execution) ([]byte, error)) task.Func {
	return func(ctx context.Context, e task.Execution) (task.Outcome, error) {
		result, err := f(ctx, e)
		return task.Outcome{Result: result}, err
	}
}

// free waits until a worker's list is empty.
func (d desk) free(worker string) {
	d.t.Helper()
	d.reads(task.WorkerPath(worker), "")
	d.stat(task.WorkerPath(worker))
}

func (d desk) stat(path string) *zk.Stat {
	d.t.Helper()
	stat, ok := d.Stat(path)
	if !ok {
		d.t.Fatalf("%s is gone", path)
	}
	return stat
}

// written checks that a task's state was written that often.
func (d desk) written(id string, times int32) {
	d.t.Helper()
	if got := d.stat(task.StatePath(id)).Version; got != times {
		d.t.Errorf("%s was written %d times, want %d", id, got, times)
	}
}

// bench is what the tests execute. A payload "wait" runs until it is told to
// end, "stubborn" likewise and without regard to its context, "fail …" fails;
// any other one is the result, at once.
type bench struct {
	t *testing.T

	mu        sync.Mutex // guards the rest
	order     []string   // of the executions that began
	cancelled []string
	gates     map[string]chan string
}

func newBench(t *testing.T) *bench { return &bench{t: t, gates: make(map[string]chan string)} }

func (b *bench) run(ctx context.Context, e task.Execution) (o task.Outcome, err error) {
	id, payload := e.Task, e.Payload
	b.mu.Lock()
	b.order = append(b.order, id)
	b.mu.Unlock()
	if reason, ok := bytes.CutPrefix(payload, []byte("fail ")); ok {
		return o, errors.New(string(reason))
	}
	switch string(payload) {
	case "wait":
		select {
		case result := <-b.gate(id):
			return task.Outcome{Result: []byte(result)}, nil
		case <-ctx.Done():
			b.cancel(id)
			return o, ctx.Err()
		}
	case "stubborn":
		<-ctx.Done()
		b.cancel(id)
		return task.Outcome{Result: []byte(<-b.gate(id))}, nil
	}
	return task.Outcome{Result: payload}, nil
}

func (b *bench) cancel(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cancelled = append(b.cancelled, id)
}

func (b *bench) gate(id string) chan string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gates[id] == nil {
		b.gates[id] = make(chan string, 1)
	}
	return b.gates[id]
}

// end lets an execution of a task, now or later, end with a result.
func (b *bench) end(id, result string) { b.gate(id) <- result }

// began waits until exactly these executions have begun, in this order.
func (b *bench) began(ids ...string) {
	b.t.Helper()
	b.await("executions", ids, func() []string { return b.order })
}

// once checks that a task was executed once so far, whatever else was.
func (b *bench) once(id string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.order, id); i < 0 || slices.Contains(b.order[i+1:], id) {
		b.t.Errorf("executions %q, want %s once", b.order, id)
	}
}

// ended waits until exactly these executions were told to end.
func (b *bench) ended(ids ...string) {
	b.t.Helper()
	b.await("cancelled executions", ids, func() []string { return b.cancelled })
}

func (b *bench) await(what string, want []string, list func() []string) {
	b.t.Helper()
	zktest.Eventually(b.t, what, func() (bool, string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.Equal(list(), want), fmt.Sprintf("%q, want %q", list(), want)
	})
}

// happened waits for what a proxy is to do.
func happened(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: not within 20s", what)
	}
}

// one is the usual test: a desk, and one slot.
func one(t *testing.T) (d desk, b *bench, p *hosted, worker string) {
	t.Helper()
	root := zktest.Connect(t)
	d, b = newDesk(t, root), newBench(t)
	p = host(t, harness.Open(t, root), 1, b.run)
	return d, b, p, d.worker()
}

// proxied is one slot behind a proxy.
func proxied(t *testing.T) (d desk, b *bench, p *hosted, worker string, proxy *zktest.Proxy) {
	t.Helper()
	root := zktest.Connect(t)
	d, b = newDesk(t, root), newBench(t)
	proxy, through := zktest.Via(t, root)
	p = host(t, harness.Open(t, through), 1, b.run)
	return d, b, p, d.worker(), proxy
}

// begin gives a worker tasks that wait, and returns when the first is executed.
func begin(d desk, b *bench, worker string, ids ...string) {
	d.t.Helper()
	for _, id := range ids {
		d.submit(id, "wait")
	}
	d.assign(worker, ids...)
	b.began(ids[0])
}

func parallel(t *testing.T, name string, f func(*testing.T)) {
	t.Run(name, func(t *testing.T) { t.Parallel(); f(t) })
}
