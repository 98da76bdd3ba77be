package master

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestLoss(t *testing.T) {
	// lose has a worker die that was assigned the task.
	lose := func(t *testing.T, h *zktest.ManualClient, connect, id string) {
		t.Helper()
		w := zktest.Conn(t, connect)
		name := uuid.NewString()
		w.CreateEphemeral(task.WorkerPath(name), "")
		expect(t, h, task.WorkerPath(name), id)
		w.Close()
	}
	t.Run("is_counted_with_the_next_assignment_and_the_third_fails_the_task", func(t *testing.T) {
		h, connect := tree(t)
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
	t.Run("leaves_in_the_state_what_its_submitter_asks_for", func(t *testing.T) {
		h, connect := tree(t)
		start(t, connect)
		id := task.NewID()
		h.Create(task.DataPath(id), "gzip x")
		h.Create(task.StatePath(id), "pending: kind=command timeout=5 new=1")
		lose(t, h, connect, id)
		lose(t, h, connect, id)
		expect(t, h, task.StatePath(id), "pending: kind=command timeout=5 new=1 losses=1")
		lose(t, h, connect, id)
		expect(t, h, task.StatePath(id), "failed: kind=command timeout=5 new=1\nlost with 3 workers")
	})
	t.Run("of_a_process_with_many_workers_fails_one_task_at_most", func(t *testing.T) {
		h, connect := tree(t)
		start(t, connect)
		ids := []string{task.NewID(), task.NewID(), task.NewID()}
		for _, id := range ids {
			submit(h, id)
		}
		var names []string
		// held is which of the tasks the last process has.
		held := func() (held []string) {
			for _, name := range names {
				if id, _ := h.Get(task.WorkerPath(name)); id != "" {
					held = append(held, id)
				}
			}
			slices.Sort(held)
			return held
		}
		process := func(what string, enough func(held []string) bool) *zktest.ManualClient {
			t.Helper()
			p := zktest.Conn(t, connect)
			names = nil
			for range 3 {
				names = append(names, uuid.NewString())
				p.CreateEphemeral(task.WorkerPath(names[len(names)-1]), "")
			}
			zktest.Eventually(t, "a process that has "+what, func() (bool, string) {
				return enough(held()), fmt.Sprint(held())
			})
			return p
		}
		for range 2 {
			process("all", func(held []string) bool { return slices.Equal(held, ids) }).Close()
		}
		p := process("one of them", func(held []string) bool { return len(held) == 1 })
		first, last := held()[0], task.NewID()
		submit(h, last) // others are not held up
		zktest.Eventually(t, "one more", func() (bool, string) {
			return slices.Equal(held(), []string{first, last}), fmt.Sprint(held())
		})
		p.Close()
		expect(t, h, task.StatePath(first), "failed lost with 3 workers")
		process("another one of them, and the last", func(held []string) bool {
			return len(held) == 2 && held[0] != first && slices.Contains(ids, held[0]) && held[1] == last
		})
		second := held()[0]
		for _, id := range append(ids, last) {
			switch id {
			case first:
			case second:
				expect(t, h, task.StatePath(id), "pending 2")
			default:
				expect(t, h, task.StatePath(id), "pending 1")
			}
		}
	})
	for _, tc := range []struct{ name, state, want string }{
		{"is_given_at_once_to_a_process_that_executes_others_since_before", "pending 1", "last"},
		{"is_given_to_no_process_that_executes_such_a_one_since_before", "pending 2", ""},
	} {
		t.Run("that_would_be_the_last_"+tc.name, func(t *testing.T) {
			h, connect := tree(t)
			before := aged() // as a new leader finds it
			h.Create(task.DataPath(before), "0")
			h.Create(task.StatePath(before), tc.state)
			h.Create(task.StatePath("last"), "pending 2")
			h.CreateEphemeral("/workers/w1", before)
			h.CreateEphemeral("/workers/w2", "")
			start(t, connect)
			if tc.want != "" {
				expect(t, h, "/workers/w2", tc.want)
				return
			}
			for _, other := range []string{"other", "one more"} { // it is free for others
				submit(h, other)
				expect(t, h, "/workers/w2", other)
				finish(h, "w2", other)
			}
		})
	}
	t.Run("is_counted_by_a_new_leader_for_what_was_executed_before", func(t *testing.T) {
		h, connect := tree(t)
		w := zktest.Conn(t, connect)
		before := aged()
		h.Create(task.DataPath(before), "0")
		h.Create(task.StatePath(before), "pending")
		h.Set(task.StatePath(before), "pending 1")
		w.CreateEphemeral("/workers/w1", before)
		proxy, through := zktest.Via(t, connect)
		read, release := proxy.Hold(zktest.OpGetData, 1, zktest.Naming(task.StatePath(before)))
		start(t, through)
		zktest.Receive(t, "read of the state", read)
		release()
		settled(t, h)
		w.Close()
		h.CreateEphemeral("/workers/w2", "")
		expect(t, h, "/workers/w2", before)
		expect(t, h, task.StatePath(before), "pending 2")
	})
	t.Run("never_fails_a_task_where_there_is_no_limit", func(t *testing.T) {
		h, connect := tree(t)
		run(t, harness.Open(t, connect), Config{MaxLosses: -1})
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
		h, connect := tree(t)
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
			h, connect := tree(t)
			run(t, harness.Open(t, connect), Config{MaxLosses: losses})
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
