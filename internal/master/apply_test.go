package master

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
	"taskkeeper/internal/zktest"
)

// still is a leader whose loop does not run.
func still(s *session.Session, candidate string, v *view, log *slog.Logger) *leader {
	return &leader{s: s, fence: session.Check(candidate, session.AnyVersion), log: log, view: v, rights: session.NewRights(log), odd: newComplaints(log), together: leastTogether, traces: map[string]trace{}}
}

// TestFence shows that a leader that does not know yet that it is deposed has no
// effect. Each write would pass without the fence: the sub-tests carry the same
// operations out without it afterwards.
func TestFence(t *testing.T) {
	for _, tt := range []struct {
		name string
		move move
		path string
	}{
		{"assign", move{kind: assign, worker: "free", list: []string{"t1"}, tasks: claims("t1")}, "/workers/free"},
		{"assign_after_a_loss", move{kind: assign, worker: "free", list: []string{"t1"}, tasks: []claim{{id: "t1", lost: true}}}, "/tasks/t1"},
		{"take_back", move{kind: takeBack, worker: "busy", tasks: claims("withdrawn")}, "/workers/busy"},
		{"fail", move{kind: fail, tasks: claims("t1")}, "/tasks/t1"},
	} {
		t.Run(tt.name+"_of_a_deposed_leader_is_refused", func(t *testing.T) {
			h, connect := tree(t)
			submit(h, "t1")
			h.CreateEphemeral("/workers/free", "")
			h.CreateEphemeral("/workers/busy", "withdrawn")
			candidate := h.CreateSeq("/master/stale-", "")
			s := open(t, connect)
			l := still(s, candidate, newView(3), testLogger(t))
			h.Delete(candidate)

			before, _ := h.Stat(tt.path)
			if err := l.apply([]move{tt.move}); !errors.Is(err, errDeposed) {
				t.Fatalf("apply: %v", err)
			}
			if after, _ := h.Stat(tt.path); after.Mzxid != before.Mzxid {
				t.Error("the write had effect")
			}
			if _, err := s.Multi(tt.move.ops()...); err != nil {
				t.Errorf("without the fence: %v", err)
			}
		})
	}
}

func TestSign(t *testing.T) {
	t.Run("of_a_deposed_leader_is_refused", func(t *testing.T) {
		h, connect := tree(t)
		candidate := h.CreateSeq("/master/stale-", "")
		l := still(open(t, connect), candidate, newView(3), testLogger(t))
		h.Delete(candidate)
		if err := l.sign(); !errors.Is(err, errDeposed) {
			t.Errorf("sign: %v", err)
		}
	})
	t.Run("is_no_matter_where_a_person_wrote", func(t *testing.T) {
		h, connect := tree(t)
		candidate := h.CreateSeq("/master/x-", "")
		l := still(open(t, connect), candidate, newView(3), testLogger(t))
		h.Set(candidate, "mine")
		if err := l.sign(); err != nil {
			t.Errorf("sign: %v", err)
		}
		if got, _ := h.Get(candidate); got != "mine" {
			t.Errorf("holds %q", got)
		}
	})
}

// TestOldView shows that a move has no effect when what it stands on was written
// since it was read: by a person, or by a worker that gave back or committed.
func TestOldView(t *testing.T) {
	for _, tt := range []struct {
		name  string
		move  move
		wrote string // since then, to this path
	}{
		{"assign_to_a_worker", move{kind: assign, worker: "free", list: []string{"t1"}, tasks: claims("t1")}, "/workers/free"},
		{"assign_a_task", move{kind: assign, worker: "free", list: []string{"t1"}, tasks: claims("t1")}, "/tasks/t1"},
		{"assign_a_lost_task", move{kind: assign, worker: "free", list: []string{"t1"}, tasks: []claim{{id: "t1", lost: true}}}, "/tasks/t1"},
		{"take_back_from_a_worker", move{kind: takeBack, worker: "busy", tasks: claims("withdrawn")}, "/workers/busy"},
		{"fail_a_task", move{kind: fail, tasks: claims("t1")}, "/tasks/t1"},
	} {
		t.Run(tt.name+"_that_was_written_since", func(t *testing.T) {
			h, connect := tree(t)
			submit(h, "t1")
			h.CreateEphemeral("/workers/free", "")
			h.CreateEphemeral("/workers/busy", "withdrawn")
			l := still(open(t, connect), h.CreateSeq("/master/x-", ""), newView(3), testLogger(t))
			h.Set(tt.wrote, "since")
			if err := l.apply([]move{tt.move}); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"/tasks/t1": "pending", "/workers/free": "", "/workers/busy": "withdrawn"}
			want[tt.wrote] = "since"
			for path, want := range want {
				if got, _ := h.Get(path); got != want {
					t.Errorf("%s holds %q, want %q", path, got, want)
				}
			}
		})
	}
}

