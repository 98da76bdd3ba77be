package master

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/uuid"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// still is a leader whose loop does not run, with a candidate made by hand.
func still(s *session.Session, h *zktest.ManualClient, log *slog.Logger) *leader {
	m := &master{s: s, cfg: Config{Logger: log, Retention: -1}.withDefaults(), dirs: newDirs(s)}
	m.rights = session.NewRights(log)
	m.hints = s.Hints(watched...)
	l := newLeader(m, session.Check(h.CreateSeq("/master/x-", ""), session.AnyVersion))
	l.tasks.short, l.workers.short = true, true // nobody serves them
	return l
}

// assigning is a move that gives a task that was never read to a free worker.
func assigning(worker, id string, lost bool) sched.Move {
	return sched.Move{Kind: sched.Assign, Worker: worker, List: []string{id}, Tasks: []sched.Claim{{ID: id, CountLoss: lost}}}
}

// moves are one of each kind, in a tree of busyTree.
var moves = []struct {
	name string
	move sched.Move
	path string            // of a znode that it writes
	want map[string]string // what the znodes hold then that it writes
}{
	{"assign", assigning("free", "t1", false), "/workers/free", map[string]string{"/workers/free": "t1"}},
	{"assign after a loss", assigning("free", "t1", true), "/tasks/t1", map[string]string{"/workers/free": "t1", "/tasks/t1": "pending 1"}},
	{"revoke", sched.Move{Kind: sched.Revoke, Worker: "busy", Tasks: []sched.Claim{{ID: "withdrawn"}}}, "/workers/busy", map[string]string{"/workers/busy": ""}},
	{"reclaim", sched.Move{Kind: sched.Reclaim, Worker: "busy", List: []string{"withdrawn"}, Back: []string{"withdrawn"}}, "/workers/busy", map[string]string{"/workers/busy": "-withdrawn"}},
	{"fail", sched.Move{Kind: sched.Fail, Tasks: []sched.Claim{{ID: "t1"}}}, "/tasks/t1", map[string]string{"/tasks/t1": "failed lost with 1 worker"}},
}

// busyTree has a pending task, a free worker, and one that lists what is no task.
func busyTree(t *testing.T) (*zktest.ManualClient, *session.Session) {
	h, connect := tree(t)
	submit(h, "t1")
	h.CreateEphemeral("/workers/free", "")
	h.CreateEphemeral("/workers/busy", "withdrawn")
	return h, harness.Open(t, connect)
}

// TestFence shows that a leader that does not know yet that it is deposed has no
// effect. Each write would pass without the fence: the sub-tests carry the same
// operations out without it afterwards.
func TestFence(t *testing.T) {
	for _, tt := range moves {
		t.Run("refuses a deposed leader's "+tt.name, func(t *testing.T) {
			h, s := busyTree(t)
			l := still(s, h, harness.Logger(t))
			h.Delete(l.fence.Path)
			before, _ := h.Stat(tt.path)
			if err := l.apply([]sched.Move{tt.move}); !errors.Is(err, errDeposed) {
				t.Fatalf("apply: %v", err)
			}
			if after, _ := h.Stat(tt.path); after.Mzxid != before.Mzxid {
				t.Error("the write had effect")
			}
			if _, err := s.Multi(operations(tt.move)...); err != nil {
				t.Errorf("without the fence: %v", err)
			}
		})
	}
}

// TestMoves shows what each move writes.
func TestMoves(t *testing.T) {
	was := map[string]string{"/tasks/t1": "pending", "/workers/free": "", "/workers/busy": "withdrawn"}
	for _, tt := range moves {
		t.Run(tt.name, func(t *testing.T) {
			h, s := busyTree(t)
			if err := still(s, h, harness.Logger(t)).apply([]sched.Move{tt.move}); err != nil {
				t.Fatal(err)
			}
			want := maps.Clone(was)
			maps.Copy(want, tt.want)
			for path, want := range want {
				if got, _ := h.Get(path); got != want {
					t.Errorf("%s holds %q, want %q", path, got, want)
				}
			}
		})
	}
}

