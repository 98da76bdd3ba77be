package client

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// stalled runs a client with one task, and returns its log.
func stalled(t *testing.T, connect string) (said *records) { return stalledIn(t, connect, "") }

func stalledIn(t *testing.T, connect, queue string) (said *records) {
	said = &records{stalls: true}
	c := New(Config{Queue: queue, Logger: slog.New(slog.NewTextHandler(said, nil))})
	s := harness.Open(t, connect)
	go c.Serve(t.Context(), s)
	go c.Do(t.Context(), []byte("1"))
	return said
}

func (r *records) lines() []string {
	return strings.Split(strings.TrimSuffix(r.String(), "\n"), "\n")
}

// A person has finished the task, although there was no leader or no worker.
func TestStallEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		open int
		says string
	}{
		"is_not_logged_when_no_task_is_open_any_more": {0, ""},
		"is_logged_when_other_tasks_are_open":         {2, `level=WARN msg="tasks can be done again" tasks=2`},
	} {
		t.Run(name, func(t *testing.T) {
			said := &records{stalls: true}
			st := &stall{log: slog.New(slog.NewTextHandler(said, nil)), missing: "a worker: start one"}
			st.count(tc.open, time.Now())
			if got := said.String(); !strings.Contains(got, tc.says) || tc.says == "" && got != "" {
				t.Errorf("said %q, want %q", got, tc.says)
			}
			if st.missing != "" {
				t.Errorf("still says that %q is missing", st.missing)
			}
		})
	}
}

func TestStall(t *testing.T) {
	t.Parallel()
	says := func(t *testing.T, said *records, n int, text string) {
		t.Helper()
		zktest.Eventually(t, text, func() (bool, string) {
			got := said.lines()
			return len(got) >= n && strings.Contains(got[n-1], text), said.String()
		})
	}
	const leader, worker = "/master/by-hand-0000000001", "/workers/w"
	t.Run("is_logged_once_with_what_is_missing_and_once_at_its_end", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		began := time.Now()
		said := stalled(t, root)
		says(t, said, 1, `level=WARN msg="no task can be done" tasks=1 missing="a leader: start a master; a worker: start one"`)
		if took := time.Since(began); took < quiet {
			t.Errorf("logged after %s", took)
		}
		h.CreateEphemeral(leader, "")
		says(t, said, 2, `missing="a worker: start one"`)
		h.CreateEphemeral(worker, "")
		says(t, said, 3, `level=WARN msg="tasks can be done again" tasks=1`)
		h.Delete(leader)
		says(t, said, 4, `missing="a leader: start a master"`)
		h.Set(task.StatePath(tasks(t, h, 1)[0]), "done 1") // by hand
		h.CreateEphemeral(leader, "")
		wantEmpty(t, h)
		if got := said.lines(); len(got) > 5 {
			t.Errorf("said %q", got)
		}
	})
	t.Run("is_logged_where_the_directories_are_missing", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		h.Create(task.TasksDir, "")
		h.Create(task.DataDir, "")
		said := stalled(t, root)
		says(t, said, 1, "a leader: start a master; a worker: start one")
		h.Create(task.MasterDir, "")
		h.Create(task.WorkersDir, "")
		h.CreateEphemeral(leader, "")
		h.CreateEphemeral(worker, "")
		says(t, said, 2, "tasks can be done again")
	})
	for _, dir := range []string{task.TasksDir, task.MasterDir, task.WorkersDir} {
		t.Run("is_logged_once_where_nobody_may_list_"+dir[1:]+"_and_once_at_its_end", func(t *testing.T) {
			t.Parallel()
			root := zktest.Connect(t)
			h := zktest.Conn(t, root)
			for _, dir := range task.Dirs() {
				h.Create(dir, "")
			}
			h.CreateEphemeral(leader, "")
			h.CreateEphemeral(worker, "")
			h.SetACL(dir, zk.WorldACL(zk.PermAll&^zk.PermRead))
			said := stalled(t, root)
			says(t, said, 1, `level=WARN msg="no task can be done" tasks=1 missing="the right to read `+dir+`: give it by setAcl"`)
			h.SetACL(dir, zk.WorldACL(zk.PermAll))
			says(t, said, 2, `level=WARN msg="tasks can be done again" tasks=1`)
			h.Set(task.StatePath(tasks(t, h, 1)[0]), "done 1")
			wantEmpty(t, h)
			if got := said.lines(); len(got) > 2 {
				t.Errorf("said %q", got)
			}
		})
	}
	t.Run("is_logged_where_all_workers_are_of_other_queues", func(t *testing.T) {
		t.Parallel()
		for queue, missing := range map[string]string{"gpu": "a worker of queue gpu: start one with --queue", "": "a worker of the default queue: start one; there are workers of queue cpu"} {
			root := zktest.Connect(t)
			h := zktest.Conn(t, root)
			for _, dir := range task.Dirs() {
				h.Create(dir, "")
			}
			h.CreateEphemeral(leader, "")
			h.CreateEphemeral("/workers/cpu.me", "")
			said := stalledIn(t, root, queue)
			says(t, said, 1, `tasks=1 missing="`+missing+`"`)
			name := "/workers/me"
			if queue != "" {
				name = "/workers/gpu.me"
			}
			h.CreateEphemeral(name, "")
			says(t, said, 2, "tasks can be done again")
		}
	})
	t.Run("is_logged_where_all_workers_are_drained", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		for _, dir := range task.Dirs() {
			h.Create(dir, "")
		}
		h.CreateEphemeral(leader, "")
		for _, w := range []string{"gpu.a", "gpu.b", "other"} {
			h.CreateEphemeral("/workers/"+w, "")
		}
		for _, drain := range []string{"a", "b", "gpu.b"} {
			h.Create("/drain/"+drain, "")
		}
		said := stalledIn(t, root, "gpu")
		says(t, said, 1, `tasks=1 missing="a worker that is not drained: client undrain a b gpu.b"`)
		h.Delete("/drain/b")
		says(t, said, 2, `tasks=1 missing="a worker that is not drained: client undrain a gpu.b"`)
		h.Delete("/drain/gpu.b")
		says(t, said, 3, "tasks can be done again")
		h.Create("/drain/gpu.b", "")
		says(t, said, 4, `tasks=1 missing="a worker that is not drained: client undrain a gpu.b"`)
		h.CreateEphemeral("/workers/gpu.c", "")
		says(t, said, 5, "tasks can be done again")
	})
	t.Run("is_not_logged_with_a_leader_and_a_worker_nor_when_a_worker_is_away_briefly", func(t *testing.T) {
		t.Parallel()
		root := zktest.Connect(t)
		h := zktest.Conn(t, root)
		for _, dir := range task.Dirs() {
			h.Create(dir, "")
		}
		h.CreateEphemeral(leader, "")
		h.CreateEphemeral(worker, "")
		proxy, through := zktest.Via(t, root)
		said := stalled(t, through)
		asked := 0
		looks := func(n int) {
			t.Helper()
			zktest.Eventually(t, "looks who leads, who works and what is drained", func() (bool, string) {
				for _, op := range proxy.Seen() {
					if op == zktest.OpGetChildren {
						asked++
					}
				}
				return asked >= 3*n, fmt.Sprint(asked)
			})
		}
		looks(1)
		h.Delete(worker)
		h.CreateEphemeral(worker, "") // it was away for less than the client is patient
		looks(2)
		if got := said.String(); got != "" {
			t.Errorf("said %s", got)
		}
	})
}
