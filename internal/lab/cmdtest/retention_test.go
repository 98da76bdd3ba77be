package cmdtest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestRetention(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("must_be_0_or_at_least_a_second", func(t *testing.T) {
		svc := start(t)
		for _, value := range []string{"5ms", "999ms", "-1s", "9000h", "1d", "5", ""} {
			m := svc.start("master", "--retention", value)
			m.Exit(2)
			oneLine(t, m, fmt.Sprintf("master: --retention: must be 0 (for ever), or a duration from 1s to 8760h, such as 36h, not %q (see ", value))
		}
		for _, value := range []string{"0", "0s", "1s", "8760h"} {
			m := svc.start("master", "--retention", value)
			m.Line(m.Stderr, " leader ")
			m.Send(syscall.SIGTERM)
			m.Exit(0)
		}
	})
	t.Run("removes_finished_tasks_that_nobody_collected", func(t *testing.T) {
		svc := start(t)
		m := svc.start("master", "--retention", "1s")
		m.Line(m.Stderr, " leader ")
		svc.worker()
		// create makes a task that outlives its client, as a person would.
		create := func(payload string) string {
			id := task.NewID()
			svc.manual.Create(task.DataPath(id), payload)
			svc.manual.Create(task.StatePath(id), "pending")
			return id
		}
		done, failed := create("0"), create("x")
		zktest.Eventually(t, "both are removed", func() (bool, string) {
			left := append(svc.manual.Children("/tasks"), svc.manual.Children("/data")...)
			return len(left) == 0, fmt.Sprint(left)
		})
		for _, id := range []string{done, failed} {
			zktest.Eventually(t, "it says that it removed "+id, func() (bool, string) {
				for _, line := range m.Stderr.Lines() {
					if strings.Contains(line, "nobody collected its result in time") && strings.Contains(line, id) {
						return true, ""
					}
				}
				return false, m.Stderr.String()
			})
		}
		running := create("3600")
		began := time.Now()
		done = create("0")
		svc.worker()
		zktest.Eventually(t, "the finished one is removed", func() (bool, string) {
			_, ok := svc.manual.Get(task.StatePath(done))
			return !ok, ""
		})
		if took := time.Since(began); took < time.Second {
			t.Errorf("removed after %v", took)
		}
		if got, _ := svc.manual.Get(task.StatePath(running)); got != "pending" {
			t.Errorf("the one that runs is %q", got)
		}
	})
}
