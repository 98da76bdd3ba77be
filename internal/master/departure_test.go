package master

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/task"
)

// journal keeps what a master logs.
type journal struct{ zktest.Log }

// of returns the lines about a worker, but for those of assignments.
func (j *journal) of(worker string) (lines []string) {
	for line := range strings.Lines(j.String()) {
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
		how  func(h, w *zktest.ManualClient, id string)
		want string // ID stands for the task's
	}{
		"leaves_and_gives_it_back": {func(_, w *zktest.ManualClient, id string) {
			w.Set(task.StatePath(id), "pending")
			w.Delete("/workers/w1")
		}, left + " returned=1"},
		"leaves_with_the_result": {func(_, w *zktest.ManualClient, id string) {
			w.Set(task.StatePath(id), "done 1")
			w.Delete("/workers/w1")
		}, left + " finished=1"},
		"leaves_free": {func(h, w *zktest.ManualClient, id string) {
			finish(w, "w1", id)
			w.Delete("/workers/w1")
		}, `"worker left`}, // and what it finished before, if that was not seen before it left
		"is_lost_free": {func(h, w *zktest.ManualClient, id string) {
			finish(w, "w1", id)
			w.Close()
		}, `"worker left`},
		"is_lost":       {func(_, w *zktest.ManualClient, _ string) { w.Close() }, gone + "ID"},
		"is_taken_away": {func(h, _ *zktest.ManualClient, _ string) { h.Delete("/workers/w1") }, gone + "ID"},
	} {
		t.Run(name, func(t *testing.T) {
			h, connect := tree(t)
			j := new(journal)
			runAs(t, harness.Open(t, connect), Config{Logger: slog.New(slog.NewTextHandler(j, nil))})
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

// TestDepartureIsLogged has workers go whose tasks are not simply theirs.
func TestDepartureIsLogged(t *testing.T) {
	const untold = `"worker left or lost its session" worker=`
	t1, t2 := task.NewID(), task.NewID()
	stat := func(version int32) *zk.Stat { return &zk.Stat{Version: version} }
	for _, tt := range []struct {
		name string
		do   func(l *leader, read func(id string, a answer))
		want []string
	}{
		{"once, whatever is free", func(l *leader, _ func(string, answer)) {
			l.gone("free")
			l.tellIdle()
			l.tellIdle()
		}, []string{`"worker left or lost its session, with no task" worker=free`}},
		{"when its tasks are not there any more", func(l *leader, read func(string, answer)) {
			l.gone("w")
			read(t1, answer{Err: zk.ErrNoNode})
			read(t2, answer{Err: zk.ErrNoNode})
		}, []string{untold + "w"}},
		{"when all its tasks were read", func(l *leader, read func(string, answer)) {
			l.gone("w")
			read(t1, answer{Data: []byte("pending"), Stat: stat(0)})
			read(t1, answer{Data: []byte("pending"), Stat: stat(0)})
			read(t2, answer{Data: []byte("done 1"), Stat: stat(1)})
		}, []string{`"worker gone, its tasks are free again" worker=w tasks=` + t1}},
		{"when one of its tasks is withdrawn before it is read", func(l *leader, read func(string, answer)) {
			l.gone("w")
			l.dropAwaited() // they are to be read yet
			l.handle(sched.TasksListed{IDs: []string{t1}, Number: 2})
			l.dropAwaited()
			read(t1, answer{Data: []byte("pending"), Stat: stat(0)})
		}, []string{`"worker gone, its tasks are free again" worker=w tasks=` + t1}},
		{"as no loss when its tasks were finished by hand before", func(l *leader, read func(string, answer)) {
			byHand := answer{Data: []byte("done 42"), Stat: stat(1)}
			read(t1, byHand)
			read(t2, byHand)
			l.gone("w")
			read(t1, byHand)
			read(t2, byHand)
		}, []string{untold + "w"}},
		{"when another has its task and goes as well", func(l *leader, read func(string, answer)) {
			l.gone("w")
			l.handle(sched.WorkerRead{ID: "free", Session: 1, List: []string{t1}, Version: 1, Listings: 1}) // by hand
			l.gone("free")
			read(t1, answer{Data: []byte("done 1"), Stat: stat(1)})
			read(t2, answer{Data: []byte("done 1"), Stat: stat(1)})
		}, []string{untold + "free", `"worker left" worker=w finished=1`}},
		{"without what the tasks tell whose versions are not known", func(l *leader, read func(string, answer)) {
			l.handle(sched.TasksListed{IDs: []string{t1, t2, "by-hand"}, Number: 2})
			l.handle(sched.WorkerRead{ID: "w", Session: 2, List: []string{"by-hand"}, Version: 2, Listings: 2})
			l.gone("w")
			read("by-hand", answer{Data: []byte("done 1"), Stat: stat(1)})
		}, []string{untold + "w"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, connect := tree(t)
			j := new(journal)
			l := still(harness.Open(t, connect), h, slog.New(slog.NewTextHandler(j, nil)))
			l.handle(sched.TasksListed{IDs: []string{t1, t2}, Number: 1})
			l.handle(sched.WorkersListed{IDs: []string{"free", "w"}})
			l.handle(sched.WorkerRead{ID: "free", Session: 1, Version: 0, Listings: 1})
			held := sched.WorkerRead{ID: "w", Session: 2, List: []string{t1, t2}, Version: 1, Listings: 1}
			l.handle(held)
			read := func(id string, a answer) {
				if err := l.taskRead(id, a); err != nil {
					t.Fatal(err)
				}
			}
			for _, id := range []string{t1, t2} {
				read(id, answer{Data: []byte("pending"), Stat: stat(0)})
			}
			l.handle(held) // it has them still
			tt.do(l, read)
			if got := append(j.of("free"), j.of("w")...); !slices.Equal(got, tt.want) {
				t.Errorf("said %q, want %q", got, tt.want)
			}
			if len(l.awaited) > 0 {
				t.Errorf("it keeps %d states awaited", len(l.awaited))
			}
		})
	}
	t.Run("in one line, however many tasks it had", func(t *testing.T) {
		j := new(journal)
		l := &leader{log: slog.New(slog.NewTextHandler(j, nil))}
		d := &departure{worker: "w"}
		for i := range mostNamed + 5 {
			d.lost = append(d.lost, fmt.Sprintf("t%d", i))
		}
		l.tellDeparture(d)
		for _, part := range []string{" t19 and 5 more", "no loss is counted"} {
			if !strings.Contains(j.String(), part) || strings.Contains(j.String(), "t20") {
				t.Errorf("said %s", j)
			}
		}
	})
}
