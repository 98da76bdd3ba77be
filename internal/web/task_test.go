package web

import (
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"taskkeeper/internal/master"
	"taskkeeper/internal/session"
)

// reason returns the text of a page that shows only why there is nothing else.
func reason(w *httptest.ResponseRecorder) string {
	_, said, _ := strings.Cut(w.Body.String(), `<p id="why" class="bad">`)
	said, _, _ = strings.Cut(said, "</p>")
	return html.UnescapeString(said)
}

// The query of a request becomes part of the page, as text.
func TestARefusedRequestGetsAPage(t *testing.T) {
	h := Site{Page: NewPage(session.Config{}, Identity{}, nil)}.Handler()
	w := ask(h, "GET", "/task?id=%3Cscript%3Ealert(1)%3C/script%3E%1b%5b2J")
	if body := w.Body.String(); w.Code != http.StatusBadRequest || strings.Contains(body, "<script") || strings.Contains(body, "\x1b") ||
		reason(w) != `id: "<script>alert(1)</script>\x1b[2J" is no name of a task` {
		t.Errorf("%d %s", w.Code, body)
	}
	header := w.Header()
	if header.Get("Content-Type") != "text/html; charset=utf-8" || header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'; ") {
		t.Errorf("%v", header)
	}
}

// A request that cannot be served now gets a page that asks to try again.
func TestTaskPageOffersToTryAgain(t *testing.T) {
	p := NewPage(session.Config{}, Identity{}, nil)
	h := Site{Page: p}.Handler()
	for why, when := range map[string]func(){
		"there is no session with ZooKeeper": func() {},
		"4 looks at tasks are under way already": func() {
			for range mostLooks {
				p.looking <- struct{}{}
			}
		},
	} {
		when()
		w := ask(h, "GET", "/task?id=t1")
		if w.Code != http.StatusServiceUnavailable || reason(w) != why+": try again" || !strings.Contains(w.Body.String(), `<a href="">look again</a>`) || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%d %q, %v; want %q", w.Code, w.Body, w.Header(), why)
		}
		for len(p.looking) > 0 {
			<-p.looking
		}
	}
}

func TestTableOfTasksRefusesMalformedQueries(t *testing.T) {
	h := Site{Page: NewPage(session.Config{}, Identity{}, new(master.Monitor))}.Handler()
	const wrong = "state, id, text or after: no task can have that"
	for query, want := range map[string]struct {
		status int
		text   string
	}{
		"":                                      {http.StatusServiceUnavailable, "there is no session with ZooKeeper: try again"},
		"?state=none":                           {http.StatusBadRequest, wrong},
		"?id=" + strings.Repeat("x", 10_000):    {http.StatusBadRequest, wrong},
		"?text=" + strings.Repeat("x", 10_000):  {http.StatusBadRequest, wrong},
		"?after=" + strings.Repeat("x", 10_000): {http.StatusBadRequest, wrong},
	} {
		if w := ask(h, "GET", "/tasks"+query); w.Code != want.status || reason(w) != want.text || !strings.Contains(w.Body.String(), `<a href="./">back to all</a>`) {
			t.Errorf("%.20s: %d %q", query, w.Code, w.Body)
		}
	}
}

func TestTextsOfATaskAreCutAndPrintable(t *testing.T) {
	var page taskPage
	page.add("result", nil)
	page.add("result", []byte("\x1b[2J\n"+strings.Repeat("x", 1<<20)+"\u202e\xff"))
	if len(page.Texts) != 1 || page.Texts[0].Bytes != 1<<20+9 {
		t.Fatalf("%+.100v", page)
	}
	text := page.Texts[0].Text
	if !strings.HasPrefix(text, `\x1b[2J`+"\nxxx") || !strings.HasSuffix(text, `xxx\u202e\xff`) || len(text) > textShown+100 {
		t.Errorf("%d bytes: %.50q", len(text), text)
	}
}
