package cmdtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"taskkeeper/internal/inspect"
	"taskkeeper/internal/task"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	start := newService(t)
	const times = `submitted  [\d.ms]+ ago, at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n`
	t.Run("follows_a_task_from_its_submission_to_its_end", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		first, second := task.NewID(), task.NewID()
		for _, id := range []string{first, second} {
			svc.manual.Create("/data/"+id, "3600")
			svc.manual.Create("/tasks/"+id, "pending")
		}
		explain := func(id, want string) {
			t.Helper()
			out, errs := svc.says(0, "explain", id)
			matches(t, out, "task       "+strings.TrimPrefix(id, "/tasks/")+"\n"+strings.TrimPrefix(want, "\n"))
			if errs != "" {
				t.Errorf("stderr %q", errs)
			}
		}
		rest := times + "owner      none: it is detached, and outlives its client\npayload    4 bytes: \"3600\""
		explain(second, `
state      pending
waits      there is no leader: start a master
`+rest)
		svc.master()
		explain("/tasks/"+second, `
state      pending
waits      there is no worker: start one
`+rest)
		w := svc.worker()
		w.Line(w.Stderr, "task started")
		id := svc.manual.Children("/workers")[0]
		explain(first, `
state      running
runs       on worker `+id+`, for [\d.ms]+: no result is committed yet
`+rest)
		explain(second, `
state      pending
waits      the only worker is busy
`+rest)
		third := task.NewID()
		svc.manual.Create("/data/"+third, "3600")
		svc.manual.Create("/tasks/"+third, "pending")
		explain(third, `
state      pending
waits      the only worker is busy, and 1 task is ahead of it
`+rest)
		svc.manual.Set("/tasks/"+second, "banana")
		explain(second, `
state      malformed
waits      malformed: its state is none of pending, done and failed, but banana: it is never assigned
`+rest)
		svc.manual.Set("/tasks/"+second, "failed by hand")
		explain(second, `
state      failed: by hand
`+times+`finished   [\d.ms]+ after that, at .*
owner .*
payload .*`)
		svc.manual.Set("/tasks/"+second, "done 4\"2")
		explain(second, `
state      done, 3 bytes: "4\\"2"
`+times+`finished   [\d.ms]+ after that, at .*
owner .*
payload .*`)
		svc.manual.Delete("/tasks/" + second)
		_, errs := svc.says(3, "explain", second)
		if want := "client: " + second + ": no such task: it was never submitted, or was already collected, expired or cancelled; its payload exists: /data/" + second; errs != want {
			t.Errorf("stderr %q, want %q", errs, want)
		}
		svc.manual.Delete("/data/" + second)
		out, errs := svc.says(3, "explain", second, "--json")
		if want := "client: " + second + ": no such task: it was never submitted, or was already collected, expired or cancelled"; errs != want || out != "" {
			t.Errorf("stdout %q, stderr %q, want %q", out, errs, want)
		}
	})
	t.Run("names_the_session_that_owns_the_task_of_a_client", func(t *testing.T) {
		svc := start(t)
		svc.start("client", "run", strings.Repeat("x", 1000))
		id := svc.tasks(1)[0]
		stat, _ := svc.manual.Stat("/tasks/" + id)
		session := fmt.Sprintf("%#x", stat.EphemeralOwner)

		out, _ := svc.says(0, "explain", id)
		for _, want := range []string{"\nowner      session " + session + ", with which it vanishes\n", "\npayload    1000 bytes: \"xxx"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		out, _ = svc.says(0, "explain", "--json", id)
		var e inspect.Explanation
		d := json.NewDecoder(strings.NewReader(out))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil || strings.Contains(out, "\n") {
			t.Fatalf("%v in %s", err, out)
		}
		if e.ID != id || e.State != "pending" || e.Owner != session || e.Detached || e.Submitted.UnixMilli() != stat.Ctime ||
			e.Payload.Bytes != 1000 || e.Waits.Why != "no_leader" {
			t.Errorf("got %s", out)
		}
	})
	t.Run("says_why_a_task_waits_though_a_worker_is_free", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		svc.master()
		w := svc.worker("--slots", "2")
		for i, id := range []string{"t1", "t2"} {
			svc.manual.Create("/data/"+id, "3600")
			svc.manual.Create("/tasks/"+id, "pending 2")
			if i == 0 {
				w.Line(w.Stderr, "task=t1")
			}
		}
		svc.manual.Create("/data/other", "0") // it is given to the worker that is free
		svc.manual.Create("/tasks/other", "pending")
		w.Line(w.Stderr, "task=other")
		const want = "\nwaits      a worker is free, but its process executes task t1, which was lost twice as well: they run in different processes, "
		eventually(t, want, func() (bool, string) {
			out, _ := svc.says(0, "explain", "t2")
			return strings.Contains(out, want), out
		})
	})
	t.Run("counts_the_losses_of_a_task", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		svc.manual.Create("/tasks/t1", "pending 2")
		if out, _ := svc.says(0, "explain", "t1"); !strings.Contains(out, "\nstate      pending, 2 executions lost with their workers\n") {
			t.Errorf("got\n%s", out)
		}
	})
}
