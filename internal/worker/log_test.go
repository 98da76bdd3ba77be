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

// line is one of a log.
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
	logged := func(t *testing.T) (j *journal, d desk, b *bench, p *hosted, worker string, proxy *zktest.Proxy) {
		root := zktest.Connect(t)
		d, b = newDesk(t, root), newBench(t)
		proxy, through := zktest.Via(t, root)
		j, log := newJournal(t)
		p = hostAs(t, harness.Open(t, through), Config{Run: b.run, Logger: log})
		return j, d, b, p, d.worker(), proxy
	}
	parallel(t, "tells_that_a_task_is_done_when_that_is_committed_and_how_long_the_execution_took", func(t *testing.T) {
		j, d, b, _, worker, proxy := logged(t)
		const wait = 300 * time.Millisecond // for the servers
		held, release := proxy.Hold(zktest.OpMultiRead, 1, zktest.Naming(task.DataPath("t")))
		d.submit("t", "wait")
		d.assign(worker, "t")
		happened(t, "read of the payload", held)
		time.AfterFunc(wait, release)
		b.began("t")
		began := time.Now()
		held, release = proxy.Hold(zktest.OpMulti, 1)
		b.end("t", "x")
		happened(t, "commit", held)
		most := time.Since(began) + wait/2 // it began a little before
		if got := j.lines("task done"); len(got) > 0 {
			t.Errorf("before the commit: %v", got)
		}
		release()
		if got := j.await("task done", 1); got.Task != "t" || got.Took > most {
			t.Errorf("%+v, want at most %v", got, most)
		}
	})
	parallel(t, "tells_of_a_task_that_is_done_with_the_last_commit", func(t *testing.T) {
		j, d, b, p, worker, proxy := logged(t)
		begin(d, b, worker, "a", "b")
		held, release := proxy.Hold(zktest.OpMulti, 1)
		b.end("a", "1")
		happened(t, "commit", held)
		p.stop()
		d.assign(worker, "b", "a") // so the commit is refused
		release()
		p.leave()
		if got := j.await("task done", 1); got.Task != "a" {
			t.Errorf("%+v", got)
		}
		j.await("gave back its tasks", 1)
	})
	parallel(t, "tells_why_a_task_failed", func(t *testing.T) {
		j, d, _, _, worker, _ := logged(t)
		d.submit("t", "fail out of paper")
		d.assign(worker, "t")
		if got := j.await("task failed", 1); got.Task != "t" || got.Reason != "out of paper" {
			t.Errorf("%+v", got)
		}
	})
}
