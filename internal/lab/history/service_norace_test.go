//go:build !race

package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/client"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/master"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
	"taskkeeper/internal/worker"
)

// The payloads of tasks. Any other payload is the result of its task.
const (
	held = "held" // runs until the test calls open
	bad  = "bad"  // fails
)

// service is masters, workers and a client on a root of their own. The first process of one
// role connects through a proxy.
type service struct {
	// Fixed at construction.
	t             *testing.T
	fault         string        // the role that connects through the proxy; "" for none
	timeout       time.Duration // of its sessions; 0: long
	root, through string        // connect strings, without and with the proxy
	proxy         *zktest.Proxy
	manual        *zktest.ManualClient
	client        *client.Client
	opened        chan struct{} // closed by open
	open          func()        // ends the held tasks

	// Owned by the test's goroutine.
	retention          time.Duration
	stops              map[string][]func() // of the processes, by role
	candidates, slots  int                 // of the processes that run
	created, executing int                 // tasks; of these, held ones
	withdraw           func()              // withdraws the last task

	calls sync.WaitGroup // of the client

	mu       sync.Mutex       // guards the rest
	sessions map[int64]bool   // all, and whether they went through the proxy
	faulty   *session.Session // the last one through the proxy
	runs     int              // executions
}

func newService(t *testing.T, fault string, timeout time.Duration) *service {
	s := &service{
		t: t, fault: fault, timeout: timeout, root: zktest.Connect(t),
		client:   client.New(client.Config{Logger: harness.Logger(t), Asks: task.Facts("").With(task.FactTimeout, 600_000)}),
		opened:   make(chan struct{}),
		stops:    make(map[string][]func()),
		sessions: make(map[int64]bool),
	}
	s.manual = zktest.Conn(t, s.root)
	s.proxy, s.through = zktest.Via(t, s.root)
	s.open = sync.OnceFunc(func() {
		close(s.opened)
		s.executing = 0
	})
	t.Cleanup(s.calls.Wait) // after the roles have stopped
	return s
}

// start starts processes. The n-th worker process has n slots.
func (s *service) start(roles ...string) {
	s.t.Helper()
	for _, role := range roles {
		faulty := role == s.fault && s.stops[role] == nil
		cfg := harness.SessionConfig(s.t, s.root)
		if faulty {
			cfg = harness.SessionConfig(s.t, s.through)
			cfg.Timeout = cmp.Or(s.timeout, cfg.Timeout)
		}
		do := s.client.Serve
		switch role {
		case "master":
			s.candidates++
			do = func(ctx context.Context, ss *session.Session) error {
				return master.Run(ctx, ss, master.Config{Retention: s.retention, Logger: cfg.Logger})
			}
		case "worker":
			slots := len(s.stops[role]) + 1
			s.slots += slots
			do = func(ctx context.Context, ss *session.Session) error {
				return worker.Run(ctx, ss, worker.Config{Slots: slots, Run: s.run, Logger: cfg.Logger})
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() {
			err := session.Run(ctx, cfg, 20*time.Second, func(ctx context.Context, ss *session.Session) error {
				s.mu.Lock()
				s.sessions[ss.ID()] = faulty
				if faulty {
					s.faulty = ss
				}
				s.mu.Unlock()
				return do(ctx, ss)
			})
			if err != nil {
				s.t.Errorf("%s: %v", role, err)
			}
		})
		stop := sync.OnceFunc(func() { cancel(); running.Wait() })
		s.t.Cleanup(stop)
		s.stops[role] = append(s.stops[role], stop)
	}
}

// begin starts everything. With an id, the first worker executes that held task.
func (s *service) begin(id string) {
	s.t.Helper()
	s.start("master")
	s.ready()
	s.start("master", "client", "worker")
	s.ready()
	s.some(3)
	if id != "" {
		s.hold(id)
	}
	s.ready()
	s.start("worker")
	s.ready()
}

// stop stops everything, the masters last.
func (s *service) stop() {
	for _, stop := range slices.Concat(s.stops["client"], s.stops["worker"], s.stops["master"]) {
		stop()
	}
}

func (s *service) run(ctx context.Context, e task.Execution) (task.Outcome, error) {
	s.mu.Lock()
	s.runs++
	s.mu.Unlock()
	switch string(e.Payload) {
	case bad:
		return task.Outcome{}, errors.New(bad)
	case held:
		select {
		case <-s.opened:
		case <-ctx.Done():
			return task.Outcome{}, ctx.Err()
		}
	}
	return task.Outcome{Result: e.Payload}, nil
}

// do has the client execute a task, which must have one result unless it is withdrawn.
func (s *service) do(id, payload string) {
	ctx, cancel := context.WithCancel(s.t.Context())
	s.withdraw = cancel
	s.created++
	s.calls.Go(func() {
		r, err := s.client.DoAs(ctx, id, []byte(payload))
		switch {
		case ctx.Err() != nil:
			if !errors.Is(err, context.Canceled) {
				s.t.Errorf("withdrawn task %s: %v", id, err)
			}
		case err != nil || r.State.Phase != task.Done || string(r.State.Text) != payload:
			s.t.Errorf("task %s: %s %q, %v", id, r.State.Phase, r.State.Text, err)
		}
	})
}

// hold has the client execute a task that lasts until open.
func (s *service) hold(id string) {
	s.executing++
	s.do(id, held)
}

// some executes n short tasks, and waits for the results of all tasks.
func (s *service) some(n int) {
	s.t.Helper()
	for i := range n {
		s.do(task.NewID(), fmt.Sprint(i))
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
		s.t.Fatalf("waited 30 s for %s", what)
	}
}

// ready waits until all candidates and workers are registered, the workers list the held tasks,
// and there are no other tasks.
func (s *service) ready() {
	s.t.Helper()
	zktest.Eventually(s.t, "candidates, workers and tasks", func() (bool, string) {
		candidates, workers := s.manual.Children(task.MasterDir), s.manual.Children(task.WorkersDir)
		tasks, payloads := s.manual.Children(task.TasksDir), s.manual.Children(task.DataDir)
		var listed []string
		for _, w := range workers {
			data, _ := s.manual.Get(task.WorkerPath(w))
			list, _ := task.ParseList([]byte(data))
			listed = append(listed, list.IDs...)
		}
		slices.Sort(listed)
		return len(candidates) == s.candidates && len(workers) == s.slots && len(tasks) == s.executing &&
				slices.Equal(tasks, payloads) && slices.Equal(tasks, listed),
			fmt.Sprintf("candidates %q, workers %q, tasks %q, payloads %q, listed %q", candidates, workers, tasks, payloads, listed)
	})
}

// session is the last one through the proxy.
func (s *service) session() *session.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faulty
}

