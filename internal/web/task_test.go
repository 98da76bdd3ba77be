package web

import (
	"net/http"
	"strings"
	"testing"

	"taskkeeper/internal/master"
	"taskkeeper/internal/session"
)

// Whoever asks for a task while ZooKeeper, or the page, has too much to do is told to come again.
func TestTaskPageIsAskedForAgain(t *testing.T) {
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
		if w.Code != http.StatusServiceUnavailable || w.Body.String() != why+": try again\n" || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%d %q, %v; want %q", w.Code, w.Body, w.Header(), why)
		}
		for len(p.looking) > 0 {
			<-p.looking
		}
	}
}

func TestTableOfTasksIsTheLeaders(t *testing.T) {
	h := Site{Page: NewPage(session.Config{}, Identity{}, new(master.Monitor))}.Handler()
	const wrong = "state, id, text or after: not what a task can have\n"
	for query, want := range map[string]struct {
		status int
		text   string
	}{
		"":                                      {http.StatusServiceUnavailable, "there is no session with ZooKeeper: try again\n"},
		"?state=none":                           {http.StatusBadRequest, wrong},
		"?id=" + strings.Repeat("x", 10_000):    {http.StatusBadRequest, wrong},
		"?text=" + strings.Repeat("x", 10_000):  {http.StatusBadRequest, wrong},
		"?after=" + strings.Repeat("x", 10_000): {http.StatusBadRequest, wrong},
	} {
		if w := ask(h, "GET", "/tasks"+query); w.Code != want.status || w.Body.String() != want.text {
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
