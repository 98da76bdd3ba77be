package cmdtest

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"taskkeeper/internal/lab/zktest"
)

func TestPageOfABackup(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("shows_what_the_leader_knows", func(t *testing.T) {
		svc := start(t)
		first, second, third := svc.watched("master"), svc.watched("master"), svc.watched("master")
		svc.worker("--slots", "3")
		svc.start("client", "run", "60")
		b := third.page(1280, 900)
		b.reads("#crew", "3 workers: 1 busy, 2 free")
		b.reads("#view-note", fmt.Sprintf(":%d.", first.Pid()))
		first.Kill()
		b.reads("#view-note", fmt.Sprintf(":%d.", second.Pid()))
		second.Kill()
		b.reads("#leadership", fmt.Sprintf(":%d leads, and there is no backup.", third.Pid()))
		b.reads("#crew", "3 workers: 1 busy, 2 free")
		eventually(t, "it shows its own view", func() (bool, string) {
			note := b.text("#view-note")
			return note == "", note
		})
	})
	t.Run("finds_tasks_by_the_leader", func(t *testing.T) {
		zktest.OpenOnly(t, "it looks for a text in payloads")
		svc := start(t)
		leader, backup := svc.watched("master"), svc.watched("master")
		knows := func(tasks float64) {
			leader.counts(map[string]float64{`tasks{queue="(default)",state="pending"}`: tasks})
		}
		c := svc.start("client", "submit", "one", "an<b>other")
		c.Exit(0)
		knows(2)
		b := browse(t, "http://"+backup.host+"/tasks?text=other", 1280, 900)
		b.reads("#h-found", "2 found; with that text, of 2 searched: 1")
		b.reads("#found", strings.Fields(c.Stdout.String())[1], "pending", "an<b>other")
		b.lacks("#found", "one")
		svc.start("client", append([]string{"submit"}, slices.Repeat([]string{"more"}, 60)...)...).Exit(0)
		knows(62)
		b.do(chromedp.Navigate("http://" + backup.host + "/tasks?state=pending"))
		b.reads("#h-found", "62 found")
		b.reads("main", "tasks 1 to 50.")
		b.reads("#found", "one", "an<b>other")
		b.lacks("nav", "first")
		b.shot("tasks-first")
		b.do(chromedp.Click(chromedp.CSS(`a[rel="next"]`)))
		b.reads("main", "tasks 51 to 62.")
		b.reads("#found", "more")
		b.lacks("#found", "one")
		b.lacks("nav", "next")
		b.shot("tasks-next")
		if got := eval[string](b, `document.querySelector("select").value`); got != "pending" {
			t.Errorf("the state looked for is now %q", got)
		}
		b.do(chromedp.Click(chromedp.CSS("nav a")))
		b.reads("main", "tasks 1 to 50.")
	})
	t.Run("says_why_it_has_nothing_from_the_leader", func(t *testing.T) {
		svc := start(t)
		svc.master()
		backup := svc.watched("master")
		const why = " leads, and its page, which has the tasks and the workers, cannot be reached from here: /members does not have its address (--http)"
		backup.page(1280, 900).reads("#view-note", "There is no newer data: ", why)
		if status, text := backup.get("/tasks"); status != 503 || !strings.Contains(text, why) {
			t.Errorf("/tasks: %d %q", status, text)
		}
	})
	t.Run("says_at_once_that_there_is_no_connection", func(t *testing.T) {
		zktest.OpenOnly(t, "its server is its own")
		server := zktest.NewServer(t, zktest.Options{})
		svc := newServiceOn(t, server, "")
		svc.watched("master")
		backup := svc.watched("master")
		server.Pause()
		eventually(t, "the page takes itself for connected", func() (bool, string) {
			status, text := backup.get("/tasks") // at first it finds out by that
			return status == 503 && strings.Contains(text, "there is no connection to ZooKeeper"), fmt.Sprint(status, text)
		})
		backup.page(1280, 900).reads("#view-note", "There is no newer data: there is no connection to ZooKeeper.")
		backup.answers("/healthz", 200, "ok")
		server.Resume()
	})
	t.Run("keeps_what_it_knew_while_the_leader_stands_still_and_while_nobody_leads", func(t *testing.T) {
		svc := start(t)
		svc.timeout = "10s"
		leader, backup := svc.watched("master"), svc.watched("master")
		svc.worker("--slots", "3")
		b := backup.page(1280, 900)
		b.reads("#crew", "3 workers: 0 busy, 3 free")
		b.reads("#leadership", fmt.Sprintf(":%d leads, 1 backup behind it.", leader.Pid()))
		own := leader.page(1280, 900)
		own.reads("#link", "live")
		leader.Signal(syscall.SIGSTOP)
		b.reads("#leadership", fmt.Sprintf(":%d leads, but has not answered for 3 s. If its process is dead, its session ends by itself, and then the next candidate leads.", leader.Pid()))
		b.lacks("#candidates", "leads")
		b.reads("#view-note", "it has sent nothing for 3s", "This is as it was ")
		b.reads("#crew", "3 workers: 0 busy, 3 free")
		b.reads("#leadership", fmt.Sprintf(":%d leads, and there is no backup. Before it began, nobody led for ", backup.Pid()), fmt.Sprintf(":%d fell silent", leader.Pid()))
		own.reads("#link", "this master has sent nothing for ", " s: it stands still, or cannot be reached")
		leader.Signal(syscall.SIGCONT)
		own.reads("#link", "live")
		own.reads("#leadership", fmt.Sprintf(":%d leads, 1 backup behind it.", backup.Pid()))
		b.reads("#leadership", fmt.Sprintf(":%d leads, 1 backup behind it.", backup.Pid()))
		b.lacks("#view-note", "as it was")
		backup.Signal(syscall.SIGTERM)
		backup.Exit(0)
	})
}
