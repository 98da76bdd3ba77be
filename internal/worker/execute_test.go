package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

func TestExecute(t *testing.T) {
	t.Parallel()
	parallel(t, "writes_the_result_and_frees_itself_in_one_transaction", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		m.submit("t", "42")
		m.assign(worker, "t")
		m.state("t", "done 42")
		m.free(worker)
		if w, s := m.stat(task.WorkerPath(worker)), m.stat(task.StatePath("t")); w.Mzxid != s.Mzxid || s.Version != 1 {
			t.Errorf("freed at %#x, result at %#x, version %d", w.Mzxid, s.Mzxid, s.Version)
		}
		x.began("t")
		if data, _ := m.Get(task.DataPath("t")); data != "42" {
			t.Errorf("payload %q", data)
		}
	})
	parallel(t, "sleeps_for_the_payload_unless_there_is_another_function", func(t *testing.T) {
		root := zktest.Connect(t)
		m := newManual(t, root)
		host(t, harness.Open(t, root), 0, nil)
		worker := m.worker()
		m.submit("good", "0.01\n")
		m.submit("bad", "soon")
		m.assign(worker, "good", "bad")
		m.state("good", "done 0")
		m.state("bad", `failed payload "soon" is not a number of seconds from 0 to 86400`)
		m.free(worker)
	})
	parallel(t, "executes_the_list_in_its_order", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		for _, id := range []string{"c", "a", "b"} {
			m.submit(id, id+id)
		}
		m.assign(worker, "c", "a", "b")
		for _, id := range []string{"a", "b", "c"} {
			m.state(id, "done "+id+id)
			m.written(id, 1)
		}
		x.began("c", "a", "b")
		m.free(worker)
	})
	parallel(t, "writes_the_facts_of_the_execution", func(t *testing.T) {
		root := zktest.Connect(t)
		m := newManual(t, root)
		host(t, harness.Open(t, root), 1, func(ctx context.Context, e task.Execution) (task.Outcome, error) {
			if string(e.Payload) == "long" {
				<-ctx.Done()
				return task.Outcome{Stderr: []byte("E")}, ctx.Err()
			}
			return task.Outcome{Exit: "3", Stdout: []byte("out"), Stderr: []byte("err\n")}, errors.New("why")
		})
		worker := m.worker()
		m.submit("t", "")
		m.Set(task.StatePath("t"), "pending: losses=2 timeout=60000 new=1")
		m.submit("late", "long")
		m.Set(task.StatePath("late"), "pending: timeout=50")
		before := time.Now().Truncate(time.Millisecond)
		m.assign(worker, "t", "late")
		m.free(worker)
		read := func(id string) task.State {
			data, _ := m.Get(task.StatePath(id))
			return task.ParseState([]byte(data))
		}
		got := read("t")
		e := got.Facts.Executed()
		if string(got.Text) != "why" || string(got.Stdout) != "out" || string(got.Stderr) != "err\n" || got.Facts.Asked() != "timeout=60000 new=1" {
			t.Errorf("state %+v", got)
		}
		if e.Worker != worker || e.Attempt != 3 || e.Exit != "3" || e.Began.Before(before) || e.Began.After(time.Now()) {
			t.Errorf("facts %+v", e)
		}
		got = read("late")
		e = got.Facts.Executed()
		if string(got.Text) != "timed out after 50ms" || string(got.Stderr) != "E" || e.Attempt != 1 || e.Ran < 50*time.Millisecond || e.Ran > time.Minute {
			t.Errorf("state %+v", got)
		}
	})
	for name, tt := range map[string]struct{ kind, state, want string }{
		"a_command_line_where_none_is_executed":                     {"", "pending: kind=command", "its payload is a command line, and this worker executes none: start workers with --any-command for its queue"},
		"another_payload_where_only_command_lines_are":              {task.KindCommand, "pending", "its payload is not marked as a command line (kind=command), and this worker executes nothing else: submit by client run -- COMMAND, or to another queue"},
		"a_payload_of_an_unknown_kind":                              {"", "pending: kind=film", `its payload is of the kind "film", which this worker does not know`},
		"a_payload_of_an_unknown_kind_where_only_command_lines_are": {task.KindCommand, "pending: kind=film", `its payload is of the kind "film", which this worker does not know`},
	} {
		parallel(t, "never_executes_"+name, func(t *testing.T) {
			root := zktest.Connect(t)
			m, x := newManual(t, root), newExecutor(t)
			hostAs(t, harness.Open(t, root), Config{Run: x.run, Kind: tt.kind})
			worker := m.worker()
			m.submit("t", "x")
			m.Set(task.StatePath("t"), tt.state)
			m.assign(worker, "t")
			m.state("t", "failed "+tt.want)
			m.free(worker)
			x.began()
		})
	}
	parallel(t, "executes_once_each_what_is_typed_with_blanks_and_repeats", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		m.submit("a", "1")
		m.submit("my task", "2")
		m.Set(task.WorkerPath(worker), "\r\n  my task\t\r\n\r\na \r\nmy task\r\n\n")
		m.state("a", "done 1")
		m.state("my task", "done 2")
		x.began("my task", "a")
		m.free(worker)
	})
	parallel(t, "commits_each_result_as_it_is_ready", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		m.submit("a", "1")
		m.submit("b", "wait")
		m.assign(worker, "a", "b")
		m.state("a", "done 1")
		m.holds(task.WorkerPath(worker), "b")
		x.end("b", "2")
		m.state("b", "done 2")
		m.free(worker)
	})
	parallel(t, "begins_new_ids_after_those_already_listed", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		for _, id := range []string{"a", "b", "c"} {
			m.submit(id, "wait")
		}
		m.assign(worker, "a")
		x.began("a")
		m.assign(worker, "b", "a", "c") // also in front of it
		for _, id := range []string{"a", "b", "c"} {
			x.end(id, id)
			m.state(id, "done "+id)
		}
		x.began("a", "b", "c")
		x.ended()
		m.free(worker)
	})
	parallel(t, "cancels_what_is_no_longer_listed", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		for _, id := range []string{"a", "b", "c"} {
			m.submit(id, "wait")
		}
		m.assign(worker, "a", "b", "c")
		x.began("a")
		m.assign(worker, "a", "c") // b has not begun, a goes on untouched
		m.assign(worker, "c")
		x.ended("a")
		x.began("a", "c")
		m.assign(worker)
		x.ended("a", "c")
		m.submit("d", "4")
		m.assign(worker, "d")
		m.state("d", "done 4")
		m.free(worker)
		x.began("a", "c", "d")
		for _, id := range []string{"a", "b", "c"} {
			m.written(id, 0)
		}
	})
	parallel(t, "reads_the_payloads_of_the_next_tasks_ahead", func(t *testing.T) {
		m, x, _, worker, proxy := proxied(t)
		var list []string
		for i := range readAhead + 1 {
			list = append(list, string(rune('a'+i)))
			m.submit(list[i], "wait")
		}
		last, behind := list[readAhead-1], list[readAhead]
		alone, release := proxy.Hold(zktest.OpGetData, 1, zktest.Naming(task.DataPath(last)))
		together, releaseAll := proxy.Hold(zktest.OpMultiRead, 1, zktest.Naming(task.DataPath(last)))
		early, never := proxy.Hold(zktest.OpMultiRead, 1, zktest.Naming(task.DataPath(behind)))
		earlyAlone, neverAlone := proxy.Hold(zktest.OpGetData, 1, zktest.Naming(task.DataPath(behind)))
		m.assign(worker, list...)
		select {
		case <-alone:
		case <-together:
		}
		release()
		releaseAll()
		x.began("a")
		select {
		case <-early:
			t.Error("reads further ahead than it should")
		case <-earlyAlone:
			t.Error("reads further ahead than it should")
		default:
		}
		never()
		neverAlone()
		for _, id := range list {
			x.end(id, id)
			m.state(id, "done "+id)
		}
		m.free(worker)
	})
	parallel(t, "executes_again_what_was_taken_back_and_listed_again", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		begin(m, x, worker, "t")
		m.assign(worker)
		x.ended("t")
		m.assign(worker, "t")
		x.began("t", "t")
		x.end("t", "x")
		m.state("t", "done x")
		m.written("t", 1)
		m.free(worker)
	})
	parallel(t, "ends_when_the_session_is_over", func(t *testing.T) {
		m, x, p, worker := oneSlot(t)
		begin(m, x, worker, "t")
		p.s.Close()
		x.ended("t")
		if err := p.wait(); !errors.Is(err, session.ErrOver) {
			t.Errorf("Run: %v", err)
		}
		m.workers(0)
		m.written("t", 0)
	})
}

