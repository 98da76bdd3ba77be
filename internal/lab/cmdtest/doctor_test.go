package cmdtest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// commands returns the commands that client doctor printed.
func commands(out string) (all []string) {
	for line := range strings.Lines(out) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			all = append(all, strings.TrimSuffix(command, "\n"))
		}
	}
	return all
}

// carryOut carries out a command of ZooKeeper's shell. The manual client has no chroot.
func carryOut(t *testing.T, h *zktest.ManualClient, command string) {
	t.Helper()
	words := strings.Fields(command)
	switch words[0] {
	case "delete":
		h.Delete(words[1])
	case "deleteall":
		h.DeleteAll(words[1])
	case "set":
		h.Set(words[1], strings.Trim(words[2], `"`))
	case "setAcl":
		if _, err := h.Conn.SetACL(words[1], zk.WorldACL(zk.PermAll), -1); err != nil || words[2] != "world:anyone:cdrwa" {
			t.Fatalf("%s: %v", command, err)
		}
	default:
		t.Fatalf("no such command: %s", command)
	}
}

// lock leaves everyone the right to set the ACL of a znode, and no other.
func (svc *service) lock(path string) {
	svc.t.Helper()
	if _, err := svc.manual.Conn.SetACL(svc.chroot()+path, zk.WorldACL(zk.PermAdmin), -1); err != nil {
		svc.t.Fatal(err)
	}
}

// byMend stands behind a finding for which no command is printed.
const byMend = " (client doctor --mend mends it)"

