package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

// usual is a service at work.
func usual() *Tree {
	return &Tree{
		Candidates: []Candidate{
			cand("a-0000000003", "vm:1", time.Hour, 192*time.Second),
			cand("b-0000000004", "vm:2", 10*time.Minute, 10*time.Minute),
		},
		Workers: []Worker{
			works("w1", 2*time.Second, "t1", "t2"),
			works("w2", time.Minute),
			works("w3", 90*time.Second, "t3"),
		},
		Tasks: []Task{
			is("t1", 10*time.Second, "pending"), is("t2", 9*time.Second, "pending 1"), is("t3", 95*time.Second, ""),
			is("t4", 3*time.Second, "pending"), is("t5", 8*time.Second, "pending"), is("t6", time.Minute, "done 42"),
			is("t7", time.Minute, "failed why"), is("t8", time.Minute, "failed"),
		},
	}
}

// secret is a service at work of which some permanent znodes may not be listed.
func secret(dirs ...string) *Tree {
	t := usual()
	for _, dir := range dirs {
		t.Dirs = append(t.Dirs, Znode{Name: dir, Err: errors.New("no")})
		switch dir {
		case "/master":
			t.Candidates = nil
		case "/workers":
			t.Workers = nil
		case "/tasks":
			t.Tasks = nil
		}
	}
	return t
}

// queued is a service with queues; one worker, and the tasks, were made by hand.
func queued() *Tree {
	const u = "-0198d8e2-4d2c-4a41-8f31-0f0f0f0f0f0f"
	return &Tree{
		Candidates: usual().Candidates,
		Workers: []Worker{
			works("gpu.me", time.Minute), works("gpu.n1:4242"+u, 2*time.Second, "gpu.t1"), works("a\x1b.n2:1"+u, time.Minute),
		},
		Tasks: []Task{is("gpu.t1", time.Second, "pending"), is("t1", time.Second, "pending"), is("t2", 2*time.Second, "pending"), is("tpu.x.y", 3*time.Second, "pending")},
	}
}

func TestStatusText(t *testing.T) {
	for name, tc := range map[string]struct {
		tree *Tree
		want string
	}{
		"at_work": {usual(), `
leader    vm:1, for 3m12s: /master/a-0000000003
backups   1: vm:2
workers   3: 2 busy, 1 free
tasks     8: 2 pending (the oldest for 8.0s), 3 running, 1 done and 2 failed, not collected

worker  has            for
w3      t3             1m30s
w1      t1 and 1 more  2.0s
w2      nothing        1m00s
`},
		"in_queues": {queued(), `
leader    vm:1, for 3m12s: /master/a-0000000003
backups   1: vm:2
workers   3: 1 busy, 2 free
tasks     4: 3 pending (the oldest for 3.0s), 1 running

queue    worker   has      for
gpu      n1:4242  gpu.t1   2.0s
gpu      me       nothing  1m00s
"a\x1b"  n2:1     nothing  1m00s

warning   2 tasks pending: no worker takes tasks of the default queue: start one without --queue
warning   1 task pending: no worker takes tasks of queue tpu: start one with --queue
`},
		"nothing_is_there": {new(Tree), `
leader    none
backups   none
workers   none
tasks     none

warning   there is no leader: start a master
warning   there is no worker: start one
`},
		"all_is_odd": {&Tree{
			Candidates: []Candidate{
				{permanent(z("c-0000000001", time.Minute, time.Minute)), "x\ny"},
				{Znode{Name: "d-0000000002", Err: errors.New("not authenticated")}, ""},
			},
			Strangers: payloads("notes"),
			Workers: []Worker{
				{Znode: permanent(z("p", 0, 0)), Tasks: []string{"t1"}},
				{Znode: Znode{Name: "q", Err: errors.New("not authenticated")}},
			},
			Tasks: []Task{is("t1", time.Second, "banana\n"), is(" t2", time.Second, "pending"), {Znode: Znode{Name: "t3", Err: errors.New("not authenticated")}}},
		}, `
leader    "x\ny", for 1m00s: /master/c-0000000001
backups   1: ""
workers   none
tasks     3: 0 pending, 0 running, 3 malformed

warning   there is no worker: start one
warning   /master/c-0000000001: not ephemeral: no session ends this candidate, it keeps its place until it is deleted
warning   /master/d-0000000002: may not be read: not authenticated
warning   /master/notes: no candidate: its name does not end in ten digits
warning   /workers/p: not ephemeral: no worker, nothing is assigned to it
warning   /workers/q: may not be read: not authenticated
warning   /tasks/t1: malformed: its state is none of pending, done and failed, but "banana\n": it is never assigned
warning   /tasks/ t2: a malformed name, which cannot stand in a worker's list: it is never assigned
warning   /tasks/t3: may not be read: not authenticated
`},
		"tasks_may_not_be_read": {secret("/tasks"), `
leader    vm:1, for 3m12s: /master/a-0000000003
backups   1: vm:2
workers   3: 2 busy, 1 free
tasks     may not be read

worker  has            for
w3      t3             1m30s
w1      t1 and 1 more  2.0s
w2      nothing        1m00s

warning   /tasks: may not be read: no
`},
		"only_tasks_may_be_read": {secret("/master", "/workers"), `
leader    may not be read
workers   may not be read
tasks     8: 5 pending or running (the oldest for 1m35s), 1 done and 2 failed, not collected

warning   /master: may not be read: no
warning   /workers: may not be read: no
`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Summarize(tc.tree, now).Text(); got != tc.want[1:] {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want[1:])
			}
		})
	}
}

