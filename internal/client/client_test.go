package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

var errTest = errors.New("ended by the test")

func TestDo(t *testing.T) {
	t.Parallel()
	t.Run("creates_both_znodes_in_one_transaction_and_deletes_them_in_one", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		for _, tt := range []struct {
			set  string
			want task.State
		}{
			{"done 42", task.NewDone([]byte("42"))},
			{"failed why", task.NewFailed("why")},
			{"done", task.NewDone(nil)},
		} {
			end := r.do(t.Context(), "0.5")
			id := tasks(t, h, 1)[0]
			if task.ParseName(id).ByHand {
				t.Errorf("id %s is no UUID of version 7", id)
			}
			if payload, _ := h.Get(task.DataPath(id)); payload != "0.5" {
				t.Errorf("payload %q", payload)
			}
			if state, _ := h.Get(task.StatePath(id)); state != "pending" {
				t.Errorf("state %q", state)
			}
			data, _ := h.Stat(task.DataPath(id))
			state, _ := h.Stat(task.StatePath(id))
			if data.Czxid != state.Czxid || data.EphemeralOwner == 0 || data.EphemeralOwner != state.EphemeralOwner {
				t.Errorf("data %+v, state %+v: not of one transaction and session", data, state)
			}
			h.Set(task.StatePath(id), tt.set)
			e := r.wait(end...)[0]
			if e.err != nil || e.ID != id || e.State.Phase != tt.want.Phase || string(e.State.Text) != string(tt.want.Text) || e.Took <= 0 {
				t.Errorf("%s after %s, want %+v", e, e.Took, tt.want)
			}
			wantEmpty(t, h)
			tasksDir, _ := h.Stat(task.TasksDir)
			dataDir, _ := h.Stat(task.DataDir)
			if tasksDir.Pzxid != dataDir.Pzxid {
				t.Error("deleted in two transactions")
			}
		}
	})
	t.Run("submits_each_payload_under_the_id_that_was_given", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		ps := payloads(100)
		ends := r.do(t.Context(), ps...)
		for i, id := range tasks(t, h, len(ps)) {
			if payload, _ := h.Get(task.DataPath(id)); payload != ps[i] {
				t.Fatalf("the task with number %d by name holds %q", i, payload)
			}
		}
		play(t, root, nil)
		wantEchoes(t, r.wait(ends...), ps)
	})
	t.Run("refuses_an_id_that_is_there_already", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		id := task.NewID()
		h.Create(task.TasksDir, "")
		h.Create(task.DataDir, "")
		h.Create(task.StatePath(id), "pending")
		if _, err := r.DoAs(t.Context(), id, nil); !errors.Is(err, zk.ErrNodeExists) {
			t.Errorf("error %v", err)
		}
		if got := h.Children(task.TasksDir); !slices.Equal(got, []string{id}) {
			t.Errorf("tasks %q, want that of the other", got)
		}
	})
	t.Run("gets_a_result_that_was_written_before_its_first_read", func(t *testing.T) {
		_, h, proxy, r := startVia(t)
		held, release := proxy.Hold(zktest.OpGetData, 1, zktest.Naming(task.TasksDir))
		end := r.do(t.Context(), "1")
		met(t, held)
		h.Set(task.StatePath(tasks(t, h, 1)[0]), "done early")
		release()
		if e := r.wait(end...)[0]; e.err != nil || string(e.State.Text) != "early" {
			t.Error(e)
		}
	})
	t.Run("gets_results_that_are_written_as_soon_as_the_task_exists", func(t *testing.T) {
		root := zktest.Connect(t)
		r := start(t, root)
		play(t, root, nil)
		var calls sync.WaitGroup
		for caller := range 8 {
			calls.Go(func() {
				for i := range 100 {
					payload := fmt.Sprint(caller, " ", i)
					e, err := r.Do(t.Context(), []byte(payload))
					if err != nil || string(e.State.Text) != payload {
						t.Error(ending{e, err})
						return
					}
				}
			})
		}
		calls.Wait()
		wantEmpty(t, zktest.Conn(t, root))
	})
	t.Run("waits_through_malformed_states", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		session := r.session()
		end := r.do(t.Context(), "1")
		id := tasks(t, h, 1)[0]
		for i, state := range []string{"banana", "pending 1", "banana 2", "pending"} {
			h.Set(task.StatePath(id), state)
			zktest.Eventually(t, "state "+state+" is read", func() (bool, string) {
				// It warns of the first malformed one, and watches again after each.
				n := watches(t, zktest.Shared(t), root, session)
				return n == 1 && strings.Contains(r.warned.String(), "banana"), fmt.Sprint(n, " watches, ", r.warned)
			})
			if n := strings.Count(r.warned.String(), "malformed znode"); n != 1 {
				t.Errorf("%d warnings after state %d", n, i)
			}
		}
		h.Set(task.StatePath(id), "done 1")
		if e := r.wait(end...)[0]; e.err != nil || string(e.State.Text) != "1" {
			t.Error(e)
		}
	})
	t.Run("refuses_a_payload_that_is_too_large_and_takes_the_largest", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		s := r.session()
		others := r.do(t.Context(), payloads(10)...)
		tasks(t, h, 10)
		_, err := r.Do(t.Context(), make([]byte, MaxPayload+1))
		if !errors.Is(err, session.ErrTooLarge) || !strings.Contains(err.Error(), fmt.Sprint(MaxPayload+1)) || !strings.HasSuffix(err.Error(), fmt.Sprint(MaxPayload)) {
			t.Errorf("error %v", err)
		}
		tasks(t, h, 10)
		largest := strings.Repeat("x", MaxPayload)
		play(t, root, nil)
		large := r.do(t.Context(), largest, largest)
		wantEchoes(t, r.wait(large...), []string{largest, largest})
		wantEchoes(t, r.wait(others...), payloads(10))
		if _, suspended := s.Suspended(); s.Err() != nil || suspended || len(r.sessions) > 0 {
			t.Errorf("session: %v, suspended %t", s.Err(), suspended)
		}
	})
	t.Run("creates_missing_directories_again", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		for range 3 {
			// Many at once find them missing.
			ps := payloads(500)
			ends := r.do(t.Context(), ps...)
			tasks(t, h, len(ps))
			for _, dir := range task.Dirs() {
				if _, ok := h.Stat(dir); !ok {
					t.Errorf("no %s", dir)
				}
			}
			p := play(t, root, nil)
			wantEchoes(t, r.wait(ends...), ps)
			p.stop()
			for _, dir := range task.Dirs() {
				h.DeleteAll(dir)
			}
		}
	})
}

