package master

import (
	"context"
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

func TestMain(m *testing.M) { zktest.Main(m) }

// open opens a session that is closed at the end of the test.
func open(t *testing.T, connect string) *session.Session {
	t.Helper()
	address, err := session.ParseAddress(connect)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := session.Open(ctx, session.Config{Address: address, Timeout: 2 * time.Second, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// testLogger writes to the test's log.
func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// run runs a master on a session until it is stopped, or the test ends.
func run(t *testing.T, s *session.Session, cfg Config) (stop func()) {
	t.Helper()
	cfg.Logger = testLogger(t)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := Run(ctx, s, cfg); err != nil && !errors.Is(err, session.ErrOver) {
			t.Errorf("master: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// start runs a master on a session of its own.
func start(t *testing.T, connect string) (stop func()) {
	t.Helper()
	return run(t, open(t, connect), Config{Who: "test"})
}

// submit makes a task by hand.
func submit(h *zktest.Hand, id string) {
	h.Create(task.DataPath(id), "0")
	h.Create(task.StatePath(id), "pending")
}

// makeDirs makes the permanent paths by hand.
func makeDirs(h *zktest.Hand) {
	for _, d := range task.Dirs() {
		h.Create(d, "")
	}
}

// expect waits until a znode holds the text.
func expect(t *testing.T, h *zktest.Hand, path, want string) {
	t.Helper()
	zktest.Eventually(t, fmt.Sprintf("%s holds %q", path, want), func() (bool, string) {
		got, ok := h.Get(path)
		return ok && got == want, fmt.Sprintf("%q, %t", got, ok)
	})
}

// finish commits by hand what a worker was assigned.
func finish(h *zktest.Hand, worker, id string) {
	h.Set(task.StatePath(id), "done 1")
	h.Set(task.WorkerPath(worker), "")
}

// settled waits until the leader has acted on all that was done before: it has
// assigned a task made now to a worker made now.
func settled(t *testing.T, h *zktest.Hand) {
	t.Helper()
	id, worker := "0-probe-"+uuid.NewString(), uuid.NewString()
	submit(h, id)
	h.CreateEphemeral(task.WorkerPath(worker), "")
	zktest.Eventually(t, "the probe is assigned", func() (bool, string) {
		for _, w := range h.Children(task.WorkersDir) {
			got, _ := h.Get(task.WorkerPath(w))
			if got == id {
				finish(h, w, id)
				h.Delete(task.WorkerPath(worker))
				return true, ""
			}
		}
		return false, strings.Join(h.Children(task.WorkersDir), " ")
	})
	h.Delete(task.StatePath(id))
	h.Delete(task.DataPath(id))
}

func TestMaster(t *testing.T) {
	t.Run("tasks_wait_while_there_are_no_workers", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		start(t, connect)
		submit(h, "t1")
		submit(h, "t2")
		h.CreateEphemeral("/workers/w1", "")
		expect(t, h, "/workers/w1", "t1")
		h.CreateEphemeral("/workers/w2", "")
		expect(t, h, "/workers/w2", "t2")
	})

	t.Run("a_worker_that_becomes_free_gets_the_next_waiting_task", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		start(t, connect)
		h.CreateEphemeral("/workers/w1", "")
		var ids []string
		for range 20 {
			ids = append(ids, task.NewID())
			submit(h, ids[len(ids)-1])
		}
		for _, id := range ids { // in the order of submission
			expect(t, h, "/workers/w1", id)
			finish(h, "w1", id)
		}
	})

	t.Run("tasks_waiting_when_a_master_takes_over_are_assigned_without_a_new_event", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		start(t, connect)
		expect(t, h, "/workers/w1", "t1")
	})

	t.Run("a_new_leader_syncs_before_it_lists_and_reads", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		h.CreateEphemeral("/workers/w1", "")
		mine := h.CreateSeq("/master/by-hand-", "me")
		proxy, via := zktest.Via(t, connect)
		start(t, via)
		zktest.Eventually(t, "two candidates", func() (bool, string) { return len(h.Children("/master")) == 2, "" })
		h.Delete(mine) // from now on it leads
		submit(h, "t1")
		expect(t, h, "/workers/w1", "t1")
		seen := proxy.Seen()
		if i := slices.Index(seen, zktest.OpSync); i < 0 {
			t.Errorf("no sync in %v", seen)
		} else if after := fmt.Sprint(seen[i:]); strings.Count(after, "getChildren") < 2 || !strings.Contains(after, "getData") {
			t.Errorf("not all was read after the sync: %v", seen)
		}
	})

	t.Run("a_backup_takes_over_when_the_leader_resigns", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		stop := start(t, connect)
		zktest.Eventually(t, "a candidate", func() (bool, string) { return len(h.Children("/master")) == 1, "" })
		start(t, connect)
		zktest.Eventually(t, "two candidates", func() (bool, string) { return len(h.Children("/master")) == 2, "" })
		stop()
		if n := len(h.Children("/master")); n != 1 {
			t.Errorf("%d candidates after the leader has left", n)
		}
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		expect(t, h, "/workers/w1", "t1")
	})

	t.Run("a_worker_that_dies_between_two_leaders_is_noticed", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		stop := start(t, connect)
		w := zktest.Conn(t, connect)
		w.CreateEphemeral("/workers/w1", "")
		submit(h, "t1")
		expect(t, h, "/workers/w1", "t1")
		stop()
		w.Close()
		h.CreateEphemeral("/workers/w2", "")
		start(t, connect)
		expect(t, h, "/workers/w2", "t1")
	})

	t.Run("the_leaders_candidate_znode_removed_by_hand_makes_another_lead", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		start(t, connect)
		zktest.Eventually(t, "a candidate", func() (bool, string) { return len(h.Children("/master")) == 1, "" })
		first := h.Children("/master")[0]
		h.Delete("/master/" + first)
		zktest.Eventually(t, "it runs again, as a new candidate", func() (bool, string) {
			c := h.Children("/master")
			return len(c) == 1 && c[0] != first, fmt.Sprint(c)
		})
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		expect(t, h, "/workers/w1", "t1")
	})

	t.Run("a_lower_candidate_made_by_hand_makes_the_leader_a_backup", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		start(t, connect)
		zktest.Eventually(t, "a candidate", func() (bool, string) { return len(h.Children("/master")) == 1, "" })
		h.CreateEphemeral("/master/!0000000000", "me") // sorts before any other with this number
		zktest.Eventually(t, "it stands behind", func() (bool, string) {
			c := h.Children("/master")
			return len(c) == 2, fmt.Sprint(c)
		})
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		h.Delete("/master/!0000000000")
		expect(t, h, "/workers/w1", "t1")
	})

	t.Run("a_candidate_by_hand_that_is_the_lowest_keeps_the_masters_from_leading", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		mine := h.CreateSeq("/master/by-hand-", "me")
		start(t, connect)
		zktest.Eventually(t, "two candidates", func() (bool, string) { return len(h.Children("/master")) == 2, "" })
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		h.Set("/workers/w1", "t1") // the leader by hand assigns
		h.Set("/tasks/t1", "done 1")
		h.Set("/workers/w1", "")
		submit(h, "t2")
		if got, _ := h.Get("/workers/w1"); got != "" {
			t.Errorf("a backup assigned %q", got)
		}
		h.Delete(mine)
		expect(t, h, "/workers/w1", "t2")
	})
}