func TestStatusOfAListThatIsNone(t *testing.T) {
	tree := usual()
	tree.Workers = append(tree.Workers, Worker{Znode: z("long", 0, 0), Odd: task.ErrList})
	s := Summarize(tree, now)
	want := Warning{"/workers/long", "lists more than 10000 ids: no worker, nothing is assigned to it"}
	if len(s.Warnings) != 1 || s.Warnings[0] != want || s.Workers.Total != 3 {
		t.Errorf("%d workers, warnings %q", s.Workers.Total, s.Warnings)
	}
}

func TestStatusOfMany(t *testing.T) {
	tree := usual()
	tree.Workers, tree.Tasks = nil, nil
	for i := range 60 {
		tree.Workers = append(tree.Workers, works(fmt.Sprintf("w%02d", i), time.Duration(i)*time.Second, "t"))
		tree.Tasks = append(tree.Tasks, is(fmt.Sprintf("t%02d", i), time.Second, "junk"))
		tree.Candidates = append(tree.Candidates, cand(fmt.Sprintf("x%02d-0000000009", i), fmt.Sprintf("vm:%d", i), 0, 0))
	}
	s := Summarize(tree, now)
	text := s.Text()
	if n := strings.Count(text, "\n"); n != 4+1+1+shown+1+1+shown+1 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	for _, want := range []string{"workers   60: 60 busy, 0 free\n", "w59", "w50", "and 50 more\n", "backups   61: vm:2, vm:0, "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "w49") {
		t.Errorf("not the longest:\n%s", text)
	}
	if len(s.Workers.List) != 60 || len(s.Warnings) != 60 || len(s.Backups) != 61 {
		t.Errorf("JSON does not have all: %d, %d, %d", len(s.Workers.List), len(s.Warnings), len(s.Backups))
	}
}

func TestStatusJSON(t *testing.T) {
	for name, tc := range map[string]struct {
		tree *Tree
		want string
	}{
		"nothing_is_there": {new(Tree), `{"time":"TIME","leader":null,"backups":[],
			"workers":{"total":0,"busy":0,"free":0,"list":[]},
			"tasks":{"total":0,"pending":0,"oldest_pending_seconds":null,"running":0,"done":0,"failed":0,"malformed":0},
			"warnings":[{"text":"there is no leader: start a master"},{"text":"there is no worker: start one"}]}`},
		"nothing_may_be_read": {secret("/master", "/workers", "/tasks"), `{"time":"TIME","leader":null,"backups":null,"workers":null,"tasks":null,
			"unreadable":["/master","/workers","/tasks"],
			"warnings":[{"znode":"/master","text":"may not be read: no"},{"znode":"/workers","text":"may not be read: no"},{"znode":"/tasks","text":"may not be read: no"}]}`},
		"at_work": {usual(), `{"time":"TIME","leader":{"candidate":"/master/a-0000000003","who":"vm:1","since":"TIME","seconds":192},
			"backups":[{"candidate":"/master/b-0000000004","who":"vm:2","since":"TIME","seconds":600}],
			"workers":{"total":3,"busy":2,"free":1,"list":[
				{"id":"w3","queue":"","host":"w3","pid":0,"tasks":["t3"],"since":"TIME","seconds":90},
				{"id":"w1","queue":"","host":"w1","pid":0,"tasks":["t1","t2"],"since":"TIME","seconds":2},
				{"id":"w2","queue":"","host":"w2","pid":0,"tasks":[],"since":"TIME","seconds":60}]},
			"tasks":{"total":8,"pending":2,"oldest_pending_seconds":8,"running":3,"done":1,"failed":2,"malformed":0},
			"warnings":[]}`},
	} {
		t.Run(name, func(t *testing.T) { sameJSON(t, Summarize(tc.tree, now), tc.want) })
	}
}

// sameJSON compares with what is wanted but for blanks; TIME is any time of RFC 3339.
func sameJSON(t *testing.T, v any, want string) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var blanks strings.Builder
	for line := range strings.Lines(want) {
		blanks.WriteString(strings.TrimSpace(line))
	}
	got, want := times(string(b)), blanks.String()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func times(s string) string {
	parts := strings.Split(s, `"`)
	for i, p := range parts {
		if _, err := time.Parse(time.RFC3339Nano, p); err == nil {
			parts[i] = "TIME"
		}
	}
	return strings.Join(parts, `"`)
}