func TestRemoval(t *testing.T) {
	t.Parallel()
	t.Run("by_hand_of_an_unfinished_task_ends_it_and_deletes_its_payload", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		ends := r.do(t.Context(), "a", "b")
		ids := tasks(t, h, 2)
		h.Delete(task.StatePath(ids[0]))
		if e := r.wait(ends[0])[0]; !errors.Is(e.err, ErrRemoved) || e.err.Error() != "task "+ids[0]+" was removed before it finished" || e.ID != ids[0] {
			t.Error(e)
		}
		if got := h.Children(task.DataDir); !slices.Equal(got, ids[1:]) {
			t.Errorf("payloads %q, want %q", got, ids[1:])
		}
		h.Set(task.StatePath(ids[1]), "done b")
		wantEchoes(t, r.wait(ends[1]), []string{"b"})
		wantEmpty(t, h)
		if r.warned.String() != "" {
			t.Errorf("warned: %s", r.warned)
		}
	})
	t.Run("by_hand_of_1000_tasks_with_their_directory_ends_them_all", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		ends := r.do(t.Context(), payloads(1000)...)
		tasks(t, h, 1000)
		h.DeleteAll(task.TasksDir)
		for _, e := range r.wait(ends...) {
			if !errors.Is(e.err, ErrRemoved) {
				t.Fatal(e)
			}
		}
		wantEmpty(t, h)
	})
	t.Run("by_hand_of_500_payloads_does_not_hold_up_the_clean_up", func(t *testing.T) {
		root := zktest.Connect(t)
		h, r := zktest.Conn(t, root), start(t, root)
		ends := r.do(t.Context(), payloads(500)...)
		tasks(t, h, 500)
		h.DeleteAll(task.DataDir)
		s := harness.Open(t, root)
		var ops []session.Op
		for _, id := range h.Children(task.TasksDir) {
			ops = append(ops, session.Set(task.StatePath(id), []byte("done 1"), 0))
		}
		if _, err := s.Multi(ops...); err != nil {
			t.Fatal(err)
		}
		for _, e := range r.wait(ends...) {
			if e.err != nil || string(e.State.Text) != "1" {
				t.Fatal(e)
			}
		}
		wantEmpty(t, h)
	})

	// What someone else has removed when the client comes to clean up.
	for name, paths := range map[string]func(id string) []string{
		"the_payload":        func(id string) []string { return []string{task.DataPath(id)} },
		"the_state":          func(id string) []string { return []string{task.StatePath(id)} },
		"both":               func(id string) []string { return []string{task.DataPath(id), task.StatePath(id)} },
		"the_directories":    func(string) []string { return []string{task.DataDir, task.TasksDir} },
		"the_data_directory": func(string) []string { return []string{task.DataDir} },
	} {
		t.Run("of_"+name+"_by_a_rival_leaves_the_rest_to_clean_up", func(t *testing.T) {
			_, h, proxy, r := startVia(t)
			end := r.do(t.Context(), "1")
			id := tasks(t, h, 1)[0]
			held, release := proxy.Hold(zktest.OpMulti, 1, zktest.Naming(id))
			h.Set(task.StatePath(id), "done 1")
			met(t, held)
			for _, path := range paths(id) {
				h.DeleteAll(path)
			}
			release()
			if e := r.wait(end...)[0]; e.err != nil || string(e.State.Text) != "1" {
				t.Error(e)
			}
			wantEmpty(t, h)
			if r.warned.String() != "" {
				t.Errorf("warned: %s", r.warned)
			}
		})
	}
	t.Run("that_is_refused_is_logged_and_holds_up_nothing", func(t *testing.T) {
		root := zktest.Connect(t)
		_, chroot, _ := strings.Cut(root, "/")
		chroot = "/" + chroot
		h, r := zktest.Conn(t, root), start(t, root)
		all := zk.WorldACL(zk.PermAll)

		// Someone has put a znode with a child in the place of the task's.
		end := r.do(t.Context(), "1")
		id := tasks(t, h, 1)[0]
		path := chroot + task.StatePath(id)
		if _, err := h.Conn.Multi(&zk.DeleteRequest{Path: path, Version: -1}, &zk.CreateRequest{Path: path, Data: []byte("done 1"), Acl: all},
			&zk.CreateRequest{Path: path + "/child", Acl: all}); err != nil {
			t.Fatal(err)
		}
		if e := r.wait(end...)[0]; e.err != nil || string(e.State.Text) != "1" {
			t.Error(e)
		}
		warnings := func(n int, of string) {
			t.Helper()
			zktest.Eventually(t, "warnings", func() (bool, string) {
				log := r.warned.String()
				return strings.Count(log, of) == n, log
			})
		}
		warnings(1, id+" ")
		if got := h.Children(task.DataDir); len(got) > 0 {
			t.Errorf("payloads %q", got)
		}

		// Payloads may not be deleted: the state is all the same.
		h.DeleteAll(task.StatePath(id))
		h.SetACL(task.DataDir, zk.WorldACL(zk.PermAll&^zk.PermDelete))
		play(t, root, nil)
		wantEchoes(t, r.wait(r.do(t.Context(), payloads(20)...)...), payloads(20))
		zktest.Eventually(t, "no task is left", func() (bool, string) {
			left := h.Children(task.TasksDir)
			return len(left) == 0, fmt.Sprintf("%q", left)
		})
		warnings(1, "znode=/data right=delete")
	})
}
