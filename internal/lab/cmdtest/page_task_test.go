package cmdtest

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"taskkeeper/internal/client"
	"taskkeeper/internal/lab/zktest"
)

// behindPrefix serves a page behind a path prefix, and returns where.
func behindPrefix(t *testing.T, page string) string {
	t.Helper()
	target, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewServer(http.StripPrefix("/tk", proxy))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL + "/tk/"
}

// reason returns why a page shows nothing.
func reason(body string) string {
	_, said, _ := strings.Cut(body, `<p id="why" class="bad">`)
	said, _, _ = strings.Cut(said, "</p>")
	return html.UnescapeString(said)
}

// injection is a text that changes the page's title where a browser takes it for HTML.
const injection = `<script>document.title="taken"</script><img src=x onerror='document.title="taken"'>"&amp;`

// harmless fails the test if a browser took injection for HTML, or a control character is shown.
func (b *tab) harmless() {
	b.t.Helper()
	if n := eval[int](b, `document.querySelectorAll("main script, main img").length`); n > 0 || eval[string](b, "document.title") == "taken" {
		b.t.Errorf("a text was taken for HTML: %d elements, title %q", n, eval[string](b, "document.title"))
	}
	if text := b.text("body"); strings.ContainsAny(text, "\x1b\u202e") {
		b.t.Errorf("the page has control characters: %q", text)
	}
}

func TestPageOfATask(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "it shows payloads")
	start := newService(t)
	t.Run("shows_what_explain_prints_and_no_text_as_HTML", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		m := svc.master("--http", "0")
		m.Line(m.Stderr, " leader ")
		page := behindPrefix(t, pageOf(m))
		svc.manual.Create("/data/t&1", "\x1b[2J"+injection)
		svc.manual.Create("/tasks/t&1", "done first\n"+injection)
		b := browse(t, page+"task?id=t%261", 1280, 900)
		b.reads("h1", "task t&1")
		b.reads("#known", "state", `done, `, "first", "submitted", "owner", "it is detached", "payload", `\x1b[2J<script>`)
		b.reads("main", "result, ", "first\n"+injection, `\x1b[2J`+injection)
		b.harmless()
		b.shot("task")
		b.do(chromedp.Click(chromedp.CSS(`header a`)))
		b.reads("#link", "live")

		svc.manual.Create("/data/big", strings.Repeat("x", client.MaxPayload))
		svc.manual.Create("/tasks/big", "pending")
		b.do(chromedp.Navigate(page+"task?id=big"), chromedp.EmulateViewport(390, 844))
		b.reads("main", fmt.Sprintf("payload, %d bytes", client.MaxPayload), " bytes]…", "there is no worker: start one")
		b.shot("task-phone")
		if n := len(b.text("body")); n > 10_000 {
			t.Errorf("the page has %d characters", n)
		}
	})
	t.Run("is_linked_from_wherever_an_id_is_shown", func(t *testing.T) {
		svc := start(t)
		m := svc.master("--http", "0")
		w := svc.worker()
		svc.start("client", "submit", "60").Exit(0)
		id := svc.manual.Children("/tasks")[0]
		b := browse(t, behindPrefix(t, pageOf(m)), 1280, 900)
		follows := func(from string) {
			t.Helper()
			link := from + ` a[href="task?id=` + id + `"]`
			b.do(chromedp.WaitVisible(chromedp.CSS(link)))
			eval[bool](b, "(document.querySelector(%q).click(), true)", link) // no mouse: a live page moves below it
			b.reads("h1", "task "+id)
			b.do(chromedp.Click(chromedp.CSS("header a")))
			b.reads("#link", "live")
		}
		b.reads("#processes", "1 of 1 slot busy")
		b.do(chromedp.Click(chromedp.CSS("#processes summary")))
		b.reads("#processes", "has "+id[:18]+"…, for ")
		follows("#processes")
		b.opensTree()
		b.reads("#tree-dirs", id, "pending")
		follows("#tree-dirs")
		w.Kill()
		b.reads("#processes", "is gone", "it had "+id)
		follows("#processes")
		b.reads("#records", "worker gone", "tasks "+id)
		follows("#records")
	})
	t.Run("shows_no_id_of_a_session", func(t *testing.T) {
		svc := start(t)
		m := svc.master("--http", "0")
		m.Line(m.Stderr, " leader ")
		svc.start("client", "run", "60")
		svc.tasks(1)
		status, body := get(t, pageOf(m)+"task?id="+svc.manual.Children("/tasks")[0])
		if status != 200 || !strings.Contains(body, "session of its client, with which it vanishes") || strings.Contains(body, "0x") {
			t.Errorf("%d\n%s", status, body)
		}
		b := browse(t, pageOf(m), 1280, 900)
		b.opensTree()
		b.reads("#tree-dirs", "ephemeral", "role=master")
		if text := b.text("body"); strings.Contains(text, "0x") {
			t.Error(text)
		}
	})
	t.Run("says_in_one_line_that_there_is_no_such_task", func(t *testing.T) {
		svc := start(t)
		m := svc.master("--http", "0")
		page := pageOf(m)
		eventually(t, "its session", func() (bool, string) {
			status, body := get(t, page+"task?id=none")
			return status != http.StatusServiceUnavailable, body
		})
		for query, want := range map[string]struct {
			status int
			text   string
		}{
			"?id=none":                           {404, "none: no such task: it was never submitted, or was already collected, expired or cancelled"},
			"?id=%3Cscript%3E":                   {404, "<script>: no such task"},
			"?id=a%E2%80%AEb":                    {404, `a\u202eb`},
			"":                                   {400, "id: \"\" is no name of a task"},
			"?id=a%2Fb":                          {400, "id: \"a/b\" is no name of a task"},
			"?id=..":                             {400, "id: \"..\" is no name of a task"},
			"?id=%1b%5b2J":                       {400, `id: "\x1b[2J" is no name of a task`},
			"?id=%ff":                            {400, `id: "\xff" is no name of a task`},
			"?id=" + strings.Repeat("x", 10_000): {400, "is no name of a task"},
		} {
			status, body := get(t, page+"task"+query)
			if why := reason(body); status != want.status || !strings.Contains(why, want.text) || strings.Contains(why, "\n") || len(why) > 400 {
				t.Errorf("%.60s: %d %.400q", query, status, body)
			}
		}
		prefixed := behindPrefix(t, page) // it ends after the browser, which would tell of that
		b := browse(t, "about:blank", 1280, 900)
		b.forgive("404")
		b.do(chromedp.Navigate(prefixed + "task?id=none" + url.QueryEscape(strings.ReplaceAll(injection, "/", ""))))
		b.reads("h1", "task none<script>")
		b.reads("#why", "no such task: it was never submitted")
		b.harmless()
		b.shot("no-task")
		b.do(chromedp.Click(chromedp.CSS("header a")))
		b.reads("#link", "live")
	})
}