func TestFailedTask(t *testing.T) {
	t.Parallel()
	parallel(t, "has_the_error_of_the_function_as_its_reason", func(t *testing.T) {
		m, _, _, worker := oneSlot(t)
		m.submit("t", "fail out of paper")
		m.assign(worker, "t")
		m.state("t", "failed out of paper")
		m.free(worker)
		m.written("t", 1)
	})
	parallel(t, "is_one_without_a_payload", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		m.Create(task.StatePath("t"), "pending")
		m.assign(worker, "t")
		m.state("t", "failed no payload in /data/t")
		m.free(worker)
		x.began()
	})
	parallel(t, "is_one_whose_payload_may_not_be_read", func(t *testing.T) {
		m, x, _, worker := oneSlot(t)
		m.submit("t", "x")
		m.SetACL(task.DataPath("t"), zk.WorldACL(zk.PermWrite))
		m.assign(worker, "t")
		m.state("t", "failed get /data/t: no permission")
		m.free(worker)
		x.began()
	})
	for name, answer := range map[string]func() ([]byte, error){
		"result": func() ([]byte, error) { return make([]byte, 1<<20), nil },
		"reason": func() ([]byte, error) { return nil, errors.New(strings.Repeat("x", 1<<20)) },
	} {
		parallel(t, "is_one_with_a_"+name+"_too_large_and_the_session_goes_on", func(t *testing.T) {
			root := zktest.Connect(t)
			m := newManual(t, root)
			p := host(t, harness.Open(t, root), 1, returns(func(_ context.Context, e task.Execution) ([]byte, error) {
				if e.Task == "large" {
					return answer()
				}
				return e.Payload, nil
			}))
			worker := m.worker()
			m.submit("large", "")
			m.submit("t", strings.Repeat("y", 800_000))
			m.assign(worker, "large", "t")
			room := session.MaxPacket - p.s.Size(session.Set(task.WorkerPath(worker), []byte("large\nt"), 0), session.Set(task.StatePath("large"), nil, 0))
			var most int
			zktest.Eventually(t, "state of large", func() (bool, string) {
				got := m.plain("large")
				_, err := fmt.Sscanf(got, "failed result of 1048576 bytes is too large: at most %d", &most)
				return err == nil, got
			})
			if facts := room - most; facts < 50 || facts > 250 { // and the word
				t.Errorf("at most %d, where there is room for %d", most, room)
			}
			m.state("t", "done "+strings.Repeat("y", 800_000))
			m.free(worker)
			if owner := m.stat(task.WorkerPath(worker)).EphemeralOwner; owner != p.s.ID() {
				t.Errorf("owner %#x, session %#x", owner, p.s.ID())
			}
		})
	}
}
