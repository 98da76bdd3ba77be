package cmdtest

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"taskkeeper/internal/proc"
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
}