// TestOldView shows that a move has no effect when what it stands on was written
// since it was read: by a person, or by a worker that gave back or committed.
func TestOldView(t *testing.T) {
	for _, tt := range moves {
		paths := []string{"/tasks/t1"}
		if tt.move.Kind != sched.Assign && tt.move.Kind != sched.Fail {
			paths = nil
		}
		if tt.move.Worker != "" {
			paths = append(paths, task.WorkerPath(tt.move.Worker))
		}
		for _, written := range paths {
			t.Run(tt.name+" is refused when "+written[1:]+" was written since", func(t *testing.T) {
				h, s := busyTree(t)
				j := new(journal)
				l := still(s, h, slog.New(slog.NewTextHandler(j, nil)))
				h.Set(written, "since")
				if err := l.apply([]sched.Move{tt.move}); err != nil {
					t.Fatal(err)
				}
				want := map[string]string{"/tasks/t1": "pending", "/workers/free": "", "/workers/busy": "withdrawn"}
				want[written] = "since"
				for path, want := range want {
					if got, _ := h.Get(path); got != want {
						t.Errorf("%s holds %q, want %q", path, got, want)
					}
				}
				if strings.Contains(j.String(), "WARN") {
					t.Errorf("it says:\n%s", j)
				}
			})
		}
	}
}

// turnUntilQuiet has the loop of a leader turn until it has nothing more to do.
func turnUntilQuiet(t *testing.T, l *leader) {
	t.Helper()
	var d sched.Decision
	for range 1000 {
		var err error
		if d, err = l.turn(d.Blocked); err != nil {
			t.Fatal(err)
		}
		if len(d.Moves)+len(d.ReadWorkers)+len(d.ReadTasks) == 0 {
			return
		}
	}
	t.Fatalf("still at it: %+v", d)
}

