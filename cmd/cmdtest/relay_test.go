package cmdtest

import (
	"fmt"
	"testing"

	"taskkeeper/internal/zktest"
)

func TestPageOfABackup(t *testing.T) {
	start := newService(t)
	t.Run("shows_what_the_leader_knows", func(t *testing.T) {
		sv := start(t)
		first, second, third := sv.watched("master"), sv.watched("master"), sv.watched("master")
		sv.worker("--slots", "3")
		sv.start("client", "run", "60")
		b := third.page(1280, 900)
		b.reads("#crew", "3 workers: 1 busy, 2 free")
		b.reads("#view-note", fmt.Sprintf(":%d, tells.", first.Pid()))
		first.Kill()
		b.reads("#view-note", fmt.Sprintf(":%d, tells.", second.Pid()))
		second.Kill()
		b.reads("#leadership", fmt.Sprintf(":%d leads, and there is no backup.", third.Pid()))
		b.reads("#crew", "3 workers: 1 busy, 2 free")
		zktest.Eventually(t, "it tells for itself", func() (bool, string) {
			note := b.text("#view-note")
			return note == "", note
		})
	})
	t.Run("says_why_the_leader_tells_it_nothing", func(t *testing.T) {
		sv := start(t)
		sv.master()
		b := sv.watched("master").page(1280, 900)
		b.reads("#view-note", " leads. Its page, which has the tasks and the workers, cannot be shown here: it serves none (--http)")
	})
}