// findings are changes of a tree that is right, and what client doctor prints of each.
var findings = map[string]struct {
	do   func(svc *service)
	want string // with ROOT for the chroot
}{
	"an_assignment_without_a_task": {func(svc *service) { svc.manual.CreateEphemeral("/workers/w", "good\ngone") },
		"ROOT/workers/w  lists gone, which is no task\n    set ROOT/workers/w good"},
	"a_finished_task_in_a_list": {func(svc *service) {
		svc.manual.Create("/tasks/t", "done 1")
		svc.manual.CreateEphemeral("/workers/w", "t")
	}, "ROOT/workers/w  lists t, which is done\n    set ROOT/workers/w \"\""},
	"a_task_held_by_two": {func(svc *service) {
		svc.manual.CreateEphemeral("/workers/w", "good")
		svc.manual.CreateEphemeral("/workers/v", "good")
	}, "ROOT/workers/v  lists good, which worker w has as well, for longer\n    set ROOT/workers/v \"\""},
	"a_payload_without_a_task": {func(svc *service) { svc.manual.Create("/data/my x", "1") },
		"\"ROOT/data/my x\"  a payload without a task" + byMend},
	"a_task_without_a_payload": {func(svc *service) { svc.manual.Create("/tasks/t", "pending") },
		"ROOT/tasks/t  a task without a payload: a worker would fail it\n    delete ROOT/tasks/t"},
	"a_malformed_state": {func(svc *service) { svc.manual.Set("/tasks/good", "banana split") },
		"ROOT/tasks/good  malformed: its state is none of pending, done and failed, but banana split: it is never assigned\n    set ROOT/tasks/good pending"},
	"a_malformed_state_without_a_payload": {func(svc *service) { svc.manual.Create("/tasks/t2", "hello") },
		"ROOT/tasks/t2  malformed: its state is none of pending, done and failed, but hello: it is never assigned; and it has no payload\n    delete ROOT/tasks/t2"},
	"a_malformed_name": {func(svc *service) {
		svc.manual.Create("/tasks/ t ", "pending")
		svc.manual.Create("/data/ t ", "1")
		svc.manual.Create("/data/ t /child", "1")
	}, "\"ROOT/tasks/ t \"  a malformed name, which cannot stand in a worker's list: it is never assigned" + byMend},
	"a_worker_that_is_not_ephemeral": {func(svc *service) { svc.manual.Create("/workers/w", "good") },
		"ROOT/workers/w  not ephemeral: it is no worker, and nothing is assigned to it\n    delete ROOT/workers/w"},
	"a_list_that_is_no_workers": {func(svc *service) { svc.manual.CreateEphemeral("/workers/w", distinctLines(nearlyAll)) },
		"ROOT/workers/w  lists more than 10000 ids: it is no worker, and nothing is assigned to it\n    set ROOT/workers/w \"\""},
	"a_candidate_that_is_not_ephemeral": {func(svc *service) { svc.manual.Create("/master/m-0000000000", "") },
		"ROOT/master/m-0000000000  not ephemeral: no session ends this candidate, it keeps its place until it is deleted\n    delete ROOT/master/m-0000000000"},
	"a_name_that_is_no_candidate": {func(svc *service) { svc.manual.Create("/master/m", ""); svc.manual.Create("/master/m/below", "") },
		"ROOT/master/m  no candidate: its name does not end in ten digits\n    deleteall ROOT/master/m"},
	"a_child_below_a_task": {func(svc *service) {
		svc.manual.Create("/tasks/good/below", "")
		svc.manual.Create("/tasks/good/below/that", "")
	}, "ROOT/tasks/good/below  a child that no program of the service creates: the znode above it cannot be deleted\n    deleteall ROOT/tasks/good/below"},
	"a_child_below_a_payload": {func(svc *service) { svc.manual.Create("/data/good/below", "") },
		"ROOT/data/good/below  a child that no program of the service creates: the znode above it cannot be deleted\n    delete ROOT/data/good/below"},
	"a_state_that_may_not_be_read": {func(svc *service) { svc.lock("/tasks/good") },
		"ROOT/tasks/good  may not be read: get /tasks/good: no permission\n    setAcl ROOT/tasks/good world:anyone:cdrwa"},
	"a_payload_that_may_not_be_read": {func(svc *service) { svc.lock("/data/good") },
		"ROOT/data/good  its ACL keeps the service from its work\n    setAcl ROOT/data/good world:anyone:cdrwa"},
	"a_worker_that_may_not_be_read": {func(svc *service) { svc.manual.CreateEphemeral("/workers/w", ""); svc.lock("/workers/w") },
		"ROOT/workers/w  may not be read: get /workers/w: no permission\n    setAcl ROOT/workers/w world:anyone:cdrwa"},
	"a_list_of_three_of_which_one_is_no_task": {func(svc *service) {
		svc.manual.Create("/tasks/t2", "pending")
		svc.manual.Create("/data/t2", "1")
		svc.manual.CreateEphemeral("/workers/w", "good\ngone\nt2")
	}, "ROOT/workers/w  lists gone, which is no task" + byMend},
	"a_name_that_a_shell_would_run": {func(svc *service) { svc.manual.Create("/data/$(touch${IFS}x)", "1") },
		"\"ROOT/data/$(touch${IFS}x)\"  a payload without a task" + byMend},
	"a_name_with_both_quotes": {func(svc *service) { svc.manual.Create(`/workers/a"b'c`, "") },
		`"ROOT/workers/a"b'c"  not ephemeral: it is no worker, and nothing is assigned to it` + byMend},
	"a_name_that_turns_the_line_around": {func(svc *service) { svc.manual.Create("/data/a\u202eb", "1") },
		`"ROOT/data/a\u202eb"  a payload without a task` + byMend},
	"a_name_of_129_bytes": {func(svc *service) { svc.manual.Create("/data/"+strings.Repeat("x", 129), "1") },
		"\"ROOT/data/" + strings.Repeat("x", 129) + "\"  a payload without a task" + byMend},
	"a_child_with_a_name_that_a_shell_would_run": {func(svc *service) {
		svc.manual.Create("/tasks/good/`x`", "")
		svc.manual.Create("/tasks/good/`x`/;y", "")
		svc.lock("/tasks/good/`x`")
	}, "\"ROOT/tasks/good/`x`\"  a child that no program of the service creates: the znode above it cannot be deleted" + byMend},
	"a_name_that_would_ask_a_worker_for_another": {func(svc *service) {
		svc.manual.Create("/tasks/-x", "pending")
		svc.manual.Create("/data/-x", "1")
	}, "ROOT/tasks/-x  a malformed name, which cannot stand in a worker's list: it is never assigned\n    delete ROOT/tasks/-x\n    delete ROOT/data/-x"},
	"a_drain_of_a_process_that_is_gone": {func(svc *service) { svc.manual.Create("/drain/node:7", "drained") },
		"ROOT/drain/node:7  drains a worker that is gone\n    delete ROOT/drain/node:7"},
	"a_child_below_a_drain": {func(svc *service) { svc.manual.Create("/drain/node", ""); svc.manual.Create("/drain/node/below", "") },
		"ROOT/drain/node/below  a child that no program of the service creates: the znode above it cannot be deleted\n    delete ROOT/drain/node/below"},
	"a_member_that_is_not_ephemeral": {func(svc *service) { svc.manual.Create("/members/m", "role=worker protocol=1") },
		"ROOT/members/m  not ephemeral: it is no process, and no session ends it\n    delete ROOT/members/m"},
	"drains_that_may_not_be_listed": {func(svc *service) { svc.lock("/drain") },
		"ROOT/drain  may not be read: list /drain: no permission\n    setAcl ROOT/drain world:anyone:cdrwa"},
	"workers_that_may_not_be_listed": {func(svc *service) { svc.lock("/workers") },
		"ROOT/workers  may not be read: list /workers: no permission\n    setAcl ROOT/workers world:anyone:cdrwa"},
}

