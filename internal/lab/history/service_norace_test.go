//go:build !race

package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/client"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/master"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
	"taskkeeper/internal/worker"
)

// calm is the timeout of sessions that are to outlast everything here, however
// busy the machine is.
const calm = 15 * time.Second

// held is the payload of tasks that run until the service is told to open. All
// others are done at once; the result is the payload.
const held = "held"

// service is a whole one, on a root of its own: masters, workers and a client,
// one of them connected through a proxy.
type service struct {
	// Fixed at construction.
	t       *testing.T
	fault   string        // the role that goes through the proxy
	timeout time.Duration // of its sessions
	root    string
	through string // the root, by way of the proxy
	proxy   *zktest.Proxy
	hand    *zktest.ManualClient
	client  *client.Client
	log     *slog.Logger

	opened   chan struct{} // closed by open
	open     func()
	ctx      context.Context // of all tasks
	asked    context.Context // of the one that the test is about
	withdraw func()

	// Owned by the test's goroutine.
	masters, workers []func() // to stop them
	stopClient       func()
	created          int // tasks

	calls sync.WaitGroup // of the client

	mu       sync.Mutex       // guards the rest
	sessions map[int64]bool   // whether they went through the proxy
	faulty   *session.Session // the last that did
	runs     int
}

func newService(t *testing.T, fault string, timeout time.Duration) *service {
	var log bytes.Buffer
	t.Cleanup(func() { // after the roles have stopped
		if t.Failed() {
			t.Logf("the roles said:\n%s", &log)
		}
	})
	s := &service{
		t: t, fault: fault, timeout: timeout, root: zktest.Connect(t),
		log:      slog.New(slog.NewTextHandler(&log, nil)),
		opened:   make(chan struct{}),
		sessions: make(map[int64]bool),
	}
	s.hand = zktest.Conn(t, s.root)
	s.proxy, s.through = zktest.Via(t, s.root)
	s.client = client.New(client.Config{Logger: s.log, Asks: task.Facts("").With(task.FactTimeout, 600_000)})
	s.open = sync.OnceFunc(func() { close(s.opened) })
	var end func()
	s.ctx, end = context.WithCancel(context.Background())
	s.asked, s.withdraw = context.WithCancel(s.ctx)
	t.Cleanup(func() { end(); s.calls.Wait() }) // what is left of a test that failed
	return s
}

// via is where a role connects to.
func (s *service) via(role string) string {
	if role == s.fault {
		return s.through
	}
	return s.root
}

func (s *service) start(connect, name string, do func(context.Context, *session.Session, *slog.Logger) error) (stop func()) {
	s.t.Helper()
	cfg := session.Config{Timeout: calm, Logger: s.log.With("role", name)}
	if connect == s.through {
		cfg.Timeout = s.timeout
	}
	return role(s.t, connect, cfg, func(ctx context.Context, ss *session.Session) error {
		s.mu.Lock()
		s.sessions[ss.ID()] = connect == s.through
		if connect == s.through {
			s.faulty = ss
		}
		s.mu.Unlock()
		return do(ctx, ss, cfg.Logger)
	})
}

func (s *service) startMaster(connect string) {
	s.t.Helper()
	s.masters = append(s.masters, s.start(connect, "master", func(ctx context.Context, ss *session.Session, log *slog.Logger) error {
		return master.Run(ctx, ss, master.Config{Logger: log})
	}))
}

func (s *service) startWorker(connect string, slots int) {
	s.t.Helper()
	s.workers = append(s.workers, s.start(connect, "worker", func(ctx context.Context, ss *session.Session, log *slog.Logger) error {
		return worker.Run(ctx, ss, worker.Config{Slots: slots, Run: s.run, Logger: log})
	}))
}

func (s *service) startClient(connect string) {
	s.t.Helper()
	s.stopClient = s.start(connect, "client", func(ctx context.Context, ss *session.Session, _ *slog.Logger) error {
		return s.client.Serve(ctx, ss)
	})
}

// everything starts all, the leader first, and has it work.
func (s *service) everything() {
	s.t.Helper()
	s.startMaster(s.via("master"))
	s.there(1, 0)
	s.startMaster(s.root)
	s.startClient(s.via("client"))
	s.startWorker(s.root, 1)
	s.startWorker(s.root, 2)
	s.there(2, 3)
	s.some(3)
	zktest.Eventually(s.t, "all cleaned up", func() (bool, string) { // no write of theirs goes with the call
		left := append(s.hand.Children(task.TasksDir), s.hand.Children(task.DataDir)...)
		return len(left) == 0, fmt.Sprintf("%q", left)
	})
}

// executing starts all, the leader first, and has the first worker execute a
// task.
func (s *service) executing(id string) {
	s.t.Helper()
	s.startMaster(s.via("master"))
	s.there(1, 0)
	s.startMaster(s.root)
	s.startClient(s.via("client"))
	s.startWorker(s.via("worker"), 1)
	s.there(2, 1)
	s.some(3)
	s.do(s.asked, id, held)
	s.listed(1)
	s.startWorker(s.root, 2)
	s.there(2, 3)
}

// occupied starts all but the worker at fault, and has the other one execute as
// much as it can: the next task can only go to the one that is to come.
func (s *service) occupied() {
	s.t.Helper()
	s.startMaster(s.root)
	s.startMaster(s.root)
	s.startClient(s.root)
	s.startWorker(s.root, 2)
	s.there(2, 2)
	s.some(3)
	for range 2 {
		s.do(s.ctx, task.NewID(), held)
	}
	s.listed(2)
}

