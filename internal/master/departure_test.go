package master

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"taskkeeper/internal/task"
	"taskkeeper/internal/zktest"
)

// journal keeps what a master logs.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// of returns the lines about a worker, but for those of assignments.
func (j *journal) of(worker string) (lines []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		if _, text, _ := strings.Cut(strings.TrimSpace(line), " msg="); strings.Contains(text, "worker="+worker) && !strings.HasPrefix(text, "assigned") {
			lines = append(lines, text)
		}
	}
	return lines
}

// TestDepartures has a worker that has a task go in several ways.
func TestDepartures(t *testing.T) {
	const left, gone = `"worker left" worker=w1`, `"worker gone, its tasks are free again" worker=w1 tasks=`
	for name, tc := range map[string]struct {
		how  func(h, w *zktest.Hand, id string)
		want string // ID stands for the task's
	}{
		"leaves_and_gives_it_back": {func(_, w *zktest.Hand, id string) {
			w.Set(task.StatePath(id), "pending")
			w.Delete("/workers/w1")
		}, left + " returned=1"},
		"leaves_with_the_result": {func(_, w *zktest.Hand, id string) {
			w.Set(task.StatePath(id), "done 1")
			w.Delete("/workers/w1")
		}, left + " finished=1"},
		"leaves_free": {func(h, w *zktest.Hand, id string) {
			finish(w, "w1", id)
			w.Delete("/workers/w1")
		}, `"worker left`}, // and what it finished before, if that was not seen before it left
		"is_lost_free": {func(h, w *zktest.Hand, id string) {
			finish(w, "w1", id)
			w.Close()
		}, `"worker left`},
		"is_lost":       {func(_, w *zktest.Hand, _ string) { w.Close() }, gone + "ID"},
		"is_taken_away": {func(h, _ *zktest.Hand, _ string) { h.Delete("/workers/w1") }, gone + "ID"},
	} {
		t.Run(name, func(t *testing.T) {
			h, connect := tree(t)
			j := new(journal)
			runAs(t, open(t, connect), Config{Logger: slog.New(slog.NewTextHandler(j, nil))})
			w := zktest.Conn(t, connect)
			w.CreateEphemeral("/workers/w1", "")
			id := task.NewID()
			submit(h, id)
			expect(t, h, "/workers/w1", id)
			tc.how(h, w, id)
			want := strings.ReplaceAll(tc.want, "ID", id)
			zktest.Eventually(t, want, func() (bool, string) {
				lines := j.of("w1")
				return slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }), fmt.Sprint(lines)
			})
			lines := j.of("w1")
			if len(lines) != 1 {
				t.Errorf("said %q", lines)
			}
			if tc.want == `"worker left` && strings.Contains(lines[0], "or lost its session, with no task") == strings.Contains(lines[0], "finished=1") {
				t.Errorf("said %q", lines)
			}
		})
	}
}