func TestLoss(t *testing.T) {
	// lose has a worker die that was assigned the task.
	lose := func(t *testing.T, h *zktest.Hand, connect, id string) {
		t.Helper()
		w := zktest.Conn(t, connect)
		name := uuid.NewString()
		w.CreateEphemeral(task.WorkerPath(name), "")
		expect(t, h, task.WorkerPath(name), id)
		w.Close()
	}
	t.Run("is_counted_with_the_next_assignment_and_the_third_fails_the_task", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		start(t, connect)
		id := task.NewID()
		submit(h, id)
		lose(t, h, connect, id)
		if got, _ := h.Get(task.StatePath(id)); got != "pending" {
			t.Errorf("state %q before it is assigned again", got)
		}
		lose(t, h, connect, id)
		expect(t, h, task.StatePath(id), "pending 1")
		lose(t, h, connect, id)
		expect(t, h, task.StatePath(id), "failed lost with 3 workers")
		if _, ok := h.Get(task.DataPath(id)); !ok {
			t.Error("the payload of a failed task is gone")
		}
	})
	t.Run("never_fails_a_task_where_there_is_no_limit", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		run(t, open(t, connect), Config{MaxLosses: -1})
		id := task.NewID()
		submit(h, id)
		for range 5 {
			lose(t, h, connect, id)
		}
		h.CreateEphemeral("/workers/w1", "")
		expect(t, h, "/workers/w1", id)
		expect(t, h, task.StatePath(id), "pending 5")
	})
	t.Run("is_not_counted_when_the_worker_gave_its_task_back", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		start(t, connect)
		id := task.NewID()
		submit(h, id)
		for range 4 {
			w := uuid.NewString()
			h.CreateEphemeral(task.WorkerPath(w), "")
			expect(t, h, task.WorkerPath(w), id)
			h.Set(task.StatePath(id), "pending")
			h.Delete(task.WorkerPath(w))
		}
		h.CreateEphemeral("/workers/w1", "")
		expect(t, h, "/workers/w1", id)
		if got, _ := h.Get(task.StatePath(id)); got != "pending" {
			t.Errorf("state %q", got)
		}
	})
	for _, losses := range []int{0, 1} {
		t.Run(fmt.Sprintf("overwrites_no_result_typed_by_hand/limit_%d", losses), func(t *testing.T) {
			connect := zktest.Connect(t)
			h := zktest.Conn(t, connect)
			makeDirs(h)
			run(t, open(t, connect), Config{MaxLosses: losses})
			id := task.NewID()
			submit(h, id)
			w := zktest.Conn(t, connect)
			w.CreateEphemeral("/workers/w1", "")
			expect(t, h, "/workers/w1", id)
			h.Set(task.StatePath(id), "done 42")
			w.Close()
			settled(t, h)
			if got, _ := h.Get(task.StatePath(id)); got != "done 42" {
				t.Errorf("state %q", got)
			}
		})
	}
}

