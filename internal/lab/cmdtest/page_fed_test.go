package cmdtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// fed is a page that has its data from the test, not from a master.
type fed struct {
	*tab
	events chan string
}

// newFed opens the page's files in a browser.
func newFed(t *testing.T) fed {
	t.Helper()
	events := make(chan string)
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("../../../internal/web/static")))
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
	return fed{browse(t, server.URL, 1280, 900), events}
}

// send sends an event.
func (b fed) send(part string, v any) {
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

// beat sends the time.
func (b fed) beat(now time.Time) {
	b.t.Helper()
	b.send("beat", now.UnixMilli())
}

type object = map[string]any

// candidate returns a candidate at /master as a master sends it to the page.
func candidate(who string, since time.Time, leads bool, watches string) object {
	c := object{"znode": "/master/" + who, "who": who, "since": since, "leads": leads, "watches": ""}
	if watches != "" {
		c["watches"] = "/master/" + watches
	}
	return c
}

func TestPageTellsTheTime(t *testing.T) {
	t.Parallel()
	b := newFed(t)
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) // by this master's clock
	b.beat(noon)
	b.send("election", object{"candidates": []object{candidate("a:1", noon.Add(-time.Hour), true, ""), candidate("b:2", noon, false, "a:1")}})
	b.reads("#candidates", "a:1 leads, for 1 h 0 min")
	t.Run("by_its_master_s_clock_and_not_by_the_leader_s", func(t *testing.T) {
		leaders := noon.Add(-24 * time.Hour) // its clock is a day late
		b.send("view", object{"from": "a:1", "now": leaders, "workers": 1, "busy": 0, "list": []object{},
			"lost": []object{{"id": "w", "host": "h", "pid": 3, "tasks": "t", "at": leaders.Add(-7 * time.Minute)}}})
		b.reads("#processes", "a worker is gone, for 7 min")
		b.reads("#candidates", "a:1 leads, for 1 h 0 min")
	})
	t.Run("that_has_passed_since_an_event_it_saw_though_the_clock_is_corrected", func(t *testing.T) {
		b.send("election", object{"candidates": []object{candidate("b:2", noon, true, "")}})
		b.reads("#candidates", "a:1 vanished")
		b.beat(noon.Add(time.Hour))
		b.reads("#candidates", "b:2 leads, for 1 h 0 min", "a:1 vanished")
	})
	t.Run("no_longer_while_its_master_is_silent_and_says_so", func(t *testing.T) {
		b.send("election", object{"candidates": []object{candidate("b:2", noon.Add(59*time.Minute), true, ""), candidate("c:3", noon.Add(time.Hour), false, "b:2")}})
		b.reads("#link", "live")
		b.reads("#link", "this master has sent nothing for 5 s: it stands still, or cannot be reached")
		before := b.text("main")
		if ground := eval[string](b.tab, "getComputedStyle(document.querySelector('.leads')).backgroundColor"); ground != "rgb(255, 255, 255)" {
			t.Errorf("the leader is still green: %s", ground)
		}
		b.shot("silent")
		b.reads("#link", "for 7 s")
		if now := b.text("main"); now != before {
			t.Errorf("what the master sent last goes on:\n%s\nand was\n%s", now, before)
		}
		b.beat(noon.Add(2 * time.Hour))
		b.reads("#link", "live")
		b.reads("#candidates", "b:2 leads, for 1 h 1 min")
	})
}

