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
func TestResultThatTheServersDoNotTake(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{Flags: []string{"-Djute.maxbuffer=262144"}})
	d, b := newDesk(t, server.Addr()), newBench(t)
	s := harness.Open(t, server.Addr(), harness.Timeout(testTimeout*2))
	host(t, s, 2, b.run)
	ids := d.workers(2)
	results := map[string]string{
		"small": "x", "fits": strings.Repeat("x", 261_000), "large": strings.Repeat("x", 300_000), "again": strings.Repeat("x", 310_000),
	}
	for id := range results {
		d.submit(id, "wait")
	}
	d.assign(ids[0], "large", "again", "small")
	d.assign(ids[1], "fits")
	for _, id := range []string{"large", "fits"} {
		b.end(id, results[id])
	}
	for _, id := range []string{"again", "small"} {
		b.end(id, results[id])
	}
	for id, result := range results {
		if len(result) < 262_144 {
			d.state(id, "done "+result)
			continue
		}
		zktest.Eventually(t, id, func() (bool, string) {
			got := d.plain(id)
			return strings.HasPrefix(got, fmt.Sprintf("failed result of %d bytes is too large: at most 29", len(result))), got
		})
	}
	d.free(ids[0])
	d.free(ids[1])
	for id := range results {
		b.once(id)
		d.written(id, 1)
	}
}

func TestResultOverAQuota(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		quota        int // of bytes on /tasks, where the other tasks have 100
		result, want string
	}{
		"fails_with_it":               {200, strings.Repeat("x", 150), "failed result of 150 bytes: quota exceeded on /tasks"},
		"fails_in_what_room_there_is": {108, strings.Repeat("x", 150), "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := zktest.NewServer(t, zktest.Options{Flags: []string{"-Dzookeeper.enforceQuota=true"}})
			d, b := newDesk(t, server.Addr()), newBench(t)
			d.Create(task.StatePath("other"), "done "+strings.Repeat("y", 95))
			d.SetQuota(task.TasksDir, -1, tt.quota)
			host(t, harness.Open(t, server.Addr()), 1, b.run)
			worker := d.worker()
			d.submit("t", "wait")
			d.assign(worker, "t")
			b.end("t", tt.result)
			d.state("t", tt.want)
			d.free(worker)
			b.once("t")
			d.written("t", 1)
		})
	}
	t.Run("waits_where_nothing_may_be_written_and_warns_of_each_such_time_once", func(t *testing.T) {
		t.Parallel()
		server := zktest.NewServer(t, zktest.Options{Flags: []string{"-Dzookeeper.enforceQuota=true"}})
		proxy, through := zktest.Via(t, server.Addr())
		d, b := newDesk(t, server.Addr()), newBench(t)
		j, log := newJournal(t)
		hostAs(t, harness.Open(t, through), Config{Run: b.run, Logger: log})
		worker := d.worker()
		ids := []string{"first", "second"}
		for i, id := range ids {
			d.submit(id, "wait")
			d.assign(worker, id)
			b.began(ids[:i+1]...)
			d.SetQuota(task.TasksDir, -1, 1) // less than there is
			proxy.Seen()
			before := time.Now()
			b.end(id, "x")
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
			d.SetQuota(task.TasksDir, -1, -1)
			d.state(id, "done x")
			d.free(worker)
			b.once(id)
			d.written(id, 1)
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
