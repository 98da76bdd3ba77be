package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// line is a line of a log.
type line struct {
	Time   time.Time
	Level  string
	Msg    string
	Task   string
	Err    string
	Reason string
	Took   time.Duration
}

// journal keeps what is logged. Its methods may be called from any goroutine.
type journal struct {
	t  *testing.T
	mu sync.Mutex // guards the rest
	b  bytes.Buffer
}

func newJournal(t *testing.T) (*journal, *slog.Logger) {
	j := &journal{t: t}
	return j, slog.New(slog.NewJSONHandler(j, nil))
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.t.Output().Write(p)
	return j.b.Write(p)
}

// lines are the lines so far with that message.
func (j *journal) lines(msg string) (found []line) {
	j.t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for text := range bytes.Lines(j.b.Bytes()) {
		var e line
		if err := json.Unmarshal(text, &e); err != nil {
			j.t.Errorf("%s: %v", text, err)
		}
		if e.Msg == msg {
			found = append(found, e)
		}
	}
	return found
}

// await waits until a message was logged that often, and returns the last.
func (j *journal) await(msg string, n int) line {
	j.t.Helper()
	var found []line
	zktest.Eventually(j.t, fmt.Sprintf("%d times %q", n, msg), func() (bool, string) {
		found = j.lines(msg)
		return len(found) == n, fmt.Sprint(found)
	})
	return found[n-1]
}

func TestLog(t *testing.T) {
	t.Parallel()
	logged := func(t *testing.T) (j *journal, m manual, x *executor, p *hosted, worker string, proxy *zktest.Proxy) {
		root := zktest.Connect(t)
		m, x = newManual(t, root), newExecutor(t)
		proxy, through := zktest.Via(t, root)
		j, log := newJournal(t)
		p = hostAs(t, harness.Open(t, through), Config{Run: x.run, Logger: log})
		return j, m, x, p, m.worker(), proxy
	}
	parallel(t, "says_that_a_task_is_done_only_after_the_commit_with_the_time_of_the_execution", func(t *testing.T) {
		j, m, x, _, worker, proxy := logged(t)
		const wait = 300 * time.Millisecond // for the servers
		held, release := proxy.Hold(zktest.OpMultiRead, 1, zktest.Naming(task.DataPath("t")))
		m.submit("t", "wait")
		m.assign(worker, "t")
		zktest.Receive(t, "read of the payload", held)
		time.AfterFunc(wait, release)
		x.began("t")
		began := time.Now()
		held, release = proxy.Hold(zktest.OpMulti, 1)
		x.end("t", "x")
		zktest.Receive(t, "commit", held)
		most := time.Since(began) + wait/2 // it began a little before
		if got := j.lines("task done"); len(got) > 0 {
			t.Errorf("before the commit: %v", got)
		}
		release()
		if got := j.await("task done", 1); got.Task != "t" || got.Took > most {
			t.Errorf("%+v, want at most %v", got, most)
		}
	})
	parallel(t, "says_that_a_task_is_done_whose_result_is_in_the_last_commit", func(t *testing.T) {
		j, m, x, p, worker, proxy := logged(t)
		begin(m, x, worker, "a", "b")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		x.end("a", "1")
		zktest.Receive(t, "commit", held)
		p.stop()
		m.assign(worker, "b", "a") // so the commit is refused
		release()
		p.leave()
		if got := j.await("task done", 1); got.Task != "a" {
			t.Errorf("%+v", got)
		}
		j.await("gave back its tasks", 1)
	})
	parallel(t, "says_why_a_task_failed", func(t *testing.T) {
		j, m, _, _, worker, _ := logged(t)
		m.submit("t", "fail out of paper")
		m.assign(worker, "t")
		if got := j.await("task failed", 1); got.Task != "t" || got.Reason != "out of paper" {
			t.Errorf("%+v", got)
		}
	})
}
