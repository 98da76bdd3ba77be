package client

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
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestMain(m *testing.M) { zktest.Main(m) }

// A runningClient has a session and, when that ends, another one.
type runningClient struct {
	*Client
	t        *testing.T
	warned   *records
	sessions chan *session.Session // each that it serves, in order
	stop     func()                // ends Serve, and waits for it
}

// startVia starts a client in a chroot of its own, behind a proxy. h is connected to the
// same chroot directly.
func startVia(t *testing.T) (root string, h *zktest.ManualClient, proxy *zktest.Proxy, r *runningClient) {
	t.Helper()
	root = zktest.Connect(t)
	h = zktest.Conn(t, root)
	proxy, through := zktest.Via(t, root)
	return root, h, proxy, start(t, through)
}

// start runs a client at a connect string until the test ends.
func start(t *testing.T, connect string) *runningClient {
	t.Helper()
	return startIn(t, connect, "")
}

// startIn is start for a client of a queue.
func startIn(t *testing.T, connect, queue string) *runningClient {
	t.Helper()
	warned := &records{}
	r := &runningClient{
		Client: New(Config{Queue: queue, Logger: slog.New(slog.NewTextHandler(warned, &slog.HandlerOptions{Level: slog.LevelWarn}))}),
		t:      t, warned: warned, sessions: make(chan *session.Session, 1000),
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- session.Run(ctx, harness.SessionConfig(t, connect), 20*time.Second, func(ctx context.Context, s *session.Session) error {
			r.sessions <- s
			return r.Serve(ctx, s)
		})
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Serve does not end")
		}
		if t.Failed() {
			t.Logf("the client warned of:\n%s", warned)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// session returns the next session that the client serves.
func (r *runningClient) session() *session.Session {
	r.t.Helper()
	return zktest.Receive(r.t, "session", r.sessions)
}

// ending is what a call of Do returned.
type ending struct {
	Result
	err error
}

func (e ending) String() string {
	return fmt.Sprintf("task %s, %s %q, %v", e.ID, e.State.Phase, e.State.Text, e.err)
}

// do submits tasks, each with a payload of its own, and returns where each
// ending comes.
func (r *runningClient) do(ctx context.Context, payloads ...string) (endings []<-chan ending) {
	for _, p := range payloads {
		end := make(chan ending, 2)
		id := task.NewID()
		go func() {
			result, err := r.DoAs(ctx, id, []byte(p))
			end <- ending{result, err}
		}()
		endings = append(endings, end)
	}
	return endings
}

func payloads(n int) (ps []string) {
	for i := range n {
		ps = append(ps, fmt.Sprint("payload ", i))
	}
	return ps
}

// wait returns how the calls ended.
func (r *runningClient) wait(ends ...<-chan ending) (endings []ending) {
	r.t.Helper()
	limit := time.After(20 * time.Second)
	for i, end := range ends {
		select {
		case e := <-end:
			endings = append(endings, e)
		case <-limit:
			r.t.Fatalf("call %d of %d does not return; warned of:\n%s", i+1, len(ends), r.warned)
		}
	}
	return endings
}

// wantEchoes checks that each call returned its own payload, under an id that
// no other has.
func wantEchoes(t *testing.T, endings []ending, payloads []string) {
	t.Helper()
	ids := make(map[string]bool)
	for i, e := range endings {
		if e.err != nil || e.State.Phase != task.Done || string(e.State.Text) != payloads[i] || ids[e.ID] {
			t.Fatalf("call %d of %d: %s; want %q under an id of its own", i, len(endings), e, payloads[i])
		}
		ids[e.ID] = true
	}
}

// wantEmpty waits until there is no task and no payload.
func wantEmpty(t *testing.T, h *zktest.ManualClient) {
	t.Helper()
	zktest.Eventually(t, "empty tree", func() (bool, string) {
		tasks, data := h.Children(task.TasksDir), h.Children(task.DataDir)
		return len(tasks) == 0 && len(data) == 0, fmt.Sprintf("%d in /tasks %.100q, %d in /data %.100q", len(tasks), tasks, len(data), data)
	})
}

// tasks waits until there are n, and returns their ids.
func tasks(t *testing.T, h *zktest.ManualClient, n int) (ids []string) {
	t.Helper()
	zktest.Eventually(t, fmt.Sprint(n, " tasks"), func() (bool, string) {
		ids = h.Children(task.TasksDir)
		return len(ids) == n, fmt.Sprint(len(ids))
	})
	return ids
}

// watches counts a session's watches on tasks under a chroot.
func watches(t *testing.T, server *zktest.Server, connect string, s *session.Session) (n int) {
	t.Helper()
	_, chroot, _ := strings.Cut(connect, "/")
	answer, err := server.Ask("wchp")
	if err != nil {
		t.Fatal(err)
	}
	ours := false
	for line := range strings.Lines(answer) {
		if strings.HasPrefix(line, "/") {
			ours = strings.HasPrefix(line, "/"+chroot+task.TasksDir+"/")
		} else if ours && strings.TrimSpace(line) == fmt.Sprintf("%#x", s.ID()) {
			n++
		}
	}
	return n
}

// reads counts the reads that a proxy passed since it was asked last.
func reads(proxy *zktest.Proxy) (n int) {
	for _, op := range proxy.Seen() {
		if op == zktest.OpGetData || op == zktest.OpMultiRead {
			n++
		}
	}
	return n
}

// met waits until a proxy has acted on a request.
func met(t *testing.T, acted <-chan struct{}) {
	t.Helper()
	zktest.Receive(t, "request that the proxy acts on", acted)
}

// A player plays the leader and the workers: it finishes every task as soon as it sees
// the task, until it is stopped.
type player struct {
	stop func()

	mu      sync.Mutex
	handled map[string]string // payloads by id
}

// play has a player finish tasks as finish says; an empty answer leaves the
// task alone. Without finish the result is the payload.
func play(t *testing.T, connect string, finish func(id, payload string) string) *player {
	t.Helper()
	if finish == nil {
		finish = func(_, payload string) string { return "done " + payload }
	}
	p := &player{handled: make(map[string]string)}
	s := harness.Open(t, connect)
	if err := s.EnsureDirs(task.Dirs()...); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		if err := p.run(ctx, s, finish); err != nil && ctx.Err() == nil {
			t.Errorf("player: %v", err)
		}
	})
	p.stop = func() { cancel(); work.Wait() }
	t.Cleanup(p.stop)
	return p
}

