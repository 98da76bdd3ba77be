package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/uuid"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
	"taskkeeper/internal/zktest"
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

func open(t *testing.T, connect string, timeout time.Duration) *session.Session {
	t.Helper()
	address, err := session.ParseAddress(connect)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := session.Open(ctx, session.Config{Address: address, Timeout: timeout, Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func logger(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// host runs slots until the test ends, when the session goes first: a run
// whose tasks are stuck ends too.
func host(t *testing.T, s *session.Session, slots int, fn task.Func) *hosted {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &hosted{t: t, s: s, stop: cancel, done: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.done <- Run(ctx, s, Config{Slots: slots, Run: fn, Logger: logger(t)})
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
	*zktest.Hand
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

// full is a path as the server knows it, for what Hand does not do.
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

// state waits until a task's znode holds it.
func (d desk) state(id, want string) {
	d.t.Helper()
	d.reads(task.StatePath(id), want)
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

func (b *bench) run(ctx context.Context, id string, payload []byte) ([]byte, error) {
	b.mu.Lock()
	b.order = append(b.order, id)
	b.mu.Unlock()
	if reason, ok := bytes.CutPrefix(payload, []byte("fail ")); ok {
		return nil, errors.New(string(reason))
	}
	switch string(payload) {
	case "wait":
		select {
		case result := <-b.gate(id):
			return []byte(result), nil
		case <-ctx.Done():
			b.cancel(id)
			return nil, ctx.Err()
		}
	case "stubborn":
		<-ctx.Done()
		b.cancel(id)
		return []byte(<-b.gate(id)), nil
	}
	return payload, nil
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
	p = host(t, open(t, root, testTimeout), 1, b.run)
	return d, b, p, d.worker()
}

func parallel(t *testing.T, name string, f func(*testing.T)) {
	t.Run(name, func(t *testing.T) { t.Parallel(); f(t) })
}

func TestRegister(t *testing.T) {
	t.Parallel()
	parallel(t, "one_empty_ephemeral_znode_for_each_slot", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		p := host(t, open(t, root, testTimeout), 3, nil)
		for _, id := range d.workers(3) {
			stat := d.stat(task.WorkerPath(id))
			if _, err := uuid.Parse(id); err != nil || stat.DataLength != 0 || stat.EphemeralOwner != p.s.ID() {
				t.Errorf("%s: %v, %d bytes, owner %#x, want %#x", id, err, stat.DataLength, stat.EphemeralOwner, p.s.ID())
			}
		}
	})
	parallel(t, "makes_the_permanent_znodes_that_are_missing", func(t *testing.T) {
		root := zktest.Connect(t)
		d := desk{Hand: zktest.Conn(t, root), t: t}
		host(t, open(t, root, testTimeout), 1, nil)
		d.worker()
		if got := d.Children("/"); !slices.Equal(got, []string{"data", "master", "tasks", "workers"}) {
			t.Errorf("permanent znodes: %q", got)
		}
	})
	parallel(t, "comes_back_when_the_directory_was_removed", func(t *testing.T) {
		d, b, p, old := one(t)
		d.DeleteAll(task.WorkersDir)
		worker := d.worker()
		if worker == old {
			t.Error("the id was used again")
		}
		d.submit("t", "x")
		d.assign(worker, "t")
		d.state("t", "done x")
		b.began("t")
		p.leave()
	})
	parallel(t, "anew_when_its_znode_was_deleted_and_cancels_what_it_ran", func(t *testing.T) {
		d, b, p, old := one(t)
		d.submit("t", "wait")
		d.assign(old, "t")
		b.began("t")
		d.Delete(task.WorkerPath(old))
		b.ended("t")
		worker := d.worker()
		if worker == old {
			t.Error("the id was used again")
		}
		d.assign(worker, "t")
		b.began("t", "t")
		b.end("t", "x")
		d.state("t", "done x")
		d.free(worker)
		d.written("t", 1)
		p.leave()
	})
	parallel(t, "anew_when_its_znode_was_replaced_by_another", func(t *testing.T) {
		d, _, p, old := one(t)
		_, err := d.Conn.Multi(
			&zk.DeleteRequest{Path: d.full(task.WorkerPath(old)), Version: -1},
			&zk.CreateRequest{Path: d.full(task.WorkerPath(old)), Acl: zk.WorldACL(zk.PermAll)})
		if err != nil {
			t.Fatal(err)
		}
		d.workers(2)
		p.leave()
		if got := d.workers(1); got[0] != old || d.stat(task.WorkerPath(old)).Version != 0 {
			t.Errorf("left behind %q", got)
		}
	})
	parallel(t, "not_while_an_execution_still_ends", func(t *testing.T) {
		d, b, _, old := one(t)
		d.submit("t", "stubborn")
		d.assign(old, "t")
		b.began("t")
		d.Delete(task.WorkerPath(old))
		b.ended("t")
		if got := d.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("registered: %q", got)
		}
		b.end("t", "too late")
		d.free(d.worker())
		d.written("t", 0)
	})
	parallel(t, "fails_where_it_may_not_create", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		if _, err := d.Conn.SetACL(d.full(task.WorkersDir), zk.WorldACL(zk.PermRead), -1); err != nil {
			t.Fatal(err)
		}
		p := host(t, open(t, root, testTimeout), 2, nil)
		if err := p.wait(); !errors.Is(err, zk.ErrNoAuth) {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestExecute(t *testing.T) {
	t.Parallel()
	parallel(t, "writes_the_result_and_frees_itself_in_one_transaction", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.submit("t", "42")
		d.assign(worker, "t")
		d.state("t", "done 42")
		d.free(worker)
		if w, s := d.stat(task.WorkerPath(worker)), d.stat(task.StatePath("t")); w.Mzxid != s.Mzxid || s.Version != 1 {
			t.Errorf("freed at %#x, result at %#x, version %d", w.Mzxid, s.Mzxid, s.Version)
		}
		b.began("t")
		if data, _ := d.Get(task.DataPath("t")); data != "42" {
			t.Errorf("payload %q", data)
		}
	})
	parallel(t, "the_computation_of_the_assignment_unless_told_otherwise", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		host(t, open(t, root, testTimeout), 0, nil)
		worker := d.worker()
		d.submit("good", "0.01\n")
		d.submit("bad", "soon")
		d.assign(worker, "good", "bad")
		d.state("good", "done 0")
		d.state("bad", `failed payload "soon" is not a number of seconds from 0 to 86400`)
		d.free(worker)
	})
	parallel(t, "the_list_in_its_order", func(t *testing.T) {
		d, b, _, worker := one(t)
		for _, id := range []string{"c", "a", "b"} {
			d.submit(id, id+id)
		}
		d.assign(worker, "c", "a", "b")
		for _, id := range []string{"a", "b", "c"} {
			d.state(id, "done "+id+id)
			d.written(id, 1)
		}
		b.began("c", "a", "b")
		d.free(worker)
	})
	parallel(t, "a_list_typed_with_blanks_and_repeats", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.submit("a", "1")
		d.submit("my task", "2")
		d.Set(task.WorkerPath(worker), "\r\n  my task\t\r\n\r\na \r\nmy task\r\n\n")
		d.state("a", "done 1")
		d.state("my task", "done 2")
		b.began("my task", "a")
		d.free(worker)
	})
	parallel(t, "commits_each_result_as_it_is_ready", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.submit("a", "1")
		d.submit("b", "wait")
		d.assign(worker, "a", "b")
		d.state("a", "done 1")
		d.reads(task.WorkerPath(worker), "b")
		b.end("b", "2")
		d.state("b", "done 2")
		d.free(worker)
	})
	parallel(t, "new_ids_behind_those_listed", func(t *testing.T) {
		d, b, _, worker := one(t)
		for _, id := range []string{"a", "b", "c"} {
			d.submit(id, "wait")
		}
		d.assign(worker, "a")
		b.began("a")
		d.assign(worker, "b", "a", "c") // also in front of it
		for _, id := range []string{"a", "b", "c"} {
			b.end(id, id)
			d.state(id, "done "+id)
		}
		b.began("a", "b", "c")
		b.ended()
		d.free(worker)
	})
	parallel(t, "no_longer_what_is_no_longer_listed", func(t *testing.T) {
		d, b, _, worker := one(t)
		for _, id := range []string{"a", "b", "c"} {
			d.submit(id, "wait")
		}
		d.assign(worker, "a", "b", "c")
		b.began("a")
		d.assign(worker, "a", "c") // b has not begun, a goes on untouched
		d.assign(worker, "c")
		b.ended("a")
		b.began("a", "c")
		d.assign(worker)
		b.ended("a", "c")
		d.submit("d", "4")
		d.assign(worker, "d")
		d.state("d", "done 4")
		d.free(worker)
		b.began("a", "c", "d")
		for _, id := range []string{"a", "b", "c"} {
			d.written(id, 0)
		}
	})
	parallel(t, "again_what_was_taken_away_and_listed_again", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.submit("t", "wait")
		d.assign(worker, "t")
		b.began("t")
		d.assign(worker)
		b.ended("t")
		d.assign(worker, "t")
		b.began("t", "t")
		b.end("t", "x")
		d.state("t", "done x")
		d.written("t", 1)
		d.free(worker)
	})
	parallel(t, "ends_by_itself_with_the_session", func(t *testing.T) {
		d, b, p, worker := one(t)
		d.submit("t", "wait")
		d.assign(worker, "t")
		b.began("t")
		p.s.Close()
		b.ended("t")
		if err := p.wait(); !errors.Is(err, session.ErrOver) {
			t.Errorf("Run: %v", err)
		}
		d.workers(0)
		d.written("t", 0)
	})
}

func TestFail(t *testing.T) {
	t.Parallel()
	parallel(t, "by_its_own_error", func(t *testing.T) {
		d, _, _, worker := one(t)
		d.submit("t", "fail out of paper")
		d.assign(worker, "t")
		d.state("t", "failed out of paper")
		d.free(worker)
		d.written("t", 1)
	})
	parallel(t, "without_a_payload", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.Create(task.StatePath("t"), "pending")
		d.assign(worker, "t")
		d.state("t", "failed no payload in /data/t")
		d.free(worker)
		b.began()
	})
	parallel(t, "with_a_payload_that_may_not_be_read", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.submit("t", "x")
		if _, err := d.Conn.SetACL(d.full(task.DataPath("t")), zk.WorldACL(zk.PermWrite), -1); err != nil {
			t.Fatal(err)
		}
		d.assign(worker, "t")
		d.state("t", "failed get /data/t: zk: not authenticated")
		d.free(worker)
		b.began()
	})
	for name, answer := range map[string]func() ([]byte, error){
		"result": func() ([]byte, error) { return make([]byte, 1<<20), nil },
		"reason": func() ([]byte, error) { return nil, errors.New(strings.Repeat("x", 1<<20)) },
	} {
		parallel(t, "with_a_"+name+"_too_large_and_the_session_goes_on", func(t *testing.T) {
			root := zktest.Connect(t)
			d := newDesk(t, root)
			p := host(t, open(t, root, testTimeout), 1, func(_ context.Context, id string, payload []byte) ([]byte, error) {
				if id == "large" {
					return answer()
				}
				return payload, nil
			})
			worker := d.worker()
			d.submit("large", "")
			d.submit("t", strings.Repeat("y", 800_000))
			d.assign(worker, "large", "t")
			d.state("large", fmt.Sprintf("failed result of 1048576 bytes is too large: at most %d", session.MaxPacket-reserve-len("large\nt")))
			d.state("t", "done "+strings.Repeat("y", 800_000))
			d.free(worker)
			if owner := d.stat(task.WorkerPath(worker)).EphemeralOwner; owner != p.s.ID() {
				t.Errorf("owner %#x, session %#x", owner, p.s.ID())
			}
		})
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	parallel(t, "nothing_for_an_unknown_task", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.Create(task.DataPath("half"), "x")
		d.assign(worker, "none", "half")
		d.free(worker)
		b.began("half")
		if tasks, data := d.Children(task.TasksDir), d.Children(task.DataDir); len(tasks) != 0 || len(data) != 1 {
			t.Errorf("tasks %q, payloads %q", tasks, data)
		}
	})
	parallel(t, "nothing_for_what_cannot_be_a_task", func(t *testing.T) {
		d, b, p, worker := one(t)
		d.submit("t", "x")
		d.assign(worker, "..", "a/b", "/", "a/", ".", "\x00", "\x01", "\xff", "t")
		d.state("t", "done x")
		d.free(worker)
		b.began("t")
		d.assign(worker, "..", "\x00")
		p.leave()
		d.workers(0)
	})
	parallel(t, "large_results_beside_a_long_list", func(t *testing.T) {
		d, b, _, worker := one(t)
		result := strings.Repeat("x", 600_000)
		for _, id := range []string{"a", "b", "c"} {
			d.submit(id, result)
		}
		d.assign(worker, "a", "b", "c", strings.Repeat("unknown", 30_000))
		for _, id := range []string{"a", "b", "c"} {
			d.state(id, "done "+result)
		}
		d.free(worker)
		b.began("a", "b", "c")
	})
	parallel(t, "nothing_over_a_result_typed_by_hand", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.submit("t", "wait")
		d.assign(worker, "t")
		b.began("t")
		d.Set(task.StatePath("t"), "done by hand")
		b.end("t", "by worker")
		d.free(worker)
		d.state("t", "done by hand")
		d.written("t", 1)
	})
	parallel(t, "nothing_over_an_unknown_word", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.submit("t", "wait")
		d.assign(worker, "t")
		b.began("t")
		d.Set(task.StatePath("t"), "banana")
		b.end("t", "x")
		d.free(worker)
		d.state("t", "banana")
	})
	parallel(t, "nothing_for_a_task_removed_meanwhile", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.submit("t", "wait")
		d.assign(worker, "t")
		b.began("t")
		d.Delete(task.StatePath("t"))
		b.end("t", "x")
		d.free(worker)
		if got := d.Children(task.TasksDir); len(got) != 0 {
			t.Errorf("tasks %q", got)
		}
	})
	parallel(t, "all_the_same_when_the_state_has_moved_and_is_pending", func(t *testing.T) {
		d, b, _, worker := one(t)
		d.submit("t", "wait")
		d.assign(worker, "t")
		b.began("t")
		d.Set(task.StatePath("t"), "pending 2")
		b.end("t", "x")
		d.state("t", "done x")
		d.free(worker)
		d.written("t", 2)
		b.began("t")
	})
	parallel(t, "the_first_of_two_results_when_two_workers_hold_the_task", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		first, second := newBench(t), newBench(t)
		host(t, open(t, root, testTimeout), 1, first.run)
		a := d.worker()
		host(t, open(t, root, testTimeout), 1, second.run)
		ids := d.workers(2)
		b := ids[1-slices.Index(ids, a)]
		d.submit("t", "wait")
		d.assign(a, "t")
		d.assign(b, "t")
		first.began("t")
		second.began("t")
		second.end("t", "second")
		d.state("t", "done second")
		d.free(b)
		d.reads(task.WorkerPath(a), "t")
		first.end("t", "first")
		d.free(a)
		d.state("t", "done second")
		d.written("t", 1)
	})
	parallel(t, "one_result_when_two_slots_of_a_process_hold_the_task", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		host(t, open(t, root, testTimeout), 2, func(context.Context, string, []byte) ([]byte, error) { return []byte("x"), nil })
		ids := d.workers(2)
		for i := range 20 {
			id := fmt.Sprint("t", i)
			d.submit(id, "")
			d.assign(ids[0], id)
			d.assign(ids[1], id)
			d.free(ids[0])
			d.free(ids[1])
			d.state(id, "done x")
			d.written(id, 1)
		}
	})
	parallel(t, "what_is_still_listed_after_a_take-back_in_the_same_moment", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		host(t, open(t, through, testTimeout), 1, b.run)
		worker := d.worker()
		d.submit("a", "wait")
		d.submit("b", "wait")
		d.assign(worker, "a", "b")
		b.began("a")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end("a", "1")
		happened(t, "commit", held)
		d.assign(worker, "a")
		release()
		d.state("a", "done 1")
		d.free(worker)
		b.once("a")
		d.written("a", 1)
		d.written("b", 0)
	})
	parallel(t, "nothing_that_was_taken_back_in_the_same_moment", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		host(t, open(t, through, testTimeout), 1, b.run)
		worker := d.worker()
		d.submit("a", "wait")
		d.assign(worker, "a")
		b.began("a")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end("a", "1")
		happened(t, "commit", held)
		d.submit("b", "2")
		d.assign(worker, "b")
		release()
		d.state("b", "done 2")
		d.free(worker)
		d.written("a", 0)
		b.began("a", "b")
	})
	parallel(t, "the_results_of_several_slots_together_and_one_refused_disturbs_none", func(t *testing.T) {
		const slots = 8
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		host(t, open(t, through, testTimeout), slots, b.run)
		workers := d.workers(slots)
		var ids []string
		for i, worker := range workers {
			ids = append(ids, fmt.Sprint("t", i))
			d.submit(ids[i], "wait")
			d.assign(worker, ids[i])
		}
		zktest.Eventually(t, "executions", func() (bool, string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return len(b.order) == slots, fmt.Sprint(b.order)
		})
		proxy.Seen()
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end(ids[0], "x")
		happened(t, "the first commit", held)
		for _, id := range ids[1:] {
			b.end(id, "x")
		}
		d.Set(task.StatePath(ids[4]), "done by hand")
		d.assign(workers[5])
		release()
		for i, id := range ids {
			switch i {
			case 4:
				d.state(id, "done by hand")
			case 5:
				d.state(id, "pending")
			default:
				d.state(id, "done x")
				d.written(id, 1)
			}
			d.free(workers[i])
		}
		multis := 0
		for _, op := range proxy.Seen() {
			if op == zktest.OpMulti {
				multis++
			}
		}
		if multis >= slots {
			t.Errorf("%d transactions for %d results", multis, slots)
		}
	})
}

