package cmdtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// told is a page that is told by the test, not by a master.
type told struct {
	*tab
	events chan string
}

// newTold opens the page's files in a browser.
func newTold(t *testing.T) told {
	t.Helper()
	events := make(chan string)
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("../../internal/web/static")))
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case e := <-events:
				_, _ = fmt.Fprint(w, e)
			case <-r.Context().Done():
				return
			}
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(func() { // after the browser has ended
		server.CloseClientConnections()
		server.Close()
	})
	return told{browse(t, server.URL, 1280, 900), events}
}

// tell sends an event.
func (b told) tell(part string, v any) {
	b.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		b.t.Fatal(err)
	}
	select {
	case b.events <- fmt.Sprintf("event: %s\ndata: %s\n\n", part, data):
	case <-time.After(30 * time.Second):
		b.t.Fatalf("nobody reads %s", part)
	}
}

// beat tells the time.
func (b told) beat(now time.Time) {
	b.t.Helper()
	b.tell("beat", now.UnixMilli())
}

type object = map[string]any

// candidate is one at /master, as the page is told of it.
func candidate(who string, since time.Time, leads bool, watches string) object {
	c := object{"znode": "/master/" + who, "who": who, "since": since, "leads": leads, "watches": ""}
	if watches != "" {
		c["watches"] = "/master/" + watches
	}
	return c
}

func TestPageTellsTheTime(t *testing.T) {
	t.Parallel()
	b := newTold(t)
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) // by this master's clock
	b.beat(noon)
	b.tell("election", object{"candidates": []object{candidate("a:1", noon.Add(-time.Hour), true, ""), candidate("b:2", noon, false, "a:1")}})
	b.reads("#candidates", "a:1 leads, for 1 h 0 min")
	t.Run("by_this_master_s_clock_alone", func(t *testing.T) {
		leaders := noon.Add(-24 * time.Hour) // its clock is a day late
		b.tell("view", object{"from": "a:1", "now": leaders, "workers": 1, "busy": 0, "list": []object{},
			"lost": []object{{"id": "w", "host": "h", "pid": 3, "tasks": "t", "at": leaders.Add(-7 * time.Minute)}}})
		b.reads("#processes", "a worker is gone, for 7 min")
		b.reads("#candidates", "a:1 leads, for 1 h 0 min")
	})
	t.Run("and_a_correction_of_the_clock_leaves_alone_what_the_page_has_seen", func(t *testing.T) {
		b.tell("election", object{"candidates": []object{candidate("b:2", noon, true, "")}})
		b.reads("#candidates", "a:1 vanished")
		b.beat(noon.Add(time.Hour))
		b.reads("#candidates", "b:2 leads, for 1 h 0 min", "a:1 vanished")
	})
	t.Run("and_that_this_master_is_silent", func(t *testing.T) {
		b.tell("election", object{"candidates": []object{candidate("b:2", noon.Add(59*time.Minute), true, ""), candidate("c:3", noon.Add(time.Hour), false, "b:2")}})
		b.reads("#link", "live")
		b.reads("#link", "this master has sent nothing for 5 s: it stands still, or cannot be reached")
		before := b.text("main")
		if ground := eval[string](b.tab, "getComputedStyle(document.querySelector('.leads')).backgroundColor"); ground != "rgb(255, 255, 255)" {
			t.Errorf("the leader is still green: %s", ground)
		}
		b.shot("silent")
		b.reads("#link", "for 7 s")
		if now := b.text("main"); now != before {
			t.Errorf("what it told last goes on:\n%s\nand was\n%s", now, before)
		}
		b.beat(noon.Add(2 * time.Hour))
		b.reads("#link", "live")
		b.reads("#candidates", "b:2 leads, for 1 h 1 min")
	})
}
