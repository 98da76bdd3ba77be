//go:build !race

package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestReconnectExpiredSession(t *testing.T) {
	t.Parallel()
	whenSessionEnds(t, func(s *session.Session) {
		if err := zktest.ExpireSession(zktest.Shared(t).Addr(), s.ID()); err != nil {
			t.Error(err)
		}
	})
}

func TestReconnect(t *testing.T) {
	t.Parallel()

	cuts := map[string]func(*zktest.Proxy, zktest.Op, int, ...zktest.Match) <-chan struct{}{
		"request": (*zktest.Proxy).CutBefore,
		"reply":   (*zktest.Proxy).CutAfter,
	}
	for name, cut := range cuts {
		t.Run("after_a_lost_"+name+"_of_a_submission_first_syncs_and_submits_once", func(t *testing.T) {
			root, h, proxy, r := startVia(t)
			s := r.session()
			p := play(t, root, nil) // makes the directories
			p.stop()
			proxy.Seen()
			lost := cut(proxy, zktest.OpMulti, 1, zktest.Naming(task.DataDir))
			id := task.NewID()
			end := make(chan ending, 1)
			go func() {
				result, err := r.DoAs(t.Context(), id, []byte("1"))
				end <- ending{result, err}
			}()
			met(t, lost)
			if got := tasks(t, h, 1); got[0] != id {
				t.Errorf("submitted %q, want %s", got, id)
			}
			var seen []zktest.Op
			zktest.Eventually(t, "the client waits", func() (bool, string) {
				seen = append(seen, proxy.Seen()...)
				return watches(t, zktest.Shared(t), root, s) == 1, fmt.Sprint(seen)
			})
			seen = append(seen, proxy.Seen()...)
			seen = slices.DeleteFunc(seen, func(op zktest.Op) bool { return op == zktest.OpGetChildren }) // who leads, after a while
			want := []zktest.Op{
				zktest.OpSync, zktest.OpGetData, zktest.OpGetData, // neither znode
				zktest.OpAddWatch, zktest.OpGetData, // the policy, before something is created again
				zktest.OpMulti, zktest.OpGetData,
			}
			if name == "reply" {
				want = []zktest.Op{zktest.OpMulti, zktest.OpSync, zktest.OpGetData, zktest.OpGetData}
			}
			if !slices.Equal(seen, want) {
				t.Errorf("requests %v, want %v", seen, want)
			}
			h.Set(task.StatePath(id), "done 1")
			wantEchoes(t, r.wait(end), []string{"1"})
			wantEmpty(t, h)
			if s.Err() != nil || r.warned.String() != "" {
				t.Errorf("session: %v; warned: %s", s.Err(), r.warned)
			}
		})
		t.Run("that_is_lost_again_at_each_step_after_a_lost_"+name+"_submits_once", func(t *testing.T) {
			root, h, proxy, r := startVia(t)
			s := r.session()
			play(t, root, nil).stop()
			lost := []<-chan struct{}{
				cut(proxy, zktest.OpMulti, 1, zktest.Naming(task.DataDir)),
				cut(proxy, zktest.OpSync, 1),
				cut(proxy, zktest.OpGetData, 1, zktest.Naming(task.TasksDir)),
			}
			if name == "request" { // submitted again, and lost again
				lost = append(lost, proxy.CutAfter(zktest.OpMulti, 2, zktest.Naming(task.DataDir)))
			}
			end := r.do(t.Context(), "1")
			for _, l := range lost {
				met(t, l)
			}
			id := tasks(t, h, 1)[0]
			h.Set(task.StatePath(id), "done 1")
			e := r.wait(end...)
			wantEchoes(t, e, []string{"1"})
			if e[0].ID != id || s.Err() != nil {
				t.Errorf("%s, want %s; session: %v", e[0], id, s.Err())
			}
			wantEmpty(t, h)
		})
		t.Run("after_a_lost_"+name+"_of_a_clean_up_leaves_nothing", func(t *testing.T) {
			_, h, proxy, r := startVia(t)
			s := r.session()
			end := r.do(t.Context(), "1")
			id := tasks(t, h, 1)[0]
			lost := cut(proxy, zktest.OpMulti, 1, zktest.Naming(id))
			h.Set(task.StatePath(id), "done 1")
			met(t, lost)
			wantEchoes(t, r.wait(end...), []string{"1"})
			wantEmpty(t, h)
			if s.Err() != nil || r.warned.String() != "" {
				t.Errorf("session: %v; warned: %s", s.Err(), r.warned)
			}
		})
		t.Run("that_finds_the_session_expired_after_a_lost_"+name+"_of_a_submission_submits_under_a_new_id", func(t *testing.T) {
			root, h, proxy, r := startVia(t)
			s := r.session()
			play(t, root, nil).stop()
			held, release := proxy.Hold(zktest.OpSync, 1)
			lost := cut(proxy, zktest.OpMulti, 1, zktest.Naming(task.DataDir))
			end := r.do(t.Context(), "1")
			met(t, lost)
			met(t, held)
			first := h.Children(task.TasksDir)
			zktest.Expire(t, root, s.ID())
			release()
			ids := tasks(t, h, 1)
			if slices.Equal(ids, first) || s.ID() == r.session().ID() {
				t.Errorf("submitted %q, then %q", first, ids)
			}
			h.Set(task.StatePath(ids[0]), "done 1")
			wantEchoes(t, r.wait(end...), []string{"1"})
			wantEmpty(t, h)
		})
	}

	for name, path := range map[string]func(id string) string{"state": task.StatePath, "payload": task.DataPath} {
		t.Run("after_a_lost_reply_of_a_submission_notices_that_the_"+name+"_was_removed_meanwhile", func(t *testing.T) {
			root, h, proxy, r := startVia(t)
			s := r.session()
			play(t, root, nil).stop()
			held, release := proxy.Hold(zktest.OpSync, 1)
			lost := proxy.CutAfter(zktest.OpMulti, 1, zktest.Naming(task.DataDir))
			end := r.do(t.Context(), "1")
			met(t, lost)
			met(t, held)
			id := tasks(t, h, 1)[0]
			h.Delete(path(id))
			release()
			if name == "payload" { // which is the worker's affair
				zktest.Eventually(t, "watch", func() (bool, string) { return watches(t, zktest.Shared(t), root, s) == 1, "none" })
				h.Set(task.StatePath(id), "failed no payload")
			}
			e := r.wait(end...)[0]
			if name == "state" && !errors.Is(e.err, ErrRemoved) || name == "payload" && (e.err != nil || e.State.Phase != task.Failed) || e.ID != id {
				t.Error(e)
			}
			wantEmpty(t, h)
		})
	}

	t.Run("many_times_at_any_request_submits_each_task_once", func(t *testing.T) {
		root, _, proxy, r := startVia(t)
		s := r.session()
		p := play(t, root, nil)
		c := call(r, p)
		for round := range 5 {
			for _, cut := range cuts {
				op := []zktest.Op{zktest.OpMulti, zktest.OpGetData}[round%2]
				first := cut(proxy, op, 1+round*7%10)
				again := cut(proxy, zktest.OpMulti, 2)
				met(t, first)
				met(t, again)
				c.more(50)
			}
		}
		c.stop()
		wantEmpty(t, zktest.Conn(t, root))
		ids := make(map[string]string)
		for id, payload := range p.all() {
			if other, ok := ids[payload]; ok {
				t.Errorf("payload %q was submitted as %s and %s", payload, other, id)
			}
			ids[payload] = id
		}
		if len(ids) != int(c.results.Load()) || s.Err() != nil || len(r.sessions) > 0 {
			t.Errorf("%d tasks, %d results; session: %v", len(ids), c.results.Load(), s.Err())
		}
	})

	t.Run("to_a_server_killed_and_restarted_loses_none_of_200_tasks", func(t *testing.T) {
		server := zktest.NewServer(t, zktest.Options{})
		h, r := zktest.Conn(t, server.Addr()), start(t, server.Addr())
		s := r.session()
		ps := payloads(200)
		ends := r.do(t.Context(), ps...)
		first := tasks(t, h, 200)
		restart := func() {
			t.Helper()
			server.Kill()
			if err := server.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		restart()
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		if got := h.Children(task.TasksDir); !slices.Equal(got, first) {
			t.Errorf("%d tasks, not those of before", len(got))
		}
		p := play(t, server.Addr(), nil)
		r.wait(ends[100])
		restart() // some are finished
		var endings []ending
		for i, end := range ends {
			if i != 100 {
				endings = append(endings, r.wait(end)...)
			}
		}
		wantEchoes(t, endings, slices.Delete(ps, 100, 101))
		wantEmpty(t, h)
		if n := len(p.all()); n != 200 || s.Err() != nil || len(r.sessions) > 0 || strings.Contains(r.warned.String(), "submitting again") {
			t.Errorf("%d tasks; session: %v; warned: %s", n, s.Err(), r.warned)
		}
	})
	t.Run("reads_what_was_finished_meanwhile", func(t *testing.T) {
		_, h, proxy, r := startVia(t)
		ps := payloads(40)
		ends := r.do(t.Context(), ps...)
		ids := tasks(t, h, 40)
		for range 2 {
			proxy.Refuse(true)
			for range 20 {
				h.Set(task.StatePath(ids[0]), "done "+ps[0])
				ids, ps = ids[1:], ps[1:]
			}
			proxy.Refuse(false)
			tasks(t, h, len(ids))
		}
		wantEchoes(t, r.wait(ends...), payloads(40))
		wantEmpty(t, h)
	})
	t.Run("finds_a_task_removed_meanwhile", func(t *testing.T) {
		_, h, proxy, r := startVia(t)
		end := r.do(t.Context(), "1")
		id := tasks(t, h, 1)[0]
		proxy.Refuse(true)
		h.Delete(task.StatePath(id))
		proxy.Refuse(false)
		if e := r.wait(end...)[0]; !errors.Is(e.err, ErrRemoved) {
			t.Error(e)
		}
		wantEmpty(t, h)
	})
	t.Run("reads_what_was_finished_meanwhile_though_its_event_is_lost", func(t *testing.T) {
		root, h, proxy, r := startVia(t)
		s := r.session()
		end := r.do(t.Context(), "1")
		id := tasks(t, h, 1)[0]
		zktest.Eventually(t, "watch", func() (bool, string) { return watches(t, zktest.Shared(t), root, s) == 1, "none" })
		// The watches that are set anew name a transaction that is yet to come: the server
		// takes it that the client has seen all changes, and tells of none.
		proxy.Hold(zktest.OpSetWatches, 1, func(request []byte) bool {
			binary.BigEndian.PutUint64(request[8:], math.MaxInt64)
			return false
		})
		proxy.Refuse(true)
		h.Set(task.StatePath(id), "done 1")
		proxy.Refuse(false)
		back := time.Now()
		wantEchoes(t, r.wait(end...), []string{"1"})
		if took := time.Since(back); took > reread/2 {
			t.Errorf("noticed %s after the reconnect", took)
		}
	})
}

// Znodes that another session made under the id of a submission are not its own,
// when its answer is lost.
func TestReconnectTellsItsOwnSubmissionFromAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		detached      bool
		data, state   string // of the other; "-" for no znode
		ephemeral     bool
		wantSubmitted bool
	}{
		"refuses_the_znodes_of_another_session":                     {false, "a", "pending", true, false},
		"refuses_a_payload_of_another_session":                      {false, "a", "-", true, false},
		"refuses_a_state_of_another_session":                        {false, "-", "pending", true, false},
		"refuses_the_znodes_of_a_detached_task":                     {false, "a", "pending", false, false},
		"refuses_for_a_detached_task_the_znodes_of_another_session": {true, "a", "pending", true, false},
		"refuses_for_a_detached_task_another_payload":               {true, "b", "pending", false, false},
		"takes_for_a_detached_task_an_equal_payload":                {true, "a", "pending", false, true},
		"takes_for_a_detached_task_a_state_without_a_payload":       {true, "-", "done 1", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			root, h, proxy, r := startVia(t)
			r.session()
			play(t, root, nil).stop() // makes the directories
			held, release := proxy.Hold(zktest.OpSync, 1)
			defer release()
			lost := proxy.CutBefore(zktest.OpMulti, 1, zktest.Naming(task.DataDir))
			id := task.NewID()
			got := make(chan error, 1)
			go func() {
				var err error
				if c.detached {
					_, err = r.Submit(t.Context(), id, []byte("a"))
				} else {
					_, err = r.DoAs(t.Context(), id, []byte("a"))
				}
				got <- err
			}()
			met(t, lost)
			met(t, held)
			create := h.Create
			if c.ephemeral {
				create = h.CreateEphemeral
			}
			if c.data != "-" {
				create(task.DataPath(id), c.data)
			}
			if c.state != "-" {
				create(task.StatePath(id), c.state)
			}
			release()
			err := zktest.Receive(t, "answer: the client may wait for the other's task", got)
			if c.wantSubmitted && err != nil || !c.wantSubmitted && !errors.Is(err, zk.ErrNodeExists) {
				t.Error(err)
			}
		})
	}
}
