package cmdtest

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"

	"taskkeeper/internal/lab/zktest"
)

func TestPageOfTasks(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "it shows payloads")
	start := newService(t)
	t.Run("finds_tasks_by_state_id_and_payload", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		for id, state := range map[string]string{"t&1": "pending", "t2": "done 1", "t3": "pending"} {
			svc.manual.Create("/data/"+id, id+" \x1b[2J"+injection)
			svc.manual.Create("/tasks/"+id, state)
		}
		m := svc.master("--http", "0")
		m.Line(m.Stderr, " leader ")
		page := behindPrefix(t, pageOf(m))
		b := browse(t, page, 1280, 900)
		b.reads("#queues", "(default)")
		b.do(chromedp.Click(chromedp.CSS(`a[href="tasks"]`)))
		b.reads("#h-found", "3 found")
		b.reads("#found", "t&1", `t&1 \x1b[2J<script>`, "pending", "t2", "done")
		b.harmless()
		b.shot("tasks")
		b.do(chromedp.SendKeys(chromedp.CSS(`input[name="text"]`), "t&1 "), chromedp.Click(chromedp.CSS("button")))
		b.lacks("#found", "t2")
		b.do(chromedp.Navigate(page+"tasks?state=done"), chromedp.EmulateViewport(390, 844))
		b.reads("#h-found", "1 found")
		b.shot("tasks-phone")
		b.do(chromedp.Click(chromedp.CSS(`a[href="task?id=t2"]`)))
		b.reads("h1", "task t2")
		if status, body := get(t, page+"tasks?state=x"); status != http.StatusBadRequest || reason(body) != "state, id, text or after: no task can have that" {
			t.Errorf("%d %q", status, body)
		}
	})
}
