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

// testTimeout is a session timeout that no test waits for. It is long enough for a busy
// machine.
const testTimeout = 20 * time.Second

// hosted is a process with its slots.
type hosted struct {
	t    *testing.T
	s    *session.Session
	stop context.CancelFunc
	done chan error // receives what Run returned
}

// host runs slots until the test ends. Then the session is closed first, which also ends
// slots whose tasks hang.
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
	return zktest.Receive(p.t, "end of Run", p.done)
}

// leave tells the process to stop and waits until it has.
func (p *hosted) leave() {
	p.t.Helper()
	p.stop()
	if err := p.wait(); err != nil {
		p.t.Errorf("Run: %v", err)
	}
}

// manual plays the leader and the client by hand.
type manual struct {
	*zktest.ManualClient
	t      *testing.T
	chroot string
}

func newManual(t *testing.T, connect string) manual {
	t.Helper()
	m := manual{zktest.Conn(t, connect), t, connect[strings.IndexByte(connect+"/", '/'):]}
	for _, dir := range task.Dirs() {
		m.Create(dir, "")
	}
	return m
}

// full returns a path with the chroot, for calls of Conn.
func (m manual) full(path string) string { return m.chroot + path }

func (m manual) submit(id, payload string) {
	m.t.Helper()
	m.Create(task.DataPath(id), payload)
	m.Create(task.StatePath(id), "pending")
}

// workers waits until that many are registered and returns their ids.
func (m manual) workers(n int) []string {
	m.t.Helper()
	var ids []string
	zktest.Eventually(m.t, fmt.Sprintf("%d workers", n), func() (bool, string) {
		ids = m.Children(task.WorkersDir)
		return len(ids) == n, fmt.Sprint(ids)
	})
	return ids
}

func (m manual) worker() string {
	m.t.Helper()
	return m.workers(1)[0]
}

func (m manual) assign(worker string, ids ...string) {
	m.t.Helper()
	m.Set(task.WorkerPath(worker), strings.Join(ids, "\n"))
}

// reads waits until a znode holds data; "" also when it is gone.
func (m manual) holds(path, want string) {
	m.t.Helper()
	zktest.Eventually(m.t, path, func() (bool, string) {
		got, _ := m.Get(path)
		return got == want, fmt.Sprintf("%.200q, want %.200q", got, want)
	})
}

// state waits until a task has a state, the facts aside.
func (m manual) state(id, want string) {
	m.t.Helper()
	zktest.Eventually(m.t, "state of "+id, func() (bool, string) {
		got := m.plain(id)
		return got == want, fmt.Sprintf("%.200q, want %.200q", got, want)
	})
}

// plain is a task's state without facts; "" when it is gone.
func (m manual) plain(id string) string {
	m.t.Helper()
	data, there := m.Get(task.StatePath(id))
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
func (m manual) free(worker string) {
	m.t.Helper()
	m.holds(task.WorkerPath(worker), "")
	m.stat(task.WorkerPath(worker))
}

func (m manual) stat(path string) *zk.Stat {
	m.t.Helper()
	stat, ok := m.Stat(path)
	if !ok {
		m.t.Fatalf("%s is gone", path)
	}
	return stat
}

// written checks how often a task's state was written.
func (m manual) written(id string, times int32) {
	m.t.Helper()
	if got := m.stat(task.StatePath(id)).Version; got != times {
		m.t.Errorf("%s was written %d times, want %d", id, got, times)
	}
}

// An executor executes the tasks of a test. A payload "wait" runs until the test ends
// it, "stubborn" likewise and without regard to its context, "fail …" fails; any other
// payload is the result, at once.
type executor struct {
	t *testing.T

	mu        sync.Mutex // guards the rest
	order     []string   // of the executions that began
	cancelled []string
	gates     map[string]chan string
}

func newExecutor(t *testing.T) *executor { return &executor{t: t, gates: make(map[string]chan string)} }

func (x *executor) run(ctx context.Context, e task.Execution) (o task.Outcome, err error) {
	id, payload := e.Task, e.Payload
	x.mu.Lock()
	x.order = append(x.order, id)
	x.mu.Unlock()
	if reason, ok := bytes.CutPrefix(payload, []byte("fail ")); ok {
		return o, errors.New(string(reason))
	}
	switch string(payload) {
	case "wait":
		select {
		case result := <-x.gate(id):
			return task.Outcome{Result: []byte(result)}, nil
		case <-ctx.Done():
			x.cancel(id)
			return o, ctx.Err()
		}
	case "stubborn":
		<-ctx.Done()
		x.cancel(id)
		return task.Outcome{Result: []byte(<-x.gate(id))}, nil
	}
	return task.Outcome{Result: payload}, nil
}

func (x *executor) cancel(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cancelled = append(x.cancelled, id)
}

func (x *executor) gate(id string) chan string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.gates[id] == nil {
		x.gates[id] = make(chan string, 1)
	}
	return x.gates[id]
}

// end lets an execution of a task, now or later, end with a result.
func (x *executor) end(id, result string) { x.gate(id) <- result }

// began waits until exactly these executions have begun, in this order.
func (x *executor) began(ids ...string) {
	x.t.Helper()
	x.await("executions", ids, func() []string { return x.order })
}

// once checks that a task was executed once so far, whatever else was.
func (x *executor) once(id string) {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if i := slices.Index(x.order, id); i < 0 || slices.Contains(x.order[i+1:], id) {
		x.t.Errorf("executions %q, want %s once", x.order, id)
	}
}

// ended waits until exactly these executions were cancelled.
func (x *executor) ended(ids ...string) {
	x.t.Helper()
	x.await("cancelled executions", ids, func() []string { return x.cancelled })
}

func (x *executor) await(what string, want []string, list func() []string) {
	x.t.Helper()
	zktest.Eventually(x.t, what, func() (bool, string) {
		x.mu.Lock()
		defer x.mu.Unlock()
		return slices.Equal(list(), want), fmt.Sprintf("%q, want %q", list(), want)
	})
}

// oneSlot is a process with one slot.
func oneSlot(t *testing.T) (m manual, x *executor, p *hosted, worker string) {
	t.Helper()
	root := zktest.Connect(t)
	m, x = newManual(t, root), newExecutor(t)
	p = host(t, harness.Open(t, root), 1, x.run)
	return m, x, p, m.worker()
}

// proxied is one slot behind a proxy.
func proxied(t *testing.T) (m manual, x *executor, p *hosted, worker string, proxy *zktest.Proxy) {
	t.Helper()
	root := zktest.Connect(t)
	m, x = newManual(t, root), newExecutor(t)
	proxy, through := zktest.Via(t, root)
	p = host(t, harness.Open(t, through), 1, x.run)
	return m, x, p, m.worker(), proxy
}

// begin assigns tasks that wait, and returns when the first is executed.
func begin(m manual, x *executor, worker string, ids ...string) {
	m.t.Helper()
	for _, id := range ids {
		m.submit(id, "wait")
	}
	m.assign(worker, ids...)
	x.began(ids[0])
}

func parallel(t *testing.T, name string, f func(*testing.T)) {
	t.Run(name, func(t *testing.T) { t.Parallel(); f(t) })
}
