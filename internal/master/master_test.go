package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestMain(m *testing.M) { zktest.Main(m) }

// run runs a master on a session until it is stopped, or the test ends.
func run(t *testing.T, s *session.Session, cfg Config) (stop func()) {
	t.Helper()
	cfg.Logger = harness.Logger(t)
	return runAs(t, s, cfg)
}

// runAs is run with a log of the test's own.
func runAs(t *testing.T, s *session.Session, cfg Config) (stop func()) {
	t.Helper()
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
	return run(t, harness.Open(t, connect), Config{Who: "test"})
}

// submit makes a task by hand.
func submit(h *zktest.ManualClient, id string) {
	h.Create(task.DataPath(id), "0")
	h.Create(task.StatePath(id), "pending")
}

// makeDirs makes the permanent paths by hand.
func makeDirs(h *zktest.ManualClient) {
	for _, d := range task.Dirs() {
		h.Create(d, "")
	}
}

// tree makes the permanent paths by hand, in a chroot of the test's own.
func tree(t *testing.T) (h *zktest.ManualClient, connect string) {
	t.Helper()
	connect = zktest.Connect(t)
	h = zktest.Conn(t, connect)
	makeDirs(h)
	return h, connect
}

// expect waits until a znode holds the text.
func expect(t *testing.T, h *zktest.ManualClient, path, want string) {
	t.Helper()
	zktest.Eventually(t, fmt.Sprintf("%s holds %q", path, want), func() (bool, string) {
		got, ok := h.Get(path)
		return ok && got == want, fmt.Sprintf("%q, %t", got, ok)
	})
}

// finish commits by hand what a worker was assigned.
func finish(h *zktest.ManualClient, worker, id string) {
	h.Set(task.StatePath(id), "done 1")
	h.Set(task.WorkerPath(worker), "")
}

// settled waits until the leader has acted on all that was done before: it has
// assigned a task made now to a worker made now.
func settled(t *testing.T, h *zktest.ManualClient) {
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
		h, connect := tree(t)
		start(t, connect)
		submit(h, "t1")
		submit(h, "t2")
		h.CreateEphemeral("/workers/w1", "")
		expect(t, h, "/workers/w1", "t1")
		h.CreateEphemeral("/workers/w2", "")
		expect(t, h, "/workers/w2", "t2")
	})

	t.Run("a_worker_that_becomes_free_gets_the_next_waiting_tasks_in_order", func(t *testing.T) {
		h, connect := tree(t)
		start(t, connect)
		h.CreateEphemeral("/workers/w1", "")
		submitter := task.NewSubmitter("")
		var ids []string
		for range 20 {
			ids = append(ids, submitter.NewID())
			submit(h, ids[len(ids)-1])
		}
		for len(ids) > 0 { // in the order of submission
			var list []string
			zktest.Eventually(t, "work", func() (bool, string) {
				text, _ := h.Get("/workers/w1")
				l, _ := task.ParseList([]byte(text))
				list = l.IDs
				return len(list) > 0, "none"
			})
			if !slices.Equal(list, ids[:min(len(list), len(ids))]) {
				t.Fatalf("given %q, next are %q", list, ids)
			}
			ids = ids[len(list):]
			for _, id := range list[:len(list)-1] {
				h.Set("/tasks/"+id, "done 1")
			}
			finish(h, "w1", list[len(list)-1])
		}
	})

	t.Run("tasks_waiting_when_a_master_takes_over_are_assigned_without_a_new_event", func(t *testing.T) {
		h, connect := tree(t)
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		start(t, connect)
		expect(t, h, "/workers/w1", "t1")
	})

	t.Run("a_leader_signs_its_candidate_and_a_backup_does_not", func(t *testing.T) {
		h, connect := tree(t)
		first := h.CreateSeq("/master/by-hand-", "me")
		start(t, connect)
		start(t, connect)
		zktest.Eventually(t, "three candidates", func() (bool, string) { return len(h.Children("/master")) == 3, "" })
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		h.Delete(first)
		zktest.Eventually(t, "the leader has signed", func() (bool, string) {
			signed, rest := 0, ""
			for _, name := range h.Children("/master") {
				stat, ok := h.Stat("/master/" + name)
				data, _ := h.Get("/master/" + name)
				rest += fmt.Sprintln(name, data, ok, stat)
				if ok && stat.Version == 1 && stat.Mzxid > stat.Czxid && data == "test" {
					signed++
				}
			}
			return signed == 1, rest
		})
		settled(t, h)
		for i, name := range h.Children("/master") {
			stat, _ := h.Stat("/master/" + name)
			if stat.Version > 1 || i > 1 {
				t.Errorf("%s is at version %d, of %d", name, stat.Version, i+1)
			}
		}
	})

	t.Run("a_leader_leaves_what_a_person_wrote_into_its_candidate", func(t *testing.T) {
		h, connect := tree(t)
		mine := h.CreateSeq("/master/by-hand-", "me")
		start(t, connect)
		zktest.Eventually(t, "two candidates", func() (bool, string) { return len(h.Children("/master")) == 2, "" })
		for _, name := range h.Children("/master") {
			if "/master/"+name != mine {
				h.Set("/master/"+name, "mine")
				h.Delete(mine)
				settled(t, h)
				settled(t, h)
				if got, _ := h.Get("/master/" + name); got != "mine" {
					t.Errorf("holds %q", got)
				}
			}
		}
	})

	t.Run("a_new_leader_syncs_before_it_lists_and_reads", func(t *testing.T) {
		h, connect := tree(t)
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
		h, connect := tree(t)
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
		h, connect := tree(t)
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
