package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/member"
	"taskkeeper/internal/task"
)

// usualTree returns a service at work.
func usualTree() *Tree {
	return &Tree{
		Candidates: []Candidate{
			candidate("a-0000000003", "vm:1", time.Hour, 192*time.Second),
			candidate("b-0000000004", "vm:2", 10*time.Minute, 10*time.Minute),
		},
		Workers: []Worker{
			workerWith("w1", 2*time.Second, "t1", "t2"),
			workerWith("w2", time.Minute),
			workerWith("w3", 90*time.Second, "t3"),
		},
		Tasks: []Task{
			taskIn("t1", 10*time.Second, "pending"), taskIn("t2", 9*time.Second, "pending 1"), taskIn("t3", 95*time.Second, ""),
			taskIn("t4", 3*time.Second, "pending"), taskIn("t5", 8*time.Second, "pending"), taskIn("t6", time.Minute, "done 42"),
			taskIn("t7", time.Minute, "failed why"), taskIn("t8", time.Minute, "failed"),
		},
	}
}

// unreadableDirs returns a service at work of which some directories may not be listed.
func unreadableDirs(dirs ...string) *Tree {
	t := usualTree()
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

// withQueues returns a service with queues; one worker, and the tasks, were made by hand.
func withQueues() *Tree {
	const u = "-0198d8e2-4d2c-4a41-8f31-0f0f0f0f0f0f"
	return &Tree{
		Candidates: usualTree().Candidates,
		Workers: []Worker{
			workerWith("gpu.me", time.Minute), workerWith("gpu.n1:4242"+u, 2*time.Second, "gpu.t1"), workerWith("a\x1b.n2:1"+u, time.Minute),
		},
		Tasks: []Task{taskIn("gpu.t1", time.Second, "pending"), taskIn("t1", time.Second, "pending"), taskIn("t2", 2*time.Second, "pending"), taskIn("tpu.x.y", 3*time.Second, "pending")},
	}
}

// withSession sets the session of a znode.
func withSession(session int64, z Znode) Znode { z.Owner = session; return z }

// slots returns the n workers of a process with its session. The first of them are busy.
func slots(session int64, process string, n, busy int, since time.Duration) (all []Worker) {
	for i := range n {
		w := workerWith(fmt.Sprintf("%s-0198d8e2-4d2c-4a41-8f31-%012x", process, i), since-time.Duration(i)*time.Second)
		w.Znode = withSession(session, w.Znode)
		if i < busy {
			w.Tasks = []string{fmt.Sprintf("t%s-%d", process, i)}
		}
		all = append(all, w)
	}
	return all
}

// memberWith returns a member with a session, a role and a version.
func memberWith(session int64, role, version string) Member {
	return Member{withSession(session, ephemeral("m", time.Hour, time.Hour)), member.Told{Role: role, Protocol: "1", Version: version}}
}

// severalMachines returns a service on three machines, one of which is drained and one draining,
// with programs of two versions and one without a version.
func severalMachines() *Tree {
	t := &Tree{
		Candidates: []Candidate{
			{withSession(1, ephemeral("a-0000000003", time.Hour, 192*time.Second)), "vm.example.org:1"},
			{withSession(2, ephemeral("b-0000000004", time.Minute, time.Minute)), "vm:2"},
		},
		Drains: []Drain{
			{ephemeral("n1", time.Hour, time.Hour), true, "disk\n full"},
			{ephemeral("n2:22", time.Minute, time.Minute), false, ""},
			{ephemeral("n3:31-0198d8e2-4d2c-4a41-8f31-000000000001", time.Second, time.Second), false, ""},
			{ephemeral("n\x1b", time.Second, time.Second), false, ""},
		},
		Members: []Member{
			memberWith(1, member.Master, "1.4.0"), memberWith(2, member.Master, "1.5.0"), memberWith(11, member.Worker, "1.4.0"),
			memberWith(21, member.Worker, "1.4.0"), memberWith(22, member.Worker, "1.5.0"),
		},
		Protocol: &member.Told{Protocol: "1", Version: "1.4.0"},
		Tasks:    []Task{taskIn("t", time.Second, "pending"), taskIn("gpu.t", time.Second, "pending")},
	}
	t.Workers = slices.Concat(slots(22, "n2:22", 2, 1, time.Minute), slots(31, "n3:31", 100, 98, 100*time.Second),
		slots(11, "gpu.n1:11", 2, 0, time.Minute), slots(21, "n2:21", 1, 0, time.Minute))
	return t
}

func TestStatusText(t *testing.T) {
	for name, tc := range map[string]struct {
		tree *Tree
		want string
	}{
		"of_several_machines_and_versions": {severalMachines(), `
leader    vm.example.org:1, for 3m12s: /master/a-0000000003
backups   1: vm:2
workers   105: 99 busy, 6 free; 5 of them draining or drained
tasks     2: 2 pending (the oldest for 1.0s), 0 running
versions  -: 1 process, 1.4.0: 3, 1.5.0: 2
drain     n1, for 1h00m: drained: "disk\n full"
drain     n2:22, for 1m00s: draining, 1 of 2 workers busy
drain     n3:31-0198d8e2-4d2c-4a41-8f31-000000000001, for 1.0s: draining, 1 of 1 worker busy
drain     "n\x1b", for 1.0s: no worker there is registered

host  process  queue  busy    drain     version  has                   for
n1    11       gpu    0/2     drained   1.4.0    nothing               59.0s
n2    21       -      0/1     -         1.4.0    nothing               1m00s
n2    22       -      1/2     draining  1.5.0    tn2:22-0              1m00s
n3    31       -      98/100  1 of 100  -        tn3:31-0 and 97 more  1m40s

warning   1 task pending: all 2 workers of queue gpu are drained: client undrain n1
`},
		"at_work": {usualTree(), `
leader    vm:1, for 3m12s: /master/a-0000000003
backups   1: vm:2
workers   3: 2 busy, 1 free
tasks     8: 2 pending (the oldest for 8.0s), 3 running, 1 done and 2 failed, not collected

host  process  busy  version  has            for
w1    -        1/1   -        t1 and 1 more  2.0s
w2    -        0/1   -        nothing        1m00s
w3    -        1/1   -        t3             1m30s
`},
		"in_queues": {withQueues(), `
leader    vm:1, for 3m12s: /master/a-0000000003
backups   1: vm:2
workers   3: 1 busy, 2 free
tasks     4: 3 pending (the oldest for 3.0s), 1 running

host  process  queue    busy  version  has      for
me    -        gpu      0/1   -        nothing  1m00s
n1    4242     gpu      1/1   -        gpu.t1   2.0s
n2    1        "a\x1b"  0/1   -        nothing  1m00s

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
		"malformed_and_unreadable_znodes": {&Tree{
			Candidates: []Candidate{
				{permanent(ephemeral("c-0000000001", time.Minute, time.Minute)), "x\ny"},
				{Znode{Name: "d-0000000002", Err: errors.New("not authenticated")}, ""},
			},
			Strangers: znodes("notes"),
			Workers: []Worker{
				{Znode: permanent(ephemeral("p", 0, 0)), Tasks: []string{"t1"}},
				{Znode: Znode{Name: "q", Err: errors.New("not authenticated")}},
			},
			Drains:  []Drain{{Znode: Znode{Name: "d", Err: errors.New("not authenticated")}}},
			Members: []Member{{Znode: Znode{Name: "m", Err: errors.New("not authenticated")}}},
			Tasks:   []Task{taskIn("t1", time.Second, "banana\n"), taskIn(" t2", time.Second, "pending"), {Znode: Znode{Name: "t3", Err: errors.New("not authenticated")}}},
		}, `
leader    "x\ny", for 1m00s: /master/c-0000000001
backups   1: ""
workers   none
tasks     3: 0 pending, 0 running, 3 malformed
drain     d: no worker there is registered

warning   there is no worker: start one
warning   /master/c-0000000001: not ephemeral: no session ends this candidate, it keeps its place until it is deleted
warning   /master/d-0000000002: may not be read: not authenticated
warning   /master/notes: no candidate: its name does not end in ten digits
warning   /workers/p: not ephemeral: it is no worker, and nothing is assigned to it
warning   /workers/q: may not be read: not authenticated
warning   /drain/d: may not be read: not authenticated
warning   /members/m: may not be read: not authenticated
warning   /tasks/t1: malformed: its state is none of pending, done and failed, but "banana\n": it is never assigned
warning   /tasks/ t2: a malformed name, which cannot stand in a worker's list: it is never assigned
and 1 more
`},
		"tasks_may_not_be_read": {unreadableDirs("/tasks"), `
leader    vm:1, for 3m12s: /master/a-0000000003
backups   1: vm:2
workers   3: 2 busy, 1 free
tasks     may not be read

host  process  busy  version  has            for
w1    -        1/1   -        t1 and 1 more  2.0s
w2    -        0/1   -        nothing        1m00s
w3    -        1/1   -        t3             1m30s

warning   /tasks: may not be read: no
`},
		"only_tasks_may_be_read": {unreadableDirs("/master", "/workers"), `
leader    may not be read
workers   may not be read
tasks     8: 5 pending or running (the oldest for 1m35s), 1 done and 2 failed, not collected

warning   /master: may not be read: no
warning   /workers: may not be read: no
`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Summarize(tc.tree, now, Filter{}).Text(); got != tc.want[1:] {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want[1:])
			}
		})
	}
}

func TestStatusOfAListWithTooManyIDs(t *testing.T) {
	tree := usualTree()
	tree.Workers = append(tree.Workers, Worker{Znode: ephemeral("long", 0, 0), Malformed: task.ErrList})
	s := Summarize(tree, now, Filter{})
	want := Warning{"/workers/long", "lists more than 10000 ids: it is no worker, and nothing is assigned to it"}
	if len(s.Warnings) != 1 || s.Warnings[0] != want || s.Workers.Total != 3 {
		t.Errorf("%d workers, warnings %q", s.Workers.Total, s.Warnings)
	}
}

func TestStatusTextIsCutAndItsJSONIsNot(t *testing.T) {
	tree := usualTree()
	tree.Workers, tree.Tasks = nil, nil
	for i := range 60 {
		tree.Workers = append(tree.Workers, workerWith(fmt.Sprintf("w%02d", i), time.Duration(i)*time.Second, "t"))
		tree.Tasks = append(tree.Tasks, taskIn(fmt.Sprintf("t%02d", i), time.Second, "junk"))
		tree.Drains = append(tree.Drains, Drain{Znode: ephemeral(fmt.Sprintf("x%02d", i), 0, 0)})
		tree.Candidates = append(tree.Candidates, candidate(fmt.Sprintf("x%02d-0000000009", i), fmt.Sprintf("vm:%d", i), 0, 0))
	}
	s := Summarize(tree, now, Filter{})
	text := s.Text()
	if n := strings.Count(text, "\n"); n != 4+shown+1+1+1+60+1+shown+1 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	for _, want := range []string{"workers   60: 60 busy, 0 free\n", "w00", "w59", "and 50 more\n", "backups   61: vm:2, vm:0, "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if len(s.Drains) != 60 || len(s.Workers.List) != 60 || len(s.Warnings) != 60 || len(s.Backups) != 61 {
		t.Errorf("JSON does not have all: %d, %d, %d", len(s.Workers.List), len(s.Warnings), len(s.Backups))
	}
}

func TestStatusFilter(t *testing.T) {
	queue := func(name string) *string { return &name }
	for name, tc := range map[string]struct {
		only Filter
		want string // without the lines that are always the same
	}{
		"of_a_machine": {Filter{Hosts: []string{"n2"}}, `
workers   3: 1 busy, 2 free; 2 of them draining or drained
tasks     2: 2 pending (the oldest for 1.0s), 0 running
drain     n2:22, for 1m00s: draining, 1 of 2 workers busy

host  process  queue  busy  drain     version  has       for
n2    21       -      0/1   -         1.4.0    nothing   1m00s
n2    22       -      1/2   draining  1.5.0    tn2:22-0  1m00s

worker                                      has       for
n2:22-0198d8e2-4d2c-4a41-8f31-000000000000  tn2:22-0  1m00s
n2:21-0198d8e2-4d2c-4a41-8f31-000000000000  nothing   1m00s
n2:22-0198d8e2-4d2c-4a41-8f31-000000000001  nothing   59.0s

warning   1 task pending: all 2 workers of queue gpu are drained: client undrain n1
`},
		"of_a_queue": {Filter{Queue: queue("gpu")}, `
workers   2: 0 busy, 2 free; 2 of them draining or drained
tasks     1: 1 pending (the oldest for 1.0s), 0 running
drain     n1, for 1h00m: drained: "disk\n full"

host  process  queue  busy  drain    version  has      for
n1    11       gpu    0/2   drained  1.4.0    nothing  59.0s

warning   1 task pending: all 2 workers of queue gpu are drained: client undrain n1
`},
		"of_the_default_queue_and_a_machine_that_has_others": {Filter{Hosts: []string{"n1", "vm.example.org"}, Queue: queue("")}, `
workers   none
tasks     1: 1 pending (the oldest for 1.0s), 0 running

warning   no worker of host n1 is registered
warning   no worker of host vm.example.org is registered; write a host name only up to its first dot: vm
`},
	} {
		t.Run(name, func(t *testing.T) {
			got := Summarize(severalMachines(), now, tc.only).Text()
			_, got, _ = strings.Cut(got, "\nbackups   1: vm:2\n")
			got = strings.Replace(got, "versions  -: 1 process, 1.4.0: 3, 1.5.0: 2\n", "", 1)
			if got != tc.want[1:] {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want[1:])
			}
		})
	}
}

func TestStatusJSON(t *testing.T) {
	for name, tc := range map[string]struct {
		tree *Tree
		want string
	}{
		"nothing_is_there": {new(Tree), `{"time":"TIME","leader":null,"backups":[],
			"workers":{"total":0,"busy":0,"free":0,"draining":0,"list":[]},
			"tasks":{"total":0,"pending":0,"oldest_pending_seconds":null,"running":0,"done":0,"failed":0,"malformed":0},
			"drains":[],"protocol":null,"versions":[],
			"warnings":[{"text":"there is no leader: start a master"},{"text":"there is no worker: start one"}]}`},
		"nothing_may_be_read": {unreadableDirs("/master", "/workers", "/tasks", "/drain", "/members"), `{"time":"TIME","leader":null,"backups":null,"workers":null,"tasks":null,
			"drains":null,"protocol":null,"versions":null,"unreadable":["/master","/workers","/tasks","/drain","/members"],
			"warnings":[{"znode":"/master","text":"may not be read: no"},{"znode":"/workers","text":"may not be read: no"},{"znode":"/tasks","text":"may not be read: no"},{"znode":"/drain","text":"may not be read: no"},{"znode":"/members","text":"may not be read: no"}]}`},
		"at_work": {usualTree(), `{"time":"TIME","leader":{"candidate":"/master/a-0000000003","who":"vm:1","since":"TIME","seconds":192,"version":""},
			"backups":[{"candidate":"/master/b-0000000004","who":"vm:2","since":"TIME","seconds":600,"version":""}],
			"workers":{"total":3,"busy":2,"free":1,"draining":0,"list":[
				{"id":"w3","queue":"","host":"w3","pid":0,"tasks":["t3"],"since":"TIME","seconds":90,"version":"","draining":false,"drained":false},
				{"id":"w1","queue":"","host":"w1","pid":0,"tasks":["t1","t2"],"since":"TIME","seconds":2,"version":"","draining":false,"drained":false},
				{"id":"w2","queue":"","host":"w2","pid":0,"tasks":[],"since":"TIME","seconds":60,"version":"","draining":false,"drained":false}]},
			"tasks":{"total":8,"pending":2,"oldest_pending_seconds":8,"running":3,"done":1,"failed":2,"malformed":0},
			"drains":[],"protocol":null,"versions":[{"version":"","processes":1}],
			"warnings":[]}`},
		"of_one_machine": {func() *Tree {
			t := severalMachines()
			t.Workers, t.Tasks, t.Drains = slots(11, "n1:11", 1, 0, time.Minute), nil, t.Drains[:1]
			t.Protocol = &member.Told{Protocol: "2", Version: "2.0.1"}
			return t
		}(), `{"time":"TIME","leader":{"candidate":"/master/a-0000000003","who":"vm.example.org:1","since":"TIME","seconds":192,"version":"1.4.0"},
			"backups":[{"candidate":"/master/b-0000000004","who":"vm:2","since":"TIME","seconds":60,"version":"1.5.0"}],
			"workers":{"total":1,"busy":0,"free":1,"draining":1,"list":[
				{"id":"n1:11-0198d8e2-4d2c-4a41-8f31-000000000000","queue":"","host":"n1","pid":11,"tasks":[],"since":"TIME","seconds":60,"version":"1.4.0","draining":true,"drained":true}]},
			"tasks":{"total":0,"pending":0,"oldest_pending_seconds":null,"running":0,"done":0,"failed":0,"malformed":0},
			"drains":[{"name":"n1","since":"TIME","seconds":3600,"drained":true,"note":"disk\n full","workers":1,"busy":0}],"protocol":2,
			"versions":[{"version":"1.4.0","processes":3},{"version":"1.5.0","processes":2}],
			"warnings":[{"znode":"/members","text":"all programs must speak protocol 2, as version 2.0.1 wrote; this client speaks protocol 1"}]}`},
	} {
		t.Run(name, func(t *testing.T) { sameJSON(t, Summarize(tc.tree, now, Filter{}), tc.want) })
	}
}

// sameJSON compares JSON, blanks aside. TIME stands for any time of RFC 3339.
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