func TestPageTellsHowFarTheElectionIsKnown(t *testing.T) {
	t.Parallel()
	b := newFed(t)
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
			"a:1 leads, 2 backups behind it. Before it began, nobody led for 4.1 s: z:9 fell silent, and its session lasted 4.0 s more.", "", true},
		{"of who led before only its znode is known", object{"before": "z:9", "unheard_seconds": 0, "gap_seconds": 0.021}, time.Time{},
			"a:1 leads, 2 backups behind it. The znode of the leader before it was gone for 21 ms.", "", true},
		{"the leader does not answer", object{"silent": now.Add(-180 * time.Second)}, time.Time{},
			"a:1 leads, but has not answered for 3 min 0 s. If its process is dead, its session ends by itself, and then the next candidate leads.", "warn", false},
		{"no server serves", object{}, now.Add(-2 * time.Hour), "No ZooKeeper server serves, and this is as it was 2 h 0 min ago: a:1 leads, 2 backups behind it.", "bad", false},
		{"/master cannot be read", object{"error": "may not be read"}, time.Time{}, "may not be read", "bad", false},
		{"nobody has led yet", object{"candidates": all[1:], "leaderless": now}, time.Time{}, "Nobody leads: the first candidate has not begun.", "bad", false},
		{"nobody leads, and the leader had fallen silent", object{"candidates": []object{}, "before": "a:1", "unheard_seconds": 120.5, "leaderless": now.Add(-60 * time.Second)}, time.Time{},
			"No candidate: start a master. Nobody has led for 3 min 0 s: a:1 fell silent, and its session lasted 2 min 0 s more.", "bad", false},
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
		b.send("servers", servers)
		b.send("election", step.ballot)
		ages := regexp.MustCompile(`\b\d s ago|( min) \d+ s`).ReplaceAllString // some time may have passed
		eventually(t, step.name, func() (bool, string) {
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

func TestPageTellsWhichServersServe(t *testing.T) {
	t.Parallel()
	b := newFed(t)
	b.send("servers", object{"quorum": "2 of 3 servers serve: one more failure stops everything.", "spare": 0, "list": []object{
		{"address": "h1:2181", "mode": "leader", "latency": "0 / 1.3 / 19", "connections": "8"},
		{"address": "h2:2181", "mode": "", "error": "dial tcp 10.0.0.2:2181: connect: connection refused"},
		{"address": "h3:2181", "mode": "follower", "latency": "0 / 1.0 / 7", "connections": "3"},
	}})
	b.reads("#servers", "h1:2181", "0 / 1.3 / 19", "connection refused")
	cells := eval[[]string](b.tab, "[...document.querySelectorAll('#servers tr:nth-child(2) > *')].map((e) => e.innerText)")
	if want := []string{"h2:2181", "–", "–", "–", "dial tcp 10.0.0.2:2181: connect: connection refused"}; !slices.Equal(cells, want) {
		t.Errorf("%q, want %q", cells, want)
	}
	if level := eval[string](b.tab, "document.querySelector('#quorum').className"); level != "warn" || b.text("#quorum") != "2 of 3 servers serve: one more failure stops everything." {
		t.Errorf("%s: %s", level, b.text("#quorum"))
	}
	b.shot("servers")
	b.do(chromedp.EmulateViewport(390, 844))
	b.shot("servers-phone")
}

func TestPageLeavesAGapInAChart(t *testing.T) {
	t.Parallel()
	b := newFed(t)
	now := time.Now()
	b.beat(now)
	var rates []object
	for i := range 240 {
		r := object{"time": now.Unix() - 240 + int64(i), "finished": 3 + i%2, "waited": 0.2 + float64(i%7)/100, "held": 0.5}
		if i/40%2 == 1 && i%40 != 20 { // nothing happens for 40 s, but for once
			r["finished"], r["waited"], r["held"] = 0, nil, nil
		}
		rates = append(rates, r)
	}
	b.send("rates", rates)
	b.charts()
	lines := eval[[]string](b.tab, "[...document.querySelectorAll('path')].map((e) => e.getAttribute('d'))")
	for i, want := range []int{1, 6, 6} { // three busy times of 40 s, and three seconds between
		if got := strings.Count(lines[i], "M"); got != want {
			t.Errorf("line %d has %d parts, want %d: %s", i, got, want, lines[i])
		}
	}
	labels := eval[[]string](b.tab, "[...document.querySelectorAll('svg')].map((e) => e.getAttribute('aria-label'))")
	if want := []string{"finished a second: 0", "seconds until assigned: 0.23; seconds from then on: 0.5"}; !slices.Equal(labels, want) {
		t.Errorf("%q, want %q", labels, want)
	}
	b.shot("charts")
}

func TestPageTellsWhoIsDrained(t *testing.T) {
	t.Parallel()
	b := newFed(t)
	worker := func(pid int, draining bool, tasks ...string) object {
		return object{"id": fmt.Sprintf("h:%d-%t%d", pid, draining, len(tasks)), "host": "h", "pid": pid, "queue": "", "tasks": append([]string{}, tasks...), "draining": draining}
	}
	b.send("view", object{"leads": true, "now": time.Now(), "queues": []object{}, "lost": []object{}, "workers": 8, "busy": 2, "draining": 3, "drained": 2,
		"list": []object{worker(1, true), worker(1, true, "t1"), worker(1, false), worker(2, false, "t2")}})
	b.reads("#crew", "8 workers: 2 busy (1 of them draining), 4 free, 2 drained: they take no more tasks; 4 are shown")
	b.reads("#processes", "h:1 1 of 3 slots busy, 1 draining, 1 drained", "h:2 1 of 1 slot busy")
	b.shot("drained")
}

func TestPageKeepsTheFocus(t *testing.T) {
	t.Parallel()
	b := newFed(t)
	workers := func(pids ...int) object {
		var list []object
		for _, pid := range pids {
			list = append(list, object{"id": fmt.Sprint("h:", pid), "host": "h", "pid": pid, "queue": "", "tasks": []string{}})
		}
		return object{"leads": true, "now": time.Now(), "queues": []object{}, "lost": []object{}, "workers": len(pids), "busy": 0, "draining": 0, "list": list}
	}
	b.send("view", workers(1, 2, 3))
	b.reads("#processes", "h:3")
	eval[bool](b.tab, "document.querySelectorAll('#processes summary')[2].focus() ?? true")
	b.send("view", workers(2, 3))
	b.lacks("#processes", "h:1")
	if !eval[bool](b.tab, "document.activeElement === document.querySelectorAll('#processes summary')[1]") {
		t.Error("the focus is gone with another worker")
	}
}

func TestPageOfAMasterThatKnowsNothingYet(t *testing.T) {
	t.Parallel()
	b := newFed(t)
	b.send("servers", object{"list": []object{}, "away": time.Now().Add(-time.Minute)})
	b.reads("#leadership", "No ZooKeeper server serves, for 1 min ")
}