func TestApply(t *testing.T) {
	t.Run("no_move_shares_anothers_fate", func(t *testing.T) {
		h, connect := tree(t)
		s := open(t, connect)
		v := newView(3)
		l := still(s, h.CreateSeq("/master/x-", ""), v, testLogger(t))
		var ids, workers []string
		for i := range 9 {
			ids = append(ids, task.NewID())
			submit(h, ids[i])
			workers = append(workers, fmt.Sprintf("w%d", i))
			h.CreateEphemeral(task.WorkerPath(workers[i]), "")
		}
		v.asked++
		v.listTasks(ids, v.asked, time.Now())
		v.listWorkers(workers)
		for _, w := range workers {
			v.readWorker(w, nil, 0)
		}
		moves := v.decide()
		if len(moves) != 9 {
			t.Fatalf("%d moves", len(moves))
		}
		h.Delete(task.StatePath(ids[1]))         // withdrawn
		h.Set(task.StatePath(ids[3]), "done 1")  // finished by hand
		h.Delete(task.WorkerPath(workers[5]))    // gone
		h.Set(task.WorkerPath(workers[7]), "t1") // given work by hand
		for range 3 {                            // one is refused; all is read again; the rest goes
			if err := l.apply(moves); err != nil {
				t.Fatal(err)
			}
			if _, err := l.refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			moves = v.decide()
		}
		if len(moves) != 0 {
			t.Errorf("still %d moves", len(moves))
		}
		wanted := []int{0, 2, 4, 5, 6, 7, 8} // of the tasks, in their order
		for i, w := range workers {
			want := ""
			switch i {
			case 5:
			case 7:
				want = "t1"
			default:
				want, wanted = ids[wanted[0]], wanted[1:]
			}
			if got, _ := h.Get(task.WorkerPath(w)); got != want {
				t.Errorf("worker %d holds %q, want %q", i, got, want)
			}
		}
	})
	for name, m := range map[string]move{
		"a_loss_is_not_counted_over_a_result": {kind: assign, worker: "w1", list: []string{"t1"}, tasks: []claim{{id: "t1", lost: true}}},
		"a_task_is_not_failed_over_a_result":  {kind: fail, tasks: []claim{{id: "t1", lost: true}}},
		"a_finished_task_is_not_assigned":     {kind: assign, worker: "w1", list: []string{"t1"}, tasks: claims("t1")},
	} {
		t.Run(name, func(t *testing.T) {
			h, connect := tree(t)
			submit(h, "t1")
			h.CreateEphemeral("/workers/w1", "")
			s := open(t, connect)
			l := still(s, h.CreateSeq("/master/x-", ""), newView(3), testLogger(t))
			h.Set("/tasks/t1", "done 42") // after it was read, before it is written
			if err := l.apply([]move{m}); err != nil {
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
	t.Run("a_list_that_is_too_large_costs_its_worker_and_no_other", func(t *testing.T) {
		h, connect := tree(t)
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		h.CreateEphemeral("/workers/w2", "")
		s := open(t, connect)
		l := still(s, h.CreateSeq("/master/x-", ""), newView(3), testLogger(t))
		l.view.listWorkers([]string{"w1", "w2"})
		large := move{kind: takeBack, worker: "w1", list: slices.Repeat([]string{strings.Repeat("x", 99)}, 9500)}
		small := move{kind: assign, worker: "w2", list: []string{"t1"}, tasks: claims("t1")}
		if err := l.apply([]move{large, small}); err != nil {
			t.Fatal(err)
		}
		if got, _ := h.Get("/workers/w2"); got != "t1" || l.view.workers["w1"] != nil || l.view.workers["w2"].ignored {
			t.Errorf("w2 holds %q; w1 is %+v", got, l.view.workers["w1"])
		}
	})
	t.Run("a_long_chroot_makes_packets_smaller", func(t *testing.T) {
		connect := zktest.Connect(t) + "/" + strings.Repeat("a-long-chroot", 70)
		s := open(t, connect)
		if err := s.EnsureDirs(task.Dirs()...); err != nil {
			t.Fatal(err)
		}
		h := zktest.Conn(t, connect)
		v := newView(3)
		l := still(s, h.CreateSeq("/master/x-", ""), v, slog.New(slog.DiscardHandler))
		var workers []string
		for i := range 700 {
			workers = append(workers, fmt.Sprintf("w%03d", i))
			h.CreateEphemeral(task.WorkerPath(workers[i]), "")
		}
		v.listWorkers(workers)
		var moves []move
		for _, w := range workers {
			v.readWorker(w, nil, 0)
			moves = append(moves, move{kind: takeBack, worker: w, list: []string{strings.Repeat("x", 450)}})
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
	t.Run("more_than_a_packet_goes_in_several", func(t *testing.T) {
		h, connect := tree(t)
		s := open(t, connect)
		v := newView(3)
		l := still(s, h.CreateSeq("/master/x-", ""), v, slog.New(slog.DiscardHandler))
		var ids, workers []string
		group := s.NewGroup()
		var wg sync.WaitGroup
		for range 2000 {
			id, worker := task.NewID(), uuid.NewString()
			ids, workers = append(ids, id), append(workers, worker)
			wg.Go(func() {
				if _, err := group.Multi(
					session.CreateEphemeral(task.StatePath(id), []byte("pending")),
					session.CreateEphemeral(task.WorkerPath(worker), nil)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		v.asked++
		v.listTasks(ids, v.asked, time.Now())
		v.listWorkers(workers)
		for _, w := range workers {
			v.readWorker(w, nil, 0)
		}
		if err := l.apply(v.decide()); err != nil {
			t.Fatal(err)
		}
		if len(v.holders) != 2000 {
			t.Errorf("%d assigned", len(v.holders))
		}
	})
}
