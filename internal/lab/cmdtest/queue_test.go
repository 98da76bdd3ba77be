package cmdtest

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("begins_the_ids_of_its_tasks_and_workers", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--queue", "gpu", "--shell", "--exec", `echo "$TASK_ID" "$WORKER_ID"`)
		for _, args := range [][]string{{"run", "0"}, {"--count", "1", "--max-sleep", "0s"}} {
			c := svc.start("client", append(args, "--queue", "gpu")...)
			c.Exit(0)
			if got := c.Stdout.String(); !regexp.MustCompile(`gpu\.[0-9a-f-]{36} gpu\.[A-Za-z0-9_-]+:[0-9]+-[0-9a-f-]{36}( after .*)?$`).MatchString(got) {
				t.Errorf("%q: stdout %q", args, got)
			}
		}
		id, _ := svc.says(0, "submit", "--queue", "gpu", "0")
		c := svc.start("client", "wait", id)
		c.Exit(0)
		if got := c.Stdout.String(); !regexp.MustCompile(`^gpu\.[0-9a-f-]{36} gpu\.`).MatchString(got) || got[:len(id)] != id {
			t.Errorf("task %q: stdout %q", id, got)
		}
		svc.empty()
	})
	t.Run("is_shown_by_status_and_explain_whoever_made_it", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		svc.master()
		w := svc.worker("--queue", "cpu")
		svc.manual.CreateEphemeral("/workers/gpu.me", "")
		out, _ := svc.says(0, "status")
		matches(t, out, `
leader    .*
backups   none
workers   2: 0 busy, 2 free
tasks     none
versions  .*

host +process +queue +busy +version +has +for(
me +- +gpu +0/1 +- +nothing +[\d.ms]+|
[\w-]+ +\d+ +cpu +0/1 +\S+ +nothing +[\d.ms]+){2}`)
		for _, one := range svc.status().Workers.List {
			if one.ID == "gpu.me" && (one.Queue != "gpu" || one.Host != "me" || one.PID != 0) ||
				one.ID != "gpu.me" && (one.Queue != "cpu" || one.PID != w.Pid()) {
				t.Errorf("worker %+v", one)
			}
		}
	})
	t.Run("without_a_worker_is_named_by_status_and_explain", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		svc.manual.CreateEphemeral("/workers/cpu.me", "")
		svc.manual.CreateSeq("/master/by-hand-", "me:1")
		svc.manual.Create("/tasks/gpu.t1", "pending")
		out, _ := svc.says(0, "status")
		matches(t, out, `(?s).*warning   1 task pending: no worker takes tasks of queue gpu: start one with --queue.*`)
		out, _ = svc.says(0, "explain", "gpu.t1")
		matches(t, out, `(?s)task       gpu.t1\nqueue      gpu\nstate      pending\nwaits      no worker takes tasks of queue gpu: start one with --queue\n.*`)
	})
	t.Run("is_refused_where_it_is_not_a_name", func(t *testing.T) {
		svc := start(t)
		for _, args := range [][]string{{"worker"}, {"client"}, {"client", "run"}, {"client", "submit"}} {
			for _, queue := range []string{"", "a.b", "-a", "a/b"} {
				c := svc.start(args[0], append(args[1:], "--queue="+queue)...)
				c.Exit(2)
				oneLine(t, c, args[0]+`: --queue: "`+queue+`" is not a queue name: want 1 to 64 `)
			}
		}
	})
}

func TestWaitForWorkers(t *testing.T) {
	t.Parallel()
	start := newService(t)
	for name, args := range map[string][]string{
		"run":               {"run", "0"},
		"submit":            {"submit", "0"},
		"without_a_command": {"--count", "1", "--max-sleep", "0s"},
	} {
		t.Run("keeps_client_"+name+"_from_submitting_until_they_are_there", func(t *testing.T) {
			t.Parallel()
			svc := start(t)
			svc.dirs()
			svc.master()
			c := svc.start("client", append(args, "--wait-for-workers", "2", "--queue", "gpu")...)
			c.Line(c.Stderr, "waiting for 2 workers of queue gpu: 0 are there")
			svc.manual.CreateEphemeral("/workers/gpu.w", "")
			svc.manual.Create("/drain/w", "")
			zktest.Eventually(t, "one is drained", func() (bool, string) {
				said := c.Stderr.String()
				return strings.Contains(said, "waiting for 2 workers of queue gpu: 0 are there, and 1 is drained"), said
			})
			if tasks := svc.manual.Children("/tasks"); len(tasks) > 0 {
				t.Errorf("tasks %q", tasks)
			}
			svc.worker("--queue", "gpu", "--slots", "2")
			c.Exit(0)
			if c.Stdout.String() == "" {
				t.Errorf("no output, stderr %s", c.Stderr)
			}
		})
		t.Run("lets_client_"+name+"_submit_at_once_where_they_are_there", func(t *testing.T) {
			t.Parallel()
			svc := start(t)
			svc.master()
			svc.worker("--slots", "2")
			c := svc.start("client", append(args, "--wait-for-workers", "2", "--log-level", "warn")...)
			c.Exit(0)
			if got := c.Stderr.String(); got != "" {
				t.Errorf("stderr %q", got)
			}
		})
	}
	t.Run("ends_at_Ctrl_C", func(t *testing.T) {
		t.Parallel()
		for status, args := range map[int][]string{128 + 2: {"run", "0"}, 0: {}} {
			svc := start(t)
			c := svc.start("client", append(args, "--wait-for-workers", "1", "--log-level", "warn")...)
			line := c.Line(c.Stderr, "waiting for 1 worker of the default queue: 0 are there")
			c.Send(syscall.SIGINT)
			c.Exit(status)
			want := line
			if status != 0 {
				want += "\nclient: stopped by SIGINT: nothing was submitted"
			}
			if got := c.Stderr.String(); got != want {
				t.Errorf("%q: stderr %q, want %q", args, got, want)
			}
		}
	})
	t.Run("is_refused_without_a_number_of_workers", func(t *testing.T) {
		t.Parallel()
		svc := start(t)
		for _, n := range []string{"-1", "1000001", "x"} {
			c := svc.start("client", "run", "0", "--wait-for-workers="+n)
			c.Exit(2)
			oneLine(t, c, `client: --wait-for-workers: must be a number from 0 to 1000000, not "`+n+`"`)
		}
	})
}
