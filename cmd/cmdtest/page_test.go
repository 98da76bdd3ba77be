package cmdtest

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"taskkeeper/internal/proc"
	"taskkeeper/internal/zktest"
)

// pageOf is where a program says that it serves HTTP.
func pageOf(c *proc.Child) string {
	line := c.Line(c.Stderr, "serving HTTP")
	return regexp.MustCompile(`http://\S+`).FindString(line)
}

func TestPage(t *testing.T) {
	start := newService(t)
	t.Run("shows_a_failover", func(t *testing.T) {
		sv := start(t)
		var masters []*proc.Child
		for range 3 {
			masters = append(masters, sv.master("--http", "0"))
		}
		w := sv.worker("--slots", "4", "--http", "0")
		run := sv.start("client", "run", "60", "60", "0.5", "0.5", "0.5", "x")
		b := browse(t, pageOf(masters[1]), 1280, 900)
		b.reads("#leadership", " leads, 2 backups behind it.")
		b.reads("#link", "live")
		masters[0].Kill()
		b.reads("#candidates", "vanished")
		b.reads("#leadership", " leads, 1 backup behind it. Before it began, nobody led for ")
		b.reads("#crew", "4 workers: 2 busy, 2 free")
		b.reads("#queues", "(default)")
		b.shot("failover")
		w.Kill()
		b.reads("#processes", "is gone")
		b.reads("#records", "worker gone")
		b.do(chromedp.EmulateViewport(390, 844))
		b.shot("phone")
		b.dark()
		b.do(chromedp.EmulateViewport(1280, 900))
		b.shot("dark")
		run.Send(syscall.SIGTERM)
		if strings.Contains(b.text("body"), "undefined") || strings.Contains(b.text("body"), "NaN") {
			t.Errorf("%s", b.text("body"))
		}
	})
	t.Run("of_a_backup_shows_what_the_leader_knows", func(t *testing.T) {
		sv := start(t)
		first := sv.master("--http", "0")
		second, third := sv.master("--http", "0"), sv.master("--http", "0")
		sv.worker("--slots", "3")
		sv.start("client", "run", "60")
		b := browse(t, pageOf(third), 1280, 900)
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
		b := browse(t, pageOf(sv.master("--http", "0")), 1280, 900)
		b.reads("#view-note", " leads. Its page, which has the tasks and the workers, cannot be shown here: it serves none (--http)")
	})
}