// run executes a task.
func (s *service) run(ctx context.Context, e task.Execution) (task.Outcome, error) {
	s.mu.Lock()
	s.runs++
	s.mu.Unlock()
	if string(e.Payload) == held {
		select {
		case <-s.opened:
		case <-ctx.Done():
			return task.Outcome{}, ctx.Err()
		}
	}
	return task.Outcome{Result: e.Payload}, nil
}

// session is the last one through the proxy.
func (s *service) session() *session.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faulty
}

// do has the client do a task. It gets one result, unless ctx ends.
func (s *service) do(ctx context.Context, id, payload string) {
	s.created++
	s.calls.Go(func() {
		r, err := s.client.DoAs(ctx, id, []byte(payload))
		switch {
		case ctx.Err() != nil:
			if !errors.Is(err, context.Canceled) {
				s.t.Errorf("task %s, withdrawn: %v", id, err)
			}
		case err != nil || r.State.Phase != task.Done || string(r.State.Text) != payload:
			s.t.Errorf("task %s: %s %q, %v", id, r.State.Phase, r.State.Text, err)
		}
	})
}

// some does a few short tasks and waits for these and for all before them.
func (s *service) some(n int) {
	s.t.Helper()
	for i := range n {
		s.do(s.ctx, task.NewID(), fmt.Sprint(i))
	}
	done := make(chan struct{})
	go func() { s.calls.Wait(); close(done) }()
	s.wait("the results", done)
}

func (s *service) wait(what string, done <-chan struct{}) {
	s.t.Helper()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		s.t.Fatalf("no end of waiting for %s", what)
	}
}

// there waits until so many candidates and workers are registered.
func (s *service) there(candidates, workers int) {
	s.t.Helper()
	zktest.Eventually(s.t, "candidates and workers", func() (bool, string) {
		c, w := s.hand.Children(task.MasterDir), s.hand.Children(task.WorkersDir)
		return len(c) == candidates && len(w) == workers, fmt.Sprintf("%q, %q", c, w)
	})
}

// listed waits until the workers list so many tasks, and none that is gone.
func (s *service) listed(n int) {
	s.t.Helper()
	zktest.Eventually(s.t, "the workers' lists", func() (bool, string) {
		var all []string
		for _, w := range s.hand.Children(task.WorkersDir) {
			data, _ := s.hand.Get(task.WorkerPath(w))
			l, _ := task.ParseList([]byte(data))
			list := l.IDs
			all = append(all, list...)
		}
		tasks := s.hand.Children(task.TasksDir)
		gone := slices.ContainsFunc(all, func(id string) bool { return !slices.Contains(tasks, id) })
		return len(all) == n && !gone, fmt.Sprintf("%q of %q", all, tasks)
	})
}

// holder is the worker that lists a task.
func (s *service) holder(id string) string {
	s.t.Helper()
	for _, w := range s.hand.Children(task.WorkersDir) {
		if list, _ := s.hand.Get(task.WorkerPath(w)); strings.Contains(list, id) {
			return w
		}
	}
	s.t.Fatalf("no worker has task %s", id)
	return ""
}

// seen waits until the role at fault has made such a request.
func (s *service) seen(op zktest.Op) {
	s.t.Helper()
	var all []zktest.Op
	zktest.Eventually(s.t, op.String(), func() (bool, string) {
		all = append(all, s.proxy.Seen()...)
		return slices.Contains(all, op), fmt.Sprint(all)
	})
}

// over waits until the server has no such session any more.
func (s *service) over(ss *session.Session) {
	s.t.Helper()
	zktest.Eventually(s.t, "the end of a session", func() (bool, string) {
		<-time.After(50 * time.Millisecond) // many ask at a time, for seconds
		dump, err := zktest.Shared(s.t).Ask("dump")
		return err == nil && !strings.Contains(dump, fmt.Sprintf("0x%x", ss.ID())), fmt.Sprint(dump, err)
	})
}

// noticed waits until a session has noticed that its connection is lost.
func (s *service) noticed(ss *session.Session) {
	s.t.Helper()
	zktest.Eventually(s.t, "a lost connection", func() (bool, string) {
		_, suspended := ss.Suspended()
		return suspended, "none"
	})
}

// stop stops all in order.
func (s *service) stop() {
	s.stopClient()
	for _, stop := range append(s.workers, s.masters...) {
		stop()
	}
}

// history returns what the service wrote: all that is below its root, and the
// beginnings and ends of its sessions. It waits for these.
func (s *service) history() (txns []Txn) {
	s.t.Helper()
	server := zktest.Shared(s.t)
	_, chroot, _ := strings.Cut(s.root, "/")
	zktest.Eventually(s.t, "the ends of all sessions", func() (bool, string) {
		all, err := Read(server.DataDir())
		if err != nil {
			s.t.Fatal(err)
		}
		txns = slices.DeleteFunc(Under(all, "/"+chroot), func(t Txn) bool {
			_, ours := s.sessions[t.Session]
			return !ours && !slices.ContainsFunc(t.Events, func(e Event) bool { return e.Path != "" })
		})
		lasting := maps.Clone(s.sessions)
		for _, t := range txns {
			if t.closes() { // more than once, if it was told to repeatedly
				delete(lasting, t.Session)
			}
		}
		return len(lasting) == 0, fmt.Sprintf("%d last on", len(lasting))
	})
	return txns
}