// judge judges what the service wrote. It waits for the ends of sessions, which remove znodes.
func (s *service) judge(o Options) (txns []Txn, r Report) {
	s.t.Helper()
	_, chroot, _ := strings.Cut(s.root, "/")
	zktest.Eventually(s.t, "a history that breaks no rule", func() (bool, string) {
		all, err := Read(zktest.Shared(s.t).DataDir())
		if err != nil {
			s.t.Fatal(err)
		}
		txns = slices.DeleteFunc(Under(all, "/"+chroot), func(t Txn) bool { // the sessions of other tests
			_, ours := s.sessions[t.Session]
			return !ours && !slices.ContainsFunc(t.Events, func(e Event) bool { return e.Path != "" })
		})
		r = Check(txns, o)
		return r.Err() == nil, fmt.Sprint(r.Err())
	})
	return txns, r
}

// TestReconnectDetached judges a run with detached tasks while the leader changes. The client
// collects, retries and cancels some of them, and leaves the others to the leader.
func TestReconnectDetached(t *testing.T) {
	const tasks, retention = 60, 4 * time.Second
	s := newService(t, "", 0)
	s.retention = retention
	s.begin("")
	s.manual.Create(task.DataPath(task.NewID()), "a payload without a task")

	submit := func(payload string) string {
		id, err := s.client.Submit(t.Context(), task.NewID(), []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	var ids []string
	for i := range tasks {
		ids = append(ids, submit([]string{"short", bad, "0"}[i%3]))
		if i == tasks/2 {
			for _, candidate := range s.manual.Children(task.MasterDir) {
				stat, _ := s.manual.Stat(task.MasterDir + "/" + candidate)
				zktest.Expire(t, s.root, stat.EphemeralOwner)
			}
		}
	}
	var retried, collected int
	for i, id := range ids {
		r, err := s.client.Await(t.Context(), id)
		switch {
		case err == nil && r.State.Phase == task.Failed && i%2 == 0:
			err = s.client.Retry(t.Context(), id)
			retried++
		case err == nil && i%5 == 0:
			err = s.client.Collect(t.Context(), r)
			collected++
		case errors.Is(err, task.ErrNotFound): // on a slow machine the leader is faster
			err = nil
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.client.Cancel(t.Context(), submit(held)); err != nil {
		t.Fatal(err)
	}
	s.ready()
	s.stop()

	_, r := s.judge(Options{Finished: true, Retention: retention, Manual: []int64{s.manual.Session()}})
	created := s.created + tasks + 1
	if r.Created != created || r.Withdrawn != 1 || retried == 0 || r.Retried != retried || len(r.Terms) < 2 ||
		r.Done+r.Failed != created-1+retried || collected == 0 || r.Uncollected != tasks+1-collected {
		t.Errorf("%d created, %d retried, %d collected; judged: %+v", created, retried, collected, r)
	}
}
