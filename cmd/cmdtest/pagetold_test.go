package cmdtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"taskkeeper/internal/zktest"
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

func TestPageTellsHowFarTheElectionIsKnown(t *testing.T) {
	t.Parallel()
	b := newTold(t)
	now := time.Now()
	b.beat(now)
	all := []object{candidate("a:1", now.Add(-time.Hour), true, ""), candidate("b:2", now, false, "a:1"), candidate("c:3", now, false, "b:2")}
	green := func(want bool) {
		b.t.Helper()
		if eval[bool](b.tab, "document.querySelector('#candidates .leads') !== null") != want {
			t.Errorf("a leader is shown in green: %t, want %t: %s", !want, want, b.text("#leadership"))
		}
	}
	for _, step := range []struct {
		name    string
		ballot  object
		away    time.Time
		reads   string
		level   string
		healthy bool
	}{
		{"the first leader", object{}, time.Time{}, "a:1 leads, 2 backups behind it.", "", true},
		{"who led before was heard last long before its znode vanished", object{"before": "z:9", "unheard_seconds": 4.04, "gap_seconds": 0.021}, time.Time{},
			"a:1 leads, 2 backups behind it. Before it began, nobody led for 4.1 s: z:9 was last heard then, and its session lasted 4.0 s more.", "", true},
		{"of who led before only its znode is known", object{"before": "z:9", "unheard_seconds": 0, "gap_seconds": 0.021}, time.Time{},
			"a:1 leads, 2 backups behind it. The znode of the leader before it was gone for 21 ms.", "", true},
		{"the leader does not answer", object{"silent": now.Add(-180 * time.Second)}, time.Time{},
			"a:1 leads, but has not answered for 3 min 0 s. If its process is dead, its session ends by itself, and then the next candidate leads.", "warn", false},
		{"no server serves", object{}, now.Add(-2 * time.Hour), "No ZooKeeper server serves, and this is as it was 2 h 0 min ago: a:1 leads, 2 backups behind it.", "bad", false},
		{"/master cannot be read", object{"error": "may not be read"}, time.Time{}, "may not be read", "bad", false},
		{"nobody has led yet", object{"candidates": all[1:], "leaderless": now}, time.Time{}, "Nobody leads: the first candidate has not begun.", "bad", false},
		{"nobody leads, and the leader had fallen silent", object{"candidates": []object{}, "before": "a:1", "unheard_seconds": 120.5, "leaderless": now.Add(-60 * time.Second)}, time.Time{},
			"No candidate: start a master. Nobody has led for 3 min 0 s: a:1 was last heard then, and its session lasted 2 min 0 s more.", "bad", false},
		{"nobody leads, and of the leader its znode is known", object{"candidates": []object{}, "before": "a:1", "leaderless": now.Add(-60 * time.Second)}, time.Time{},
			"No candidate: start a master. Nobody leads: the znode of the leader before, a:1, has been gone for 1 min 0 s.", "bad", false},
	} {
		servers := object{"list": []object{}}
		if !step.away.IsZero() {
			servers["away"] = step.away
		}
		if step.ballot["candidates"] == nil {
			step.ballot["candidates"] = all
		}
		b.beat(time.Now())
		b.tell("servers", servers)
		b.tell("election", step.ballot)
		ages := regexp.MustCompile(`\b\d s ago|( min) \d+ s`).ReplaceAllString // some time may have passed
		zktest.Eventually(t, step.name, func() (bool, string) {
			got := b.text("#leadership")
			return ages(got, "$1") == ages(step.reads, "$1"), got
		})
		if level := eval[string](b.tab, "document.querySelector('#leadership').className"); level != step.level {
			t.Errorf("%s: class %q, want %q", step.name, level, step.level)
		}
		green(step.healthy)
		if step.name == "the leader does not answer" {
			b.reads("#candidates", "↑ watches a:1", "↑ watches b:2", "a:1 has not answered for 3 min")
			b.shot("silent-leader")
		}
	}
}
