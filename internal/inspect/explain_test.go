package inspect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// drained adds drains of these names to a tree.
func drained(t *Tree, names ...string) *Tree {
	for _, name := range names {
		t.Drains = append(t.Drains, Drain{Znode: ephemeral(name, time.Minute, time.Minute)})
	}
	return t
}

func TestExplain(t *testing.T) {
	one := newText([]byte("0.5"))
	busy := &Tree{Candidates: usualTree().Candidates, Workers: []Worker{workerWith("w1", 2*time.Second, "t1", "t2"), workerWith("w3", time.Minute, "t3", "t1")}}
	only := &Tree{Candidates: usualTree().Candidates, Workers: busy.Workers[:1]}
	nobody := &Tree{Candidates: usualTree().Candidates, Workers: []Worker{{Znode: permanent(ephemeral("p", 0, 0)), Tasks: []string{"t4"}}}}
	detached := taskIn("t4", time.Minute, "pending")
	detached.Owner = 0
	unreadable := Task{Znode: Znode{Name: "t4", Err: errors.New("not authenticated")}}

	for name, tc := range map[string]struct {
		c    Case
		why  string
		want []string // lines, among others
	}{
		"runs": {Case{Task: taskIn("t2", 4*time.Second, "pending"), Tree: &Tree{Workers: []Worker{workerWith("w", 3*time.Second, "t2")}}}, waitRunning,
			[]string{"task       t2", "state      running", "runs       on worker w, for 3.0s: no result is committed yet", "submitted  4.0s ago, at ", "owner      session 0x7, with which it vanishes"}},
		"runs_after_a_loss": {Case{Task: taskIn("t2", 4*time.Second, "pending 1"), Tree: &Tree{Workers: []Worker{workerWith("w", 3*time.Second, "t2")}}}, waitRunning,
			[]string{"state      running, 1 execution lost with its worker"}},
		"runs_although_its_state_is_malformed": {Case{Task: taskIn("t2", 4*time.Second, "banana"), Tree: &Tree{Workers: []Worker{workerWith("w", 3*time.Second, "t2")}}}, waitRunning,
			[]string{"state      malformed", "runs       on worker w, for 3.0s: no result is committed yet"}},
		"queues_behind_another": {Case{Task: taskIn("t2", time.Second, "pending"), Tree: usualTree()}, waitQueued,
			[]string{"state      pending", "queues     on worker w1, for 2.0s", "waits      1 task is before it in its worker's list"}},
		"is_listed_by_two_workers": {Case{Task: taskIn("t1", time.Second, "pending"), Tree: busy}, waitRunning,
			[]string{"runs       on worker w1, for 2.0s: no result is committed yet", "queues     on worker w3, for 1m00s"}},
		"is_listed_by_two_workers_and_runs_on_the_second": {Case{Task: taskIn("t", time.Second, "pending"),
			Tree: &Tree{Workers: []Worker{workerWith("w1", 0, "s", "t"), workerWith("w2", 0, "t")}}}, waitRunning,
			[]string{"queues     on worker w1, for 0s", "runs       on worker w2, for 0s: no result is committed yet"}},
		"waits_for_what_may_not_be_read": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: unreadableDirs("/workers")}, waitSecret,
			[]string{"waits      the reason is not known: /workers may not be read: no"}},
		"waits_for_a_leader": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: &Tree{Workers: usualTree().Workers}}, waitLeader,
			[]string{"waits      there is no leader: start a master"}},
		"waits_for_any_worker": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: nobody}, waitWorker,
			[]string{"waits      there is no worker: start one"}},
		"waits_for_a_worker_of_its_queue": {Case{Task: taskIn("tpu.t4", time.Second, "pending"), Tree: withQueues()}, waitWorker,
			[]string{"task       tpu.t4", "queue      tpu", "waits      no worker takes tasks of queue tpu: start one with --queue"}},
		"waits_for_a_worker_of_the_default_queue": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: withQueues()}, waitWorker,
			[]string{"waits      no worker takes tasks of the default queue: start one without --queue"}},
		"waits_for_a_worker_made_by_hand": {Case{Task: taskIn("gpu.t4", time.Second, "pending"), Tree: withQueues()}, waitSoon,
			[]string{"queue      gpu"}},
		"waits_for_the_only_worker_of_its_queue": {Case{Task: taskIn("gpu.t4", time.Second, "pending"),
			Tree: &Tree{Candidates: usualTree().Candidates, Workers: []Worker{workerWith("gpu.me", 0, "x"), workerWith("w", 0)}}}, waitBusy,
			[]string{"waits      the only worker of queue gpu is busy"}},
		"waits_for_the_only_worker": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: only}, waitBusy,
			[]string{"waits      the only worker is busy"}},
		"waits_for_workers_that_are_drained": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: drained(usualTree(), "w1", "w2", "w3")}, waitDrained,
			[]string{"waits      all 3 workers are drained: client undrain w1 w2 w3"}},
		"waits_for_the_only_worker_of_its_queue_which_is_drained": {Case{Task: taskIn("gpu.t4", time.Second, "pending"),
			Tree: drained(&Tree{Candidates: usualTree().Candidates, Workers: []Worker{workerWith("gpu.me", 0), workerWith("w", 0)}}, "me", "other")}, waitDrained,
			[]string{"waits      the only worker of queue gpu is drained: client undrain me"}},
		"waits_for_a_worker_with_a_name_that_a_shell_would_run": {Case{Task: taskIn("t4", time.Second, "pending"),
			Tree: drained(&Tree{Candidates: usualTree().Candidates, Workers: []Worker{workerWith("$(x)", 0)}}, "$(x)")}, waitDrained,
			[]string{"waits      the only worker is drained: see /drain, and client undrain"}},
		"waits_although_a_worker_is_free_that_is_drained": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: drained(usualTree(), "w2"), Ahead: 1}, waitBusy,
			[]string{"waits      all 2 workers that are not drained are busy, and 1 task is ahead of it"}},
		"waits_for_the_only_worker_that_is_not_drained": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: drained(usualTree(), "w1", "w2")}, waitBusy,
			[]string{"waits      the only worker that is not drained is busy"}},
		"waits_for_a_free_worker_beside_drained_ones": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: drained(usualTree(), "w1", "w3")}, waitSoon, nil},
		"waits_with_one_task_ahead": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: busy, Ahead: 1}, waitBusy,
			[]string{"waits      all 2 workers are busy, and 1 task is ahead of it"}},
		"waits_with_many_tasks_ahead": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: busy, Ahead: 17}, waitBusy,
			[]string{"waits      all 2 workers are busy, and 17 tasks are ahead of it"}},
		"is_about_to_be_assigned": {Case{Task: taskIn("t4", time.Second, "pending"), Tree: usualTree()}, waitSoon,
			[]string{"waits      a worker is free: the leader is about to assign it (a task that left a worker's list unfinished is retried after some seconds; after several such returns, after minutes)"}},
		"is_malformed": {Case{Task: taskIn("t4", time.Second, "banana"), Tree: usualTree()}, waitMalformed,
			[]string{"state      malformed", "waits      malformed: its state is none of pending, done and failed, but banana: it is never assigned"}},
		"has_a_malformed_name": {Case{Task: taskIn(" t", time.Second, "pending"), Tree: usualTree()}, waitMalformed,
			[]string{`task       " t"`, "state      pending", "waits      a malformed name, which cannot stand in a worker's list: it is never assigned"}},
		"may_not_be_read": {Case{Task: unreadable, Tree: usualTree(), PayloadErr: errors.New("no")}, waitMalformed,
			[]string{"state      malformed", "waits      may not be read: not authenticated", "payload    may not be read: no"}},
		"was_lost_once": {Case{Task: taskIn("t4", time.Second, "pending 1"), Tree: usualTree()}, waitSoon,
			[]string{"state      pending, 1 execution lost with its worker"}},
		"was_lost_twice": {Case{Task: taskIn("t4", time.Second, "pending 2"), Tree: usualTree()}, waitSoon,
			[]string{"state      pending, 2 executions lost with their workers", "waits      a worker is free: the leader is about to assign it (a task that left a worker's list unfinished is retried after some seconds; after several such returns, after minutes)"}},
		"was_lost_as_often_as_the_task_of_the_free_worker's_process": {Case{Task: taskIn("t4", time.Second, "pending 2"), Tree: usualTree(), Rival: &Task{Znode: Znode{Name: "t3"}, Losses: 2}}, waitApart,
			[]string{"waits      a worker is free, but its process executes task t3, which was lost twice as well: they run in different processes, because one of them may be what ends the process"}},
		"is_done": {Case{Task: taskIn("t4", time.Minute, "done 4\n2"), Tree: usualTree(), Payload: &one}, "",
			[]string{`state      done, 3 bytes: "4\n2"`, "submitted  1m00s ago, at ", "finished   1.0s after that, at ", `payload    3 bytes: "0.5"`}},
		"is_done_with_a_long_result": {Case{Task: taskIn("t4", time.Minute, "done "+strings.Repeat("x", 100)), Tree: usualTree(), Payload: &one}, "",
			[]string{`state      done, 100 bytes: "` + strings.Repeat("x", beginning) + `"…`}},
		"has_failed": {Case{Task: taskIn("t4", time.Minute, "failed lost with 3 workers"), Tree: usualTree()}, "",
			[]string{"state      failed: lost with 3 workers", "payload    none"}},
		"was_executed": {Case{Task: taskIn("t4", time.Minute, executed), Tree: usualTree()}, "",
			[]string{"state      failed: why", "executed   on worker " + worker + ", for 1.5s, 300ms after its submission, at ", "attempt    2", "exit       SIGKILL",
				`stderr     4 bytes: "err\n"`, "kind       command", "timeout    2.0s for an execution"}},
		"was_refused_by_its_worker": {Case{Task: taskIn("t4", time.Minute, "failed: worker=w attempt=1\nno payload"), Tree: usualTree()}, "",
			[]string{"state      failed: no payload", "executed   not at all: refused on worker w"}},
		"is_finished_and_listed": {Case{Task: taskIn("t1", time.Minute, "done by hand"), Tree: usualTree()}, "",
			[]string{"listed     by worker w1, for 2.0s: it frees itself"}},
		"is_detached": {Case{Task: detached, Tree: usualTree()}, waitSoon,
			[]string{"owner      none: it is detached, and outlives its client"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := Explain(&tc.c, now)
			got := strings.Split(e.Text(), "\n")
			for _, want := range tc.want {
				if !slices.ContainsFunc(got, func(l string) bool { return l == want || strings.HasSuffix(want, " at ") && strings.HasPrefix(l, want) }) {
					t.Errorf("no line %q in\n%s", want, strings.Join(got, "\n"))
				}
			}
			why := ""
			if e.Waits != nil {
				why = e.Waits.Why
			}
			if why != tc.why || (e.Finished == nil) != (why != "") {
				t.Errorf("waits for %q, want %q; finished %v", why, tc.why, e.Finished)
			}
		})
	}
}

