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
		host(t, harness.Open(t, root), 0, nil)
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
	parallel(t, "and_tells_the_facts", func(t *testing.T) {
		root := zktest.Connect(t)
		d := newDesk(t, root)
		host(t, harness.Open(t, root), 1, func(ctx context.Context, e task.Execution) (task.Outcome, error) {
			if string(e.Payload) == "long" {
				<-ctx.Done()
				return task.Outcome{Stderr: []byte("E")}, ctx.Err()
			}
			return task.Outcome{Exit: "3", Stdout: []byte("out"), Stderr: []byte("err\n")}, errors.New("why")
		})
		worker := d.worker()
		d.submit("t", "")
		d.Set(task.StatePath("t"), "pending: losses=2 timeout=60000 new=1")
		d.submit("late", "long")
		d.Set(task.StatePath("late"), "pending: timeout=50")
		before := time.Now().Truncate(time.Millisecond)
		d.assign(worker, "t", "late")
		d.free(worker)
		read := func(id string) task.State {
			data, _ := d.Get(task.StatePath(id))
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
		"a_command_line_where_none_is_executed":      {"", "pending: kind=command", "its payload is a command line, and this worker executes none: start workers with --any-command for its queue"},
		"what_is_no_command_line_where_those_are":    {task.KindCommand, "pending", "its payload is not marked as a command line (kind=command), and this worker executes nothing else: submit by client run -- COMMAND, or to another queue"},
		"a_kind_of_payload_that_is_not_known_(yet)":  {"", "pending: kind=film", `its payload is of the kind "film", which this worker does not know`},
		"a_kind_of_payload_that_is_not_known_either": {task.KindCommand, "pending: kind=film", `its payload is of the kind "film", which this worker does not know`},
	} {
		parallel(t, "never_"+name, func(t *testing.T) {
			root := zktest.Connect(t)
			d, b := newDesk(t, root), newBench(t)
			hostAs(t, harness.Open(t, root), Config{Run: b.run, Kind: tt.kind})
			worker := d.worker()
			d.submit("t", "x")
			d.Set(task.StatePath("t"), tt.state)
			d.assign(worker, "t")
			d.state("t", "failed "+tt.want)
			d.free(worker)
			b.began()
		})
	}
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
	parallel(t, "with_the_payloads_of_those_behind_it_read_meanwhile", func(t *testing.T) {
		root := zktest.Connect(t)
		d, b := newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		host(t, harness.Open(t, through), 1, b.run)
		worker := d.worker()
		var list []string
		for i := range readAhead + 1 {
			list = append(list, string(rune('a'+i)))
			d.submit(list[i], "wait")
		}
		last, behind := list[readAhead-1], list[readAhead]
		alone, release := proxy.Hold(zktest.OpGetData, 1, zktest.Naming(task.DataPath(last)))
		together, releaseAll := proxy.Hold(zktest.OpMultiRead, 1, zktest.Naming(task.DataPath(last)))
		early, never := proxy.Hold(zktest.OpMultiRead, 1, zktest.Naming(task.DataPath(behind)))
		earlyAlone, neverAlone := proxy.Hold(zktest.OpGetData, 1, zktest.Naming(task.DataPath(behind)))
		d.assign(worker, list...)
		select {
		case <-alone:
		case <-together:
		}
		release()
		releaseAll()
		b.began("a")
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
			b.end(id, id)
			d.state(id, "done "+id)
		}
		d.free(worker)
	})
	parallel(t, "again_what_was_taken_away_and_listed_again", func(t *testing.T) {
		d, b, _, worker := one(t)
		begin(d, b, worker, "t")
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
		begin(d, b, worker, "t")
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
		d.state("t", "failed get /data/t: no permission")
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
			p := host(t, harness.Open(t, root), 1, returns(func(_ context.Context, e task.Execution) ([]byte, error) {
				if e.Task == "large" {
					return answer()
				}
				return e.Payload, nil
			}))
			worker := d.worker()
			d.submit("large", "")
			d.submit("t", strings.Repeat("y", 800_000))
			d.assign(worker, "large", "t")
			room := session.MaxPacket - p.s.Size(session.Set(task.WorkerPath(worker), []byte("large\nt"), 0), session.Set(task.StatePath("large"), nil, 0))
			var most int
			zktest.Eventually(t, "state of large", func() (bool, string) {
				got := d.plain("large")
				_, err := fmt.Sscanf(got, "failed result of 1048576 bytes is too large: at most %d", &most)
				return err == nil, got
			})
			if facts := room - most; facts < 50 || facts > 250 { // and the word
				t.Errorf("at most %d, where there is room for %d", most, room)
			}
			d.state("t", "done "+strings.Repeat("y", 800_000))
			d.free(worker)
			if owner := d.stat(task.WorkerPath(worker)).EphemeralOwner; owner != p.s.ID() {
				t.Errorf("owner %#x, session %#x", owner, p.s.ID())
			}
		})
	}
}