// goodTask makes a tree that has nothing wrong, and a task in it.
func (svc *service) goodTask() {
	svc.t.Helper()
	svc.dirs()
	svc.manual.Create("/data/good", "1")
	svc.manual.Create("/tasks/good", "pending")
}

// nothingWrong fails unless client doctor finds nothing.
func (svc *service) nothingWrong() {
	svc.t.Helper()
	out, errs := svc.says(0, "doctor")
	if !strings.HasPrefix(out, "nothing wrong: ") || errs != "" {
		svc.t.Errorf("stdout %q, stderr %q", out, errs)
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "what mends a znode there is for TestDoctorGivesZnodesTheACLsOfThePolicy")
	start := newService(t)
	for name, tc := range findings {
		t.Run("finds_"+name+"_and_how_to_mend_it", func(t *testing.T) {
			t.Parallel()
			svc := start(t)
			svc.goodTask()
			svc.nothingWrong()
			tc.do(svc)
			out, errs := svc.says(1, "doctor")
			if want := strings.ReplaceAll(tc.want, "ROOT", svc.chroot()); out != want {
				t.Errorf("got\n%s\nwant\n%s", out, want)
			}
			if !strings.HasPrefix(errs, "client: findings: 1, in ") || strings.Contains(errs, "\n") {
				t.Errorf("stderr %q", errs)
			}
			h := zktest.Conn(t, svc.addr())
			for _, command := range commands(out) {
				carryOut(t, h, command)
			}
			if !strings.Contains(out, byMend) {
				svc.nothingWrong()
			}
		})
		t.Run("mends_"+name, func(t *testing.T) {
			t.Parallel()
			svc := start(t)
			svc.goodTask()
			tc.do(svc)
			out, errs := svc.says(0, "doctor", "--mend", "--yes")
			lines := strings.Split(out, "\n")
			if len(lines) != 2 || !strings.HasPrefix(lines[0], "mended: ") || !strings.HasPrefix(lines[1], "nothing wrong: ") || errs != "" {
				t.Errorf("stdout\n%s\nstderr\n%s", out, errs)
			}
			if data, ok := svc.manual.Get("/data/good"); !ok || data != "1" {
				t.Error("what was good is gone")
			}
			svc.nothingWrong()
		})
	}
	t.Run("finds_nothing_wrong_with_a_service_at_work", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.master()
		svc.worker("--slots", "4")
		c := svc.run(strings.Repeat("0.02\n", 10_000))
		c.Line(c.Stdout, "0")
		for range 5 {
			out, _ := svc.says(0, "doctor")
			if !regexp.MustCompile(`^nothing wrong: 2 candidates, 4 workers, \d+ tasks?$`).MatchString(out) {
				t.Errorf("stdout %q", out)
			}
		}
		select {
		case <-c.Done():
			t.Error("the service was not at work all the time")
		default:
		}
	})
	t.Run("finds_nothing_wrong_in_an_empty_tree", func(t *testing.T) {
		svc := start(t)
		if out, _ := svc.says(0, "doctor"); out != "nothing wrong: 0 candidates, 0 workers, 0 tasks" {
			t.Errorf("stdout %q", out)
		}
	})
	t.Run("prints_commands_that_the_shell_of_ZooKeeper_takes", func(t *testing.T) {
		svc := start(t)
		svc.goodTask()
		svc.manual.Create("/data/two", "1")
		svc.manual.Create("/tasks/two", "banana")
		svc.manual.Create("/tasks/t", "pending")
		svc.manual.Create("/data/x.1:a@b%c+d=e,f-g", "1")
		svc.manual.CreateEphemeral("/workers/w", "gone")
		svc.manual.Create("/workers/v", "")
		svc.manual.Create("/master/m-0000000000", "")
		svc.manual.Create("/master/m", "")
		svc.manual.Create("/tasks/good/below", "")
		svc.manual.Create("/tasks/good/below/that", "")
		svc.lock("/data/good")
		out, _ := svc.says(1, "doctor")
		all := commands(out)
		verbs := map[string]int{}
		for _, c := range all {
			verb, _, _ := strings.Cut(c, " ")
			verbs[verb]++
		}
		if fmt.Sprint(verbs) != "map[delete:5 deleteall:1 set:2 setAcl:1]" {
			t.Errorf("%v in\n%s", verbs, out)
		}
		_, port, _ := strings.Cut(svc.addr(), ":")
		shell := harness.Run(t, harness.Command{
			Path: "../../../scripts/zookeeper", Args: []string{"shell", "--port", port, "--no-install"},
			In: strings.Join(all, "\n") + "\n",
		})
		shell.Exit(0)
		svc.nothingWrong()
	})
	t.Run("mends_what_only_a_mend_lets_it_read", func(t *testing.T) {
		svc := start(t)
		svc.goodTask()
		svc.manual.CreateEphemeral("/workers/w", "gone")
		svc.lock("/workers")
		out, errs := svc.says(0, "doctor", "--mend", "--yes")
		matches(t, out, "mended: let everyone do anything with .*/workers\nmended: set .*/workers/w to \"\"\nnothing wrong: .*")
		if errs != "" {
			t.Errorf("stderr %q", errs)
		}
	})
	t.Run("keeps_what_is_right_of_a_list_that_it_mends", func(t *testing.T) {
		svc := start(t)
		svc.goodTask()
		svc.manual.Create("/data/t2", "1")
		svc.manual.Create("/tasks/t2", "pending")
		svc.manual.CreateEphemeral("/workers/w", "good\ngone\nt2")
		svc.says(0, "doctor", "--mend", "--yes")
		if got, _ := svc.manual.Get("/workers/w"); got != "good\nt2" {
			t.Errorf("the list is %q", got)
		}
	})
	t.Run("reports_what_it_may_not_mend", func(t *testing.T) {
		svc := start(t)
		svc.goodTask()
		if _, err := svc.manual.Conn.SetACL(svc.chroot()+"/tasks/good", zk.DigestACL(zk.PermAll, "me", "secret"), -1); err != nil {
			t.Fatal(err)
		}
		out, errs := svc.says(1, "doctor", "--mend", "--yes")
		if !strings.HasPrefix(out, svc.chroot()+"/tasks/good  may not be read: ") {
			t.Errorf("stdout %q", out)
		}
		matches(t, errs, "not mended: let everyone do anything with .*/tasks/good: set the ACL of /tasks/good: .*\nclient: findings: 1, in .*")
	})
	t.Run("does_not_mend_unasked", func(t *testing.T) {
		svc := start(t)
		for want, args := range map[string][]string{
			"client: --mend asks before it changes anything, and standard input is no terminal: add --yes": {"doctor", "--mend"},
			"client: --yes goes with --mend": {"doctor", "--yes"},
		} {
			if _, errs := svc.says(2, args...); !strings.HasPrefix(errs, want) || strings.Contains(errs, "\n") {
				t.Errorf("%q: stderr %q", args, errs)
			}
		}
	})
	t.Run("asks_for_each_finding_on_a_terminal", func(t *testing.T) {
		svc := start(t)
		svc.goodTask()
		svc.manual.Create("/data/a", "1")
		svc.manual.Create("/data/b", "1")
		side, shown := terminal(t)
		c := svc.command("doctor", "--mend")
		c.Stdin, c.Stdout, c.Stderr = side, side, side
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for i, ask := range []struct{ name, keys string }{{"a", "\n"}, {"b", "y\n"}} {
			question := fmt.Sprintf("%d of 2: %s/data/%s  a payload without a task\r\n    delete %[2]s/data/%[3]s? [y/N] ", i+1, svc.chroot(), ask.name)
			zktest.Eventually(t, question, shown.shows(question))
			if _, err := shown.keys.WriteString(ask.keys); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Wait(); c.ProcessState.ExitCode() != 1 {
			t.Errorf("client: %v", err)
		}
		for _, text := range []string{"mended: 2\r\n", "client: findings: 1, in "} {
			zktest.Eventually(t, text, shown.shows(text))
		}
		_, text := shown.shows("")()
		for _, name := range []string{"a", "b"} {
			for _, once := range []string{svc.chroot() + "/data/" + name + "  ", "delete " + svc.chroot() + "/data/" + name} {
				if n := strings.Count(text, once); n != 1 {
					t.Errorf("%q is printed %d times in\n%s", once, n, text)
				}
			}
		}
		if got := svc.manual.Children("/data"); fmt.Sprint(got) != "[a good]" {
			t.Errorf("left %q", got)
		}
	})
}