const worker = "h:7-01234567-89ab-4def-8123-456789abcdef"

// executed is the state of a task that failed, submitted a minute ago.
var executed = fmt.Sprintf("failed: kind=command timeout=2000 worker=%s began=%d ran=1500 attempt=2 exit=SIGKILL err=4\nwhyerr\n",
	worker, now.Add(300*time.Millisecond-time.Minute).UnixMilli())

func TestExplainJSON(t *testing.T) {
	payload := newText([]byte{0xff})
	for name, tc := range map[string]struct {
		c    Case
		want string
	}{
		"waits": {Case{Task: taskIn("t4", 2*time.Second, "pending 1"), Payload: &payload, Ahead: 0,
			Tree: &Tree{Candidates: usualTree().Candidates, Workers: []Worker{workerWith("w", time.Second, "t1")}}},
			`{"time":"TIME","id":"t4","queue":"","state":"pending","losses":1,"submitted":"TIME","age_seconds":2,"detached":false,"owner":"0x7",
			"payload":{"bytes":1,"beginning":"` + "\ufffd" + `"},"workers":[],
			"waits":{"why":"all_busy","text":"the only worker is busy","ahead":0}}`},
		"runs": {Case{Task: taskIn("t3", 2*time.Second, "pending"), Tree: usualTree()},
			`{"time":"TIME","id":"t3","queue":"","state":"pending","losses":0,"submitted":"TIME","age_seconds":2,"detached":false,"owner":"0x7",
			"workers":[{"id":"w3","queue":"","host":"w3","pid":0,"since":"TIME","seconds":90,"place":1}],
			"waits":{"why":"running","text":"its worker has not committed a result yet"}}`},
		"done": {Case{Task: taskIn("t6", time.Minute, "done 42"), Tree: usualTree()},
			`{"time":"TIME","id":"t6","queue":"","state":"done","losses":0,"result":{"bytes":2,"beginning":"42"},"submitted":"TIME","age_seconds":60,
			"finished":"TIME","took_seconds":1,"detached":false,"owner":"0x7","workers":[]}`},
		"executed": {Case{Task: taskIn("t6", time.Minute, executed), Tree: usualTree()},
			`{"time":"TIME","id":"t6","queue":"","state":"failed","losses":0,"reason":{"bytes":3,"beginning":"why"},"submitted":"TIME","age_seconds":60,
			"finished":"TIME","took_seconds":1,"kind":"command","timeout_seconds":2,"worker":"` + worker + `","host":"h","pid":7,"attempt":2,"began":"TIME",
			"ran_seconds":1.5,"waited_seconds":0.3,"exit":"SIGKILL","stderr":{"bytes":4,"beginning":"err\n"},"detached":false,"owner":"0x7","workers":[]}`},
	} {
		t.Run(name, func(t *testing.T) { sameJSON(t, Explain(&tc.c, now), tc.want) })
	}
}
