package inspect

import (
	"errors"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/member"
)

// soundTree returns a service at work, without anything that the doctor finds.
func soundTree() *Tree {
	t := usualTree()
	t.Data = znodes("t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8")
	t.Dirs = znodes("/master", "/tasks", "/data", "/workers", "/drain", "/members")
	t.Workers = append(t.Workers, workerWith(worker, time.Minute), workerWith("gpu.h:8"+worker[3:], time.Minute))
	for _, name := range []string{"h", "gone", "h:7", worker, "gpu.h:8" + worker[3:], "h:9"} {
		t.Drains = append(t.Drains, Drain{Znode: permanent(ephemeral(name, time.Minute, time.Minute))})
	}
	t.Members = []Member{{ephemeral("h:9"+worker[3:], time.Minute, time.Minute), member.Told{Role: member.Worker}}}
	return t
}

// below returns the znode with these children.
func below(z Znode, names ...string) Znode {
	z.Below, z.children = znodes(names...), int32(len(names))
	return z
}
func closed(z Znode) Znode    { z.Closed = true; return z }
func withError(z Znode) Znode { z.Err = errors.New("not authenticated"); return z }

func TestDoctorFinds(t *testing.T) {
	const payloadsChild = "a child that no program of the service creates: the znode above it cannot be deleted"
	for name, tc := range map[string]struct {
		change func(t *Tree)
		want   string
	}{
		"nothing_in_a_service_at_work":                 {func(*Tree) {}, ``},
		"nothing_in_an_empty_tree":                     {func(t *Tree) { *t = Tree{} }, ``},
		"nothing_where_leader_and_workers_are_missing": {func(t *Tree) { t.Candidates, t.Workers, t.Drains = nil, nil, nil }, ``}, // that is for client status
		"nothing_in_a_finished_task_without_a_payload": {func(t *Tree) { t.Data = t.Data[:5] }, ``},                               // made by hand
		"an_assignment_without_a_task": {func(t *Tree) { t.Workers[1].Tasks = []string{"gone"} }, `
/lab/workers/w2  lists gone, which is no task
    set /lab/workers/w2 ""
`},
		"an_assignment_of_two_and_one_without_a_task": {func(t *Tree) { t.Workers[2].Tasks = []string{"gone", "t3"} }, `
/lab/workers/w3  lists gone, which is no task
    set /lab/workers/w3 t3
`},
		"an_assignment_of_three_and_one_without_a_task": {func(t *Tree) { t.Workers[0].Tasks = []string{"t1", "gone", "t2"} }, `
/lab/workers/w1  lists gone, which is no task (client doctor --mend mends it)
`},
		"an_assignment_of_what_is_finished": {func(t *Tree) { t.Workers[1].Tasks = []string{"t6", "t7"} }, `
/lab/workers/w2  lists t6, which is done; t7, which is failed
    set /lab/workers/w2 ""
`},
		"a_task_held_by_two_workers": {func(t *Tree) { t.Workers[1].Tasks = []string{"t3"} }, `
/lab/workers/w2  lists t3, which worker w3 has as well, for longer
    set /lab/workers/w2 ""
`},
		"a_payload_without_a_task": {func(t *Tree) { t.Data = append(t.Data, znodes("x", "my x")...) }, `
/lab/data/x  a payload without a task
    delete /lab/data/x
"/lab/data/my x"  a payload without a task (client doctor --mend mends it)
`},
		"a_payload_without_a_task_with_a_child": {func(t *Tree) { t.Data = append(t.Data, below(znodes("x")[0], "c")) }, `
/lab/data/x  a payload without a task
    deleteall /lab/data/x
`},
		"a_task_without_a_payload": {func(t *Tree) { t.Data = t.Data[1:] }, `
/lab/tasks/t1  a task without a payload: a worker would fail it
    delete /lab/tasks/t1
`},
		"a_malformed_state": {func(t *Tree) { t.Tasks[4] = taskIn("t5", time.Second, "Done 1") }, `
/lab/tasks/t5  malformed: its state is none of pending, done and failed, but Done 1: it is never assigned
    set /lab/tasks/t5 pending
`},
		"a_malformed_state_without_a_payload": {func(t *Tree) { t.Tasks = append(t.Tasks, taskIn("x", time.Second, "?")) }, `
/lab/tasks/x  malformed: its state is none of pending, done and failed, but ?: it is never assigned; and it has no payload
    delete /lab/tasks/x
`},
		"a_malformed_name": {func(t *Tree) { t.Tasks = append(t.Tasks, taskIn(" x", time.Second, "pending")) }, `
"/lab/tasks/ x"  a malformed name, which cannot stand in a worker's list: it is never assigned (client doctor --mend mends it)
`},
		"a_malformed_name_with_its_payload": {func(t *Tree) {
			t.Tasks = append(t.Tasks, taskIn(`x" `, time.Second, "pending"))
			t.Data = append(t.Data, below(znodes(`x" `)[0], "c"))
		}, `
"/lab/tasks/x" "  a malformed name, which cannot stand in a worker's list: it is never assigned (client doctor --mend mends it)
`},
		"a_worker_that_is_not_ephemeral": {func(t *Tree) { t.Workers[1].Owner, t.Workers[1].Tasks = 0, []string{"gone"} }, `
/lab/workers/w2  not ephemeral: it is no worker, and nothing is assigned to it
    delete /lab/workers/w2
`},
		"a_worker_that_is_not_ephemeral_with_a_child": {func(t *Tree) { t.Workers[1].Znode = below(permanent(t.Workers[1].Znode), "c") }, `
/lab/workers/w2  not ephemeral: it is no worker, and nothing is assigned to it
    deleteall /lab/workers/w2
`},
		"a_candidate_that_is_not_ephemeral": {func(t *Tree) { t.Candidates[1].Owner = 0 }, `
/lab/master/b-0000000004  not ephemeral: no session ends this candidate, it keeps its place until it is deleted
    delete /lab/master/b-0000000004
`},
		"a_name_that_is_no_candidate": {func(t *Tree) { t.Strangers = []Znode{below(znodes("notes")[0], "c")} }, `
/lab/master/notes  no candidate: its name does not end in ten digits
    deleteall /lab/master/notes
`},
		"a_drain_of_a_worker_that_is_gone": {func(t *Tree) { t.Workers, t.Members[0].Role = t.Workers[:3], member.Master }, `
/lab/drain/h:7  drains a worker that is gone
    delete /lab/drain/h:7
/lab/drain/` + worker + `  drains a worker that is gone
    delete /lab/drain/` + worker + `
/lab/drain/gpu.h:8` + worker[3:] + `  drains a worker that is gone
    delete /lab/drain/gpu.h:8` + worker[3:] + `
/lab/drain/h:9  drains a worker that is gone
    delete /lab/drain/h:9
`},
		"a_member_that_is_not_ephemeral": {func(t *Tree) { t.Members[0].Znode = permanent(below(t.Members[0].Znode, "c")) }, `
/lab/members/h:9` + worker[3:] + `  not ephemeral: it is no process, and no session ends it
    deleteall /lab/members/h:9` + worker[3:] + `
`},
		"a_child_of_a_drain_and_an_ACL_of_a_drain_or_a_member": {func(t *Tree) {
			t.Drains[0].Znode, t.Drains[1].Znode = below(t.Drains[0].Znode, "c"), closed(t.Drains[1].Znode)
			t.Members[0].Znode = withError(t.Members[0].Znode)
		}, `
/lab/drain/h/c  ` + payloadsChild + `
    delete /lab/drain/h/c
/lab/drain/gone  its ACL keeps the service from its work
    setAcl /lab/drain/gone world:anyone:cdrwa
/lab/members/h:9` + worker[3:] + `  may not be read: not authenticated
    setAcl /lab/members/h:9` + worker[3:] + ` world:anyone:cdrwa
`},
		"a_child_of_a_task_or_of_a_payload": {func(t *Tree) {
			t.Tasks[3].Below, t.Data[3].Below = znodes("a", "b c"), znodes("d")
		}, `
/lab/tasks/t4/a  ` + payloadsChild + `
    delete /lab/tasks/t4/a
"/lab/tasks/t4/b c"  ` + payloadsChild + ` (client doctor --mend mends it)
/lab/data/t4/d  ` + payloadsChild + `
    delete /lab/data/t4/d
`},
		"an_ACL_that_keeps_the_service_from_its_work": {func(t *Tree) {
			t.Dirs[0], t.Candidates[0].Znode, t.Workers[1].Znode = closed(t.Dirs[0]), closed(t.Candidates[0].Znode), closed(t.Workers[1].Znode)
			t.Tasks[3].Znode, t.Data[3] = closed(t.Tasks[3].Znode), withError(t.Data[3])
		}, `
/lab/master  its ACL keeps the service from its work
    setAcl /lab/master world:anyone:cdrwa
/lab/master/a-0000000003  its ACL keeps the service from its work
    setAcl /lab/master/a-0000000003 world:anyone:cdrwa
/lab/workers/w2  its ACL keeps the service from its work
    setAcl /lab/workers/w2 world:anyone:cdrwa
/lab/tasks/t4  its ACL keeps the service from its work
    setAcl /lab/tasks/t4 world:anyone:cdrwa
/lab/data/t4  may not be read: not authenticated
    setAcl /lab/data/t4 world:anyone:cdrwa
`},
		"no_missing_task_where_tasks_may_not_be_read": {func(t *Tree) {
			t.Tasks, t.Dirs[1] = nil, withError(t.Dirs[1])
		}, `
/lab/tasks  may not be read: not authenticated
    setAcl /lab/tasks world:anyone:cdrwa
`},
		"no_missing_task_for_an_unreadable_one": {func(t *Tree) {
			t.Tasks[0].Znode = withError(t.Tasks[0].Znode)
		}, `
/lab/tasks/t1  may not be read: not authenticated
    setAcl /lab/tasks/t1 world:anyone:cdrwa
`},
	} {
		t.Run(name, func(t *testing.T) {
			tree := soundTree()
			tc.change(tree)
			var got strings.Builder
			for _, f := range Findings(tree, "/lab") {
				got.WriteString(f.String())
			}
			if got.String() != strings.TrimPrefix(tc.want, "\n") {
				t.Errorf("got\n%s\nwant%s", &got, tc.want)
			}
		})
	}
}

func TestAFindingCountsOnlyIfTwoReadsInARowShowIt(t *testing.T) {
	at := func(znode, text string, mzxid int64) Finding { return Finding{Znode: znode, Text: text, mzxid: mzxid} }
	first := []Finding{at("/a", "x", 1), at("/a", "y", 1), at("/b", "x", 1), at("/c", "x", 1)}
	for name, tc := range map[string]struct {
		second []Finding
		want   int
	}{
		"the_same_findings_twice":            {first, 4},
		"gone_in_the_second":                 {nil, 0},
		"only_in_the_second":                 {[]Finding{at("/d", "x", 1)}, 0},
		"the_same_but_the_znode_was_written": {[]Finding{at("/b", "x", 2)}, 0},
		"another_text_for_one_of_the_znodes": {[]Finding{at("/b", "y", 1), at("/c", "x", 1)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			second := append([]Finding(nil), tc.second...)
			if got := twice(first, second); len(got) != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
