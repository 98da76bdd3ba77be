package master

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestByHand(t *testing.T) {
	t.Run("an_unknown_id_in_a_workers_list_is_dropped", func(t *testing.T) {
		h, connect := tree(t)
		start(t, connect)
		h.CreateEphemeral("/workers/w1", "no-such-task")
		expect(t, h, "/workers/w1", "")
		submit(h, "t1")
		expect(t, h, "/workers/w1", "t1")
		h.Set("/workers/w1", "t1\nno-such-task")
		expect(t, h, "/workers/w1", "t1")
	})
	t.Run("a_task_withdrawn_while_it_is_assigned_is_taken_back", func(t *testing.T) {
		h, connect := tree(t)
		start(t, connect)
		submit(h, "t1")
		h.CreateEphemeral("/workers/w1", "")
		expect(t, h, "/workers/w1", "t1")
		h.Delete("/tasks/t1")
		expect(t, h, "/workers/w1", "")
	})
	t.Run("an_assignment_is_left_alone", func(t *testing.T) {
		h, connect := tree(t)
		start(t, connect)
		h.CreateEphemeral("/workers/w1", "")
		h.CreateEphemeral("/workers/w2", "")
		chroot := connect[strings.Index(connect, "/"):]
		for i := range 20 { // a task just made: a listing under way lacks it
			id := fmt.Sprintf("t%d", i)
			h.Create(task.DataPath(id), "0")
			h.Create(task.StatePath(id), "pending")
			if got, _ := h.Get("/workers/w1"); got == "" {
				stat, _ := h.Stat("/workers/w1")
				_, _ = h.Conn.Set(chroot+"/workers/w1", []byte(id), stat.Version)
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
		h, connect := tree(t)
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
		h, connect := tree(t)
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
		h, connect := tree(t)
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

func TestZnodesThatACopyWroteOnceAreAssignedIfPending(t *testing.T) {
	h, connect := tree(t)
	states := map[string]string{aged(): "done 42", aged(): "failed so", aged(): "banana", aged(): "pending 1", aged(): "pending"}
	for id, state := range states { // written once, as whatever copies znodes does
		h.Create(task.DataPath(id), "0")
		h.Create(task.StatePath(id), state)
	}
	start(t, connect)
	h.CreateEphemeral("/workers/w1", "")
	h.CreateEphemeral("/workers/w2", "")
	var w1, w2 string
	zktest.Eventually(t, "those that are pending are assigned", func() (bool, string) {
		for path, got := range map[string]*string{"/workers/w1": &w1, "/workers/w2": &w2} {
			if *got, _ = h.Get(path); *got != "" && !strings.HasPrefix(states[*got], "pending") {
				h.Set(path, "") // a worker reads the state, and only frees itself
			}
		}
		return strings.HasPrefix(states[w1], "pending") && strings.HasPrefix(states[w2], "pending"), fmt.Sprintf("%s, %s", states[w1], states[w2])
	})
	finish(h, "w1", w1)
	finish(h, "w2", w2)
	settled(t, h)
	for id, state := range states {
		if got, _ := h.Get(task.StatePath(id)); !strings.HasPrefix(state, "pending") && got != state {
			t.Errorf("%q has become %q", state, got)
		}
	}
}

func TestMalformedZnodesStopNobody(t *testing.T) {
	h, connect := tree(t)
	for _, path := range []string{
		"/master/junk", "/master/x-12345", "/master/junk/below",
		"/tasks/banana", "/tasks/banana/below", "/tasks/ blank ", "/tasks/empty", "/tasks/" + strings.Repeat("long", 200),
		"/tasks/" + strings.Repeat("too long", 60_000), "/data/" + strings.Repeat("too long", 60_000),
		"/workers/persistent", "/workers/persistent/below", "/workers/ blank", "/data/alone", "/data/alone/below",
	} {
		h.Create(path, "junk\n\r\n junk \x00\xff")
	}
	h.Set("/tasks/empty", "")
	h.CreateEphemeral("/workers/odd", " \r\n junk \n junk\nother ")
	h.Create("/workers/free-but-nobodys", "")
	var large strings.Builder
	for i := range task.MaxList + 1 {
		fmt.Fprintln(&large, i)
	}
	h.CreateEphemeral("/workers/large", large.String())
	start(t, connect)

	t.Run("all_tasks_are_still_assigned", func(t *testing.T) {
		settled(t, h)
	})
	t.Run("ids_that_name_no_task_are_dropped_from_a_workers_list", func(t *testing.T) {
		zktest.Eventually(t, "odd gets a real task or is free", func() (bool, string) {
			got, _ := h.Get("/workers/odd")
			return !strings.Contains(got, "junk"), fmt.Sprintf("%q", got)
		})
	})
	t.Run("a_znode_that_no_session_keeps_or_that_lists_too_much_is_no_worker", func(t *testing.T) {
		for range 5 {
			settled(t, h)
		}
		for _, w := range []string{"free-but-nobodys", "persistent", " blank", "large"} {
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
			if err := harness.Open(t, connect).EnsureDirs(task.DataDir); err != nil {
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

// aged returns an id that a program made long ago.
func aged() string {
	u := uuid.Must(uuid.NewV7())
	u[0] = 0 // in the seventies, or later
	return u.String()
}