func TestByHand(t *testing.T) {
	t.Run("an_unknown_id_in_a_workers_list_is_dropped", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		start(t, connect)
		h.CreateEphemeral("/workers/w1", "no-such-task")
		expect(t, h, "/workers/w1", "")
		submit(h, "t1")
		expect(t, h, "/workers/w1", "t1")
		h.Set("/workers/w1", "t1\nno-such-task")
		expect(t, h, "/workers/w1", "t1")
	})
	t.Run("a_task_withdrawn_while_it_is_assigned_is_taken_back", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		start(t, connect)
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		expect(t, h, "/workers/w1", "t1")
		h.Delete("/tasks/t1")
		expect(t, h, "/workers/w1", "")
	})
	t.Run("an_assignment_is_left_alone", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		start(t, connect)
		h.CreateEphemeral("/workers/w1", "")
		h.CreateEphemeral("/workers/w2", "")
		for i := range 20 { // a task just made: a listing under way lacks it
			id := fmt.Sprintf("t%d", i)
			h.Create(task.DataPath(id), "0")
			h.Create(task.StatePath(id), "pending")
			if got, _ := h.Get("/workers/w1"); got == "" {
				stat, _ := h.Stat("/workers/w1")
				_, _ = h.Conn.Set(connect[strings.Index(connect, "/"):]+"/workers/w1", []byte(id), stat.Version)
			}
			zktest.Eventually(t, id+" is held by one worker", func() (bool, string) {
				w1, _ := h.Get("/workers/w1")
				w2, _ := h.Get("/workers/w2")
				return (w1 == id) != (w2 == id), fmt.Sprintf("w1 %q w2 %q", w1, w2)
			})
			h.Set(task.StatePath(id), "done 1")
			for _, w := range []string{"w1", "w2"} {
				if got, _ := h.Get(task.WorkerPath(w)); got == id {
					h.Set(task.WorkerPath(w), "")
				}
			}
		}
	})
	t.Run("set_workers_w_to_nothing_takes_a_task_back", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		start(t, connect)
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		expect(t, h, "/workers/w1", "t1")
		submit(h, "t2")
		h.CreateEphemeral("/workers/w2", "t2") // keeps w2 busy
		h.Set("/workers/w1", "")
		expect(t, h, "/workers/w1", "t1") // read again, found pending, assigned again
	})
	t.Run("a_finished_task_is_not_assigned", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		h.Create("/data/a", "0")
		h.Create("/tasks/a", "done 1")
		id := task.NewID()
		submit(h, id)
		h.Set(task.StatePath(id), "failed why")
		h.CreateEphemeral("/workers/w1", "")
		start(t, connect)
		settled(t, h)
		submit(h, "z")
		expect(t, h, "/workers/w1", "z")
	})
	t.Run("a_task_of_junk_made_pending_is_assigned", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		h.Create("/tasks/t1", "banana")
		h.CreateEphemeral("/workers/w1", "")
		start(t, connect)
		settled(t, h)
		if got, _ := h.Get("/workers/w1"); got != "" {
			t.Fatalf("junk is assigned: %q", got)
		}
		h.Set("/tasks/t1", "pending")
		expect(t, h, "/workers/w1", "t1")
	})
}