func TestApply(t *testing.T) {
	t.Run("a refused move holds up no other move", func(t *testing.T) {
		h, connect := tree(t)
		j := new(journal)
		l := still(harness.Open(t, connect), h, slog.New(slog.NewTextHandler(j, nil)))
		var ids, workers []string
		for i := range 9 {
			ids = append(ids, task.NewID())
			submit(h, ids[i])
			workers = append(workers, fmt.Sprintf("w%d", i))
			h.CreateEphemeral(task.WorkerPath(workers[i]), "")
		}
		l.handle(sched.TasksListed{IDs: ids, Number: 1})
		l.handle(sched.WorkersListed{IDs: workers})
		l.handle(sched.DrainsListed{})
		if err := l.readWorkers(workers); err != nil {
			t.Fatal(err)
		}
		d := l.sched.Decide(time.Now())
		if len(d.Moves) != 9 {
			t.Fatalf("%d moves", len(d.Moves))
		}
		h.Delete(task.StatePath(ids[1]))        // withdrawn
		h.Set(task.StatePath(ids[3]), "done 1") // finished by hand
		h.Delete(task.WorkerPath(workers[5]))   // gone
		submit(h, "t1")
		h.Set(task.WorkerPath(workers[7]), "t1") // given work by hand
		if err := l.apply(d.Moves); err != nil {
			t.Fatal(err)
		}
		turnUntilQuiet(t, l)
		var assigned []string
		for i, w := range workers {
			got, _ := h.Get(task.WorkerPath(w))
			switch {
			case i == 5:
			case i == 7 && got != "t1":
				t.Errorf("w7 holds %q", got)
			case i != 7:
				assigned = append(assigned, got)
			}
		}
		slices.Sort(assigned)
		want := []string{ids[0], ids[2], ids[4], ids[5], ids[6], ids[7], ids[8]}
		if !slices.Equal(assigned, want) {
			t.Errorf("assigned %q, want %q", assigned, want)
		}
		if strings.Contains(j.String(), "WARN") {
			t.Errorf("it says:\n%s", j)
		}
	})
	for name, m := range map[string]sched.Move{
		"a loss is not counted over a result": assigning("w1", "t1", true),
		"a task is not failed over a result":  {Kind: sched.Fail, Tasks: []sched.Claim{{ID: "t1"}}},
		"a finished task is not assigned":     assigning("w1", "t1", false),
	} {
		t.Run(name, func(t *testing.T) {
			h, connect := tree(t)
			submit(h, "t1")
			h.CreateEphemeral("/workers/w1", "")
			l := still(harness.Open(t, connect), h, harness.Logger(t))
			h.Set("/tasks/t1", "done 42") // after it was read, before it is written
			if err := l.apply([]sched.Move{m}); err != nil {
				t.Fatal(err)
			}
			if got, _ := h.Get("/tasks/t1"); got != "done 42" {
				t.Errorf("state %q", got)
			}
			if got, _ := h.Get("/workers/w1"); got != "" {
				t.Errorf("w1 holds %q", got)
			}
		})
	}
	t.Run("a list that is too large is refused for its worker alone", func(t *testing.T) {
		h, connect := tree(t)
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		h.CreateEphemeral("/workers/w2", "")
		j := new(journal)
		l := still(harness.Open(t, connect), h, slog.New(slog.NewTextHandler(j, nil)))
		large := sched.Move{Kind: sched.Revoke, Worker: "w1", List: slices.Repeat([]string{strings.Repeat("x", 99)}, 9500)}
		if err := l.apply([]sched.Move{large, assigning("w2", "t1", false)}); err != nil {
			t.Fatal(err)
		}
		if got, _ := h.Get("/workers/w2"); got != "t1" {
			t.Errorf("w2 holds %q", got)
		}
		if !strings.Contains(j.String(), "znode=/workers/w1 err=\"its list is ") {
			t.Errorf("it says:\n%s", j)
		}
	})
	t.Run("a znode that may not be written is named, once", func(t *testing.T) {
		h, s := busyTree(t)
		if err := s.SetACL("/workers/free", zk.WorldACL(zk.PermAll&^zk.PermWrite), -1); err != nil {
			t.Fatal(err)
		}
		j := new(journal)
		l := still(s, h, slog.New(slog.NewTextHandler(j, nil)))
		for range 2 {
			if err := l.apply([]sched.Move{assigning("free", "t1", false)}); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(j.String(), "znode=/workers/free "); n != 1 {
			t.Errorf("it says %d times:\n%s", n, j)
		}
	})
	t.Run("a list of many ids of no task makes one line", func(t *testing.T) {
		h, s := busyTree(t)
		j := new(journal)
		l := still(s, h, slog.New(slog.NewTextHandler(j, nil)))
		m := sched.Move{Kind: sched.Revoke, Worker: "busy", Tasks: make([]sched.Claim, manyIDs+1)}
		if err := l.apply([]sched.Move{m}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(j.String(), "\n"); n != 1 {
			t.Errorf("%d lines", n)
		}
	})
	t.Run("a long chroot makes packets smaller", func(t *testing.T) {
		connect := zktest.Connect(t) + "/" + strings.Repeat("a-long-chroot", 70)
		s := harness.Open(t, connect)
		if err := s.EnsureDirs(task.Dirs()...); err != nil {
			t.Fatal(err)
		}
		h := zktest.Conn(t, connect)
		l := still(s, h, slog.New(slog.DiscardHandler))
		var workers []string
		var moves []sched.Move
		for i := range 700 {
			workers = append(workers, fmt.Sprintf("w%03d", i))
			h.CreateEphemeral(task.WorkerPath(workers[i]), "")
			moves = append(moves, sched.Move{Kind: sched.Revoke, Worker: workers[i], List: []string{strings.Repeat("x", 450)}})
		}
		if err := l.apply(moves); err != nil {
			t.Fatal(err)
		}
		for _, w := range workers {
			if got, _ := h.Get(task.WorkerPath(w)); len(got) != 450 {
				t.Fatalf("%s holds %d bytes", w, len(got))
			}
		}
	})
	t.Run("more than a packet goes in several", func(t *testing.T) {
		h, connect := tree(t)
		s := harness.Open(t, connect)
		l := still(s, h, slog.New(slog.DiscardHandler))
		group := s.NewGroup()
		var wg sync.WaitGroup
		for range 2000 {
			wg.Go(func() {
				if _, err := group.Multi(
					session.CreateEphemeral(task.StatePath(task.NewID()), []byte("pending")),
					session.CreateEphemeral(task.WorkerPath(uuid.NewString()), nil)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		turnUntilQuiet(t, l)
		assigned := 0
		for _, w := range h.Children(task.WorkersDir) {
			if got, _ := h.Get(task.WorkerPath(w)); got != "" {
				assigned++
			}
		}
		if assigned != 2000 {
			t.Errorf("%d assigned", assigned)
		}
	})
}
