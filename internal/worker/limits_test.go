package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// A server's jute.maxbuffer may be less than its default.
func TestResultLargerThanJuteMaxbufferFailsItsTask(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{Flags: []string{"-Djute.maxbuffer=262144"}})
	m, x := newManual(t, server.Addr()), newExecutor(t)
	s := harness.Open(t, server.Addr(), harness.Timeout(testTimeout*2))
	host(t, s, 2, x.run)
	ids := m.workers(2)
	results := map[string]string{
		"small": "x", "fits": strings.Repeat("x", 261_000), "large": strings.Repeat("x", 300_000), "again": strings.Repeat("x", 310_000),
	}
	for id := range results {
		m.submit(id, "wait")
	}
	m.assign(ids[0], "large", "again", "small")
	m.assign(ids[1], "fits")
	for _, id := range []string{"large", "fits"} {
		x.end(id, results[id])
	}
	for _, id := range []string{"again", "small"} {
		x.end(id, results[id])
	}
	for id, result := range results {
		if len(result) < 262_144 {
			m.state(id, "done "+result)
			continue
		}
		zktest.Eventually(t, id, func() (bool, string) {
			got := m.plain(id)
			return strings.HasPrefix(got, fmt.Sprintf("failed result of %d bytes is too large: at most 29", len(result))), got
		})
	}
	m.free(ids[0])
	m.free(ids[1])
	for id := range results {
		x.once(id)
		m.written(id, 1)
	}
}

// rootWithQuotas returns the connect string of a root on a server that enforces quotas.
func rootWithQuotas(t *testing.T, name string) string {
	t.Helper()
	server := zktest.SharedWith(t, zktest.Options{Flags: []string{"-Dzookeeper.enforceQuota=true"}})
	return zktest.Chroot(t, server, "/"+name)
}

func TestResultOverAQuota(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		quota        int // of bytes on /tasks, where the other tasks have 100
		result, want string
	}{
		"fails_the_task_with_the_size_and_the_path":            {200, strings.Repeat("x", 150), "failed result of 150 bytes: quota exceeded on /tasks"},
		"fails_the_task_without_a_reason_where_only_that_fits": {108, strings.Repeat("x", 150), "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := rootWithQuotas(t, name)
			m, x := newManual(t, root), newExecutor(t)
			m.Create(task.StatePath("other"), "done "+strings.Repeat("y", 95))
			m.SetQuota(task.TasksDir, -1, tt.quota)
			host(t, harness.Open(t, root), 1, x.run)
			worker := m.worker()
			m.submit("t", "wait")
			m.assign(worker, "t")
			x.end("t", tt.result)
			m.state("t", tt.want)
			m.free(worker)
			x.once("t")
			m.written("t", 1)
		})
	}
	t.Run("is_retried_where_not_even_a_failure_fits_with_one_warning_each_time", func(t *testing.T) {
		t.Parallel()
		root := rootWithQuotas(t, "retried")
		proxy, through := zktest.Via(t, root)
		m, x := newManual(t, root), newExecutor(t)
		j, log := newJournal(t)
		hostAs(t, harness.Open(t, through), Config{Run: x.run, Logger: log})
		worker := m.worker()
		ids := []string{"first", "second"}
		for i, id := range ids {
			m.submit(id, "wait")
			m.assign(worker, id)
			x.began(ids[:i+1]...)
			m.SetQuota(task.TasksDir, -1, 1) // less than there is
			proxy.Seen()
			before := time.Now()
			x.end(id, "x")
			warned := func() (bool, string) {
				lines := j.lines("no result can be committed, trying again every 5 s")
				return len(lines) == i+1, fmt.Sprint(lines)
			}
			zktest.Eventually(t, "a warning", warned)
			if i == 0 { // another attempt is no reason to warn again
				commits := 0
				zktest.Eventually(t, "another attempt", func() (bool, string) {
					commits += count(proxy.Seen(), zktest.OpMulti)
					return commits > 1, fmt.Sprint(commits, " commits")
				})
			}
			m.SetQuota(task.TasksDir, -1, -1)
			m.state(id, "done x")
			m.free(worker)
			x.once(id)
			m.written(id, 1)
			if commits := count(proxy.Seen(), zktest.OpMulti); commits > 3+int(time.Since(before)/(reread/2)) {
				t.Errorf("%d commits in %s", commits, time.Since(before))
			}
			if ok, lines := warned(); !ok {
				t.Errorf("%s: warned %s", id, lines)
			}
		}
	})
}

func count(ops []zktest.Op, op zktest.Op) (n int) {
	for _, o := range ops {
		if o == op {
			n++
		}
	}
	return n
}
