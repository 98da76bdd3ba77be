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
	t.Run("is_a_number_of_seconds_at_least_or_none_at_all", func(t *testing.T) {
		sv := start(t)
		for _, value := range []string{"5ms", "999ms", "-1s", "9000h", "1d", "5", ""} {
			m := sv.start("master", "--retention", value)
			m.Exit(2)
			oneLine(t, m, fmt.Sprintf("master: --retention: must be 0 (for ever), or a duration from 1s to 8760h, such as 36h, not %q (see ", value))
		}
		for _, value := range []string{"0", "0s", "1s", "8760h"} {
			m := sv.start("master", "--retention", value)
			m.Line(m.Stderr, " leader ")
			m.Send(syscall.SIGTERM)
			m.Exit(0)
		}
	})
	t.Run("that_is_over_has_what_nobody_collected_removed", func(t *testing.T) {
		sv := start(t)
		m := sv.start("master", "--retention", "1s")
		m.Line(m.Stderr, " leader ")
		sv.worker()
		// create makes a task that outlives its client, as a person would.
		create := func(payload string) string {
			id := task.NewID()
			sv.hand.Create(task.DataPath(id), payload)
			sv.hand.Create(task.StatePath(id), "pending")
			return id
		}
		done, failed := create("0"), create("x")
		zktest.Eventually(t, "both are removed", func() (bool, string) {
			left := append(sv.hand.Children("/tasks"), sv.hand.Children("/data")...)
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
		sv.worker()
		zktest.Eventually(t, "the finished one is removed", func() (bool, string) {
			_, ok := sv.hand.Get(task.StatePath(done))
			return !ok, ""
		})
		if took := time.Since(began); took < time.Second {
			t.Errorf("removed after %v", took)
		}
		if got, _ := sv.hand.Get(task.StatePath(running)); got != "pending" {
			t.Errorf("the one that runs is %q", got)
		}
	})
}