func TestJunk(t *testing.T) {
	connect := zktest.Connect(t)
	h := zktest.Conn(t, connect)
	makeDirs(h)
	for _, path := range []string{
		"/master/junk", "/master/x-12345", "/master/junk/below",
		"/tasks/banana", "/tasks/banana/below", "/tasks/ blank ", "/tasks/empty", "/tasks/" + strings.Repeat("long", 200),
		"/workers/persistent", "/workers/persistent/below", "/workers/ blank", "/data/alone", "/data/alone/below",
	} {
		h.Create(path, "junk\n\r\n junk \x00\xff")
	}
	h.Set("/tasks/empty", "")
	h.CreateEphemeral("/workers/odd", " \r\n junk \n junk\nother ")
	h.Create("/workers/free-but-nobodys", "")
	start(t, connect)

	t.Run("wedges_nobody", func(t *testing.T) {
		settled(t, h)
	})
	t.Run("ids_that_name_no_task_are_dropped_from_a_workers_list", func(t *testing.T) {
		zktest.Eventually(t, "odd gets a real task or is free", func() (bool, string) {
			got, _ := h.Get("/workers/odd")
			return !strings.Contains(got, "junk"), fmt.Sprintf("%q", got)
		})
	})
	t.Run("a_znode_that_no_session_keeps_is_no_worker", func(t *testing.T) {
		for range 5 {
			settled(t, h)
		}
		for _, w := range []string{"free-but-nobodys", "persistent", " blank"} {
			if stat, _ := h.Stat("/workers/" + w); stat.Version != 0 {
				t.Errorf("/workers/%s was written", w)
			}
		}
	})
	t.Run("a_state_that_is_none_is_left_alone", func(t *testing.T) {
		if got, _ := h.Get("/tasks/banana"); !strings.HasPrefix(got, "junk") {
			t.Errorf("/tasks/banana holds %q", got)
		}
	})
	t.Run("permanent_paths_removed_by_hand_are_made_again", func(t *testing.T) {
		for _, dir := range []string{"/tasks", "/workers", "/data", "/master"} {
			h.DeleteAll(dir)
		}
		zktest.Eventually(t, "the paths", func() (bool, string) {
			if err := open(t, connect).EnsureDirs(task.DataDir); err != nil {
				return false, err.Error()
			}
			_, a := h.Get("/tasks")
			_, b := h.Get("/workers")
			_, c := h.Get("/master")
			return a && b && c, fmt.Sprint(a, b, c)
		})
		settled(t, h)
	})
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
			connect := zktest.Connect(t)
			h := zktest.Conn(t, connect)
			makeDirs(h)
			submit(h, "t1")
			h.CreateEphemeral("/workers/free", "")
			h.CreateEphemeral("/workers/busy", "withdrawn")
			candidate := h.CreateSeq("/master/stale-", "")
			s := open(t, connect)
			l := &leader{s: s, fence: session.Check(candidate, session.AnyVersion), log: testLogger(t), view: newView(3), told: map[string]bool{}}
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

func TestApply(t *testing.T) {
	t.Run("no_move_shares_anothers_fate", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		s := open(t, connect)
		v := newView(3)
		l := &leader{s: s, fence: session.Check(h.CreateSeq("/master/x-", ""), session.AnyVersion), log: testLogger(t), view: v, told: map[string]bool{}}
		var ids, workers []string
		for i := range 9 {
			ids = append(ids, task.NewID())
			submit(h, ids[i])
			workers = append(workers, fmt.Sprintf("w%d", i))
			h.CreateEphemeral(task.WorkerPath(workers[i]), "")
		}
		v.asked++
		v.listTasks(ids, v.asked)
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
		if err := l.apply(moves); err != nil {
			t.Fatal(err)
		}
		for i, w := range workers {
			got, _ := h.Get(task.WorkerPath(w))
			want := ids[i]
			switch i {
			case 1, 3, 5:
				want = ""
			case 7:
				want = "t1"
			}
			if got != want {
				t.Errorf("worker %d holds %q, want %q", i, got, want)
			}
		}
		if got := v.stale(); !slices.Equal(got, []string{"w5", "w7"}) {
			t.Errorf("to be read again: %q", got)
		}
		if got := v.takeUnread(100); !slices.Contains(got, ids[3]) {
			t.Errorf("to be read again: %q lacks the task in doubt", got)
		}
	})
	for name, m := range map[string]move{
		"a_loss_is_not_counted_over_a_result": {kind: assign, worker: "w1", list: []string{"t1"}, tasks: []claim{{id: "t1", lost: true}}},
		"a_task_is_not_failed_over_a_result":  {kind: fail, tasks: []claim{{id: "t1", lost: true}}},
		"a_finished_task_is_not_assigned":     {kind: assign, worker: "w1", list: []string{"t1"}, tasks: claims("t1")},
	} {
		t.Run(name, func(t *testing.T) {
			connect := zktest.Connect(t)
			h := zktest.Conn(t, connect)
			makeDirs(h)
			submit(h, "t1")
			h.CreateEphemeral("/workers/w1", "")
			s := open(t, connect)
			l := &leader{s: s, fence: session.Check(h.CreateSeq("/master/x-", ""), session.AnyVersion), log: testLogger(t), view: newView(3), told: map[string]bool{}}
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
	t.Run("more_than_a_packet_goes_in_several", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		makeDirs(h)
		s := open(t, connect)
		v := newView(3)
		l := &leader{s: s, fence: session.Check(h.CreateSeq("/master/x-", ""), session.AnyVersion), log: slog.New(slog.DiscardHandler), view: v, told: map[string]bool{}}
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
		v.listTasks(ids, v.asked)
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