func (p *player) run(ctx context.Context, s *session.Session, finish func(id, payload string) string) error {
	hints := s.Hints(task.TasksDir)
	group := s.NewGroup()
	for {
		ids, _, err := s.ChildrenW(task.TasksDir)
		if err != nil {
			return err
		}
		slices.Sort(ids)
		var g errgroup.Group
		g.SetLimit(64)
		for _, id := range ids {
			if _, ok := p.payload(id); ok {
				continue
			}
			g.Go(func() error {
				payload, _, err := s.Get(task.DataPath(id))
				if err != nil {
					return err
				}
				p.mu.Lock()
				p.handled[id] = string(payload)
				p.mu.Unlock()
				state := finish(id, string(payload))
				if state == "" {
					return nil
				}
				for {
					_, err = group.Multi(session.Set(task.StatePath(id), []byte(state), 0))
					if !errors.Is(err, session.ErrUnknown) {
						return err
					}
				}
			})
		}
		// It may be gone meanwhile, or the lost answer meant that it was set.
		if err := g.Wait(); err != nil && !errors.Is(err, zk.ErrNoNode) && !errors.Is(err, zk.ErrBadVersion) {
			return err
		}
		select {
		case <-hints.C:
			hints.Take()
		case <-ctx.Done():
			return nil
		}
	}
}

// callers have one call of Do under way each, which a player finishes.
type callers struct {
	t       *testing.T
	results atomic.Int32
	stop    func() // lets them end, and waits for it
}

// call starts 40 of them. Each of their calls must return what was submitted.
func call(r *runningClient, p *player) *callers {
	c := &callers{t: r.t}
	stop := make(chan struct{})
	var calls sync.WaitGroup
	c.stop = sync.OnceFunc(func() { close(stop); calls.Wait() })
	for caller := range 40 {
		calls.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				payload := fmt.Sprint(caller, " ", i)
				e, err := r.Do(c.t.Context(), []byte(payload))
				if played, _ := p.payload(e.ID); err != nil || string(e.State.Text) != payload || played != payload {
					c.t.Error(ending{e, err})
					return
				}
				c.results.Add(1)
			}
		})
	}
	return c
}

// more waits until there are so many more results.
func (c *callers) more(n int32) {
	c.t.Helper()
	before := c.results.Load()
	zktest.Eventually(c.t, "results", func() (bool, string) {
		more := c.results.Load() - before
		return more > n, fmt.Sprint(more)
	})
}

// payload returns the payload of a task that was finished.
func (p *player) payload(id string) (payload string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	payload, ok = p.handled[id]
	return payload, ok
}

// all returns the payloads of the tasks finished so far, by id.
func (p *player) all() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.handled)
}

// records keeps what was logged, without the warnings of a stall: most tests have no leader.
type records struct {
	stalls bool // keep the warnings of a stall too

	mu   sync.Mutex // guards the rest
	text bytes.Buffer
}

func (r *records) Write(b []byte) (int, error) {
	if !r.stalls && bytes.Contains(b, []byte("no task can be done")) {
		return len(b), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}