func TestLeave(t *testing.T) {
	t.Parallel()
	parallel(t, "a_free_slot_at_once", func(t *testing.T) {
		d, _, p, _ := one(t)
		p.leave()
		if got := d.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("left behind %q", got)
		}
		if err := p.s.Err(); err != nil {
			t.Errorf("session: %v", err)
		}
	})
	parallel(t, "gives_its_tasks_back_in_one_transaction", func(t *testing.T) {
		d, b, p, worker := one(t)
		for _, id := range []string{"a", "b", "finished"} {
			d.submit(id, "wait")
		}
		d.Set(task.StatePath("a"), "pending 2")
		d.assign(worker, "a", "b", "finished", "unknown")
		b.began("a")
		d.Set(task.StatePath("finished"), "done by hand")
		p.leave()
		b.ended("a")
		for id, want := range map[string]string{"a": "pending 2", "b": "pending", "finished": "done by hand"} {
			if got, _ := d.Get(task.StatePath(id)); got != want {
				t.Errorf("%s: %q, want %q", id, got, want)
			}
		}
		d.written("a", 2)
		d.written("b", 1)
		d.written("finished", 1)
		at := d.stat(task.WorkersDir).Pzxid
		if a, b := d.stat(task.StatePath("a")).Mzxid, d.stat(task.StatePath("b")).Mzxid; a != at || b != at {
			t.Errorf("given back at %#x and %#x, left at %#x", a, b, at)
		}
		if got := d.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("left behind %q", got)
		}
	})
	parallel(t, "gives_back_the_rest_when_one_task_may_not_be_written", func(t *testing.T) {
		d, b, p, worker := one(t)
		d.submit("a", "wait")
		d.submit("b", "wait")
		if _, err := d.Conn.SetACL(d.full(task.StatePath("a")), zk.WorldACL(zk.PermRead), -1); err != nil {
			t.Fatal(err)
		}
		d.assign(worker, "a", "b")
		b.began("a")
		p.leave()
		d.workers(0)
		d.written("a", 0)
		d.written("b", 1)
	})
	parallel(t, "gives_back_work_that_came_in_the_same_moment", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, open(t, through, testTimeout), 1, b.run)
		worker := d.worker()
		d.submit("t", "wait")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		p.stop()
		happened(t, "delete", held)
		d.assign(worker, "t")
		release()
		p.leave()
		d.state("t", "pending")
		d.written("t", 1)
		b.began()
		if got := d.Children(task.WorkersDir); len(got) != 0 {
			t.Errorf("left behind %q", got)
		}
	})
	parallel(t, "gives_back_what_is_listed_now_when_its_list_changes_in_the_same_moment", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, open(t, through, testTimeout), 1, b.run)
		worker := d.worker()
		for _, id := range []string{"a", "b", "c"} {
			d.submit(id, "wait")
		}
		d.assign(worker, "a", "b")
		b.began("a")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		p.stop()
		happened(t, "give back", held)
		d.Set(task.StatePath("b"), "pending 1")
		d.assign(worker, "b", "c")
		release()
		p.leave()
		d.state("a", "pending")
		d.state("b", "pending 1")
		d.state("c", "pending")
		d.written("a", 0)
		d.written("b", 2)
		d.written("c", 1)
	})
	parallel(t, "writes_a_result_that_was_ready", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, open(t, through, testTimeout), 1, b.run)
		worker := d.worker()
		d.submit("a", "wait")
		d.submit("b", "wait")
		d.assign(worker, "a", "b")
		b.began("a")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end("a", "1")
		happened(t, "commit", held)
		p.stop()
		d.assign(worker, "b", "a") // so the commit is refused
		release()
		p.leave()
		d.workers(0)
		d.state("a", "done 1")
		d.state("b", "pending")
		d.written("a", 1)
		d.written("b", 1)
		b.once("a")
	})
	parallel(t, "loses_nothing_whenever_work_comes", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		s := open(t, root, testTimeout)
		for i := range 30 {
			p := host(t, s, 1, b.run)
			worker := d.worker()
			id := fmt.Sprint("t", i)
			d.submit(id, "wait")
			go p.stop()
			_, err := d.Conn.Set(d.full(task.WorkerPath(worker)), []byte(id), 0)
			if err != nil && !errors.Is(err, zk.ErrNoNode) {
				t.Fatal(err)
			}
			p.leave()
			d.workers(0)
			if got, _ := d.Get(task.StatePath(id)); got != "pending" {
				t.Errorf("%s: %q", id, got)
			}
			given := int32(0)
			if err == nil {
				given = 1
			}
			d.written(id, given)
		}
	})
	parallel(t, "when_its_znode_is_gone_already", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		p := host(t, open(t, through, testTimeout), 1, b.run)
		worker := d.worker()
		held, release := proxy.Hold(zktest.OpMulti, 1)
		p.stop()
		happened(t, "delete", held)
		d.Delete(task.WorkerPath(worker))
		release()
		p.leave()
		d.workers(0)
	})
}
