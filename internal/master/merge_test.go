package master

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

// TestMerge lists names that are none of a task or a worker.
func TestMerge(t *testing.T) {
	h, connect := tree(t)
	j := new(journal)
	l := still(open(t, connect), h, slog.New(slog.NewTextHandler(j, nil)))
	id, long := task.NewID(), strings.Repeat("x", task.MaxID+1)
	h.CreateEphemeral("/workers/w", "")
	for number := range int64(2) {
		l.mergeTasks(listing{names: []string{"-t", id}, number: number + 1})
		l.mergeWorkers(listing{names: []string{long, "w"}, number: number + 1})
	}
	if !l.sched.Knows("w") || l.sched.Knows(long) {
		t.Errorf("knows w: %t, a name of %d bytes: %t", l.sched.Knows("w"), len(long), l.sched.Knows(long))
	}
	if err := l.readWorkers([]string{"w"}); err != nil {
		t.Fatal(err)
	}
	if d := l.sched.Decide(time.Now()); len(d.Moves) != 1 || len(d.ReadTasks)+len(d.ReadWorkers) != 0 {
		t.Errorf("decides %+v", d)
	}
	for _, path := range []string{"/tasks/-t", "/workers/xxx"} {
		if n := strings.Count(j.String(), path); n != 1 {
			t.Errorf("%s is told %d times:\n%s", path, n, j)
		}
	}
}
