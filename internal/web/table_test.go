package web

import (
	"context"
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/session"
)

// A knownLeader leads with a scheduler that a test has filled.
type knownLeader struct {
	Leader
	s *sched.Scheduler
}

func (knownLeader) Leads() bool { return true }

func (k knownLeader) Select(_ context.Context, q sched.Query) (sched.Selection, error) {
	return k.s.Select(q), nil
}

func TestTableOfTasksIsReadPageByPage(t *testing.T) {
	tt := newTreeTest(t)
	tt.manual.Create("/data", "")
	s := sched.New(3)
	var ids []string
	for i := range 120 {
		id := fmt.Sprintf("t&%03d", i)
		ids = append(ids, id)
		tt.manual.Create("/data/"+id, fmt.Sprint("payload ", i%60, ";"))
	}
	s.Handle(sched.TasksListed{IDs: append(ids, "other"), Number: 1}, time.Now())
	p := NewPage(session.Config{}, Identity{}, knownLeader{s: s})
	p.session.Store(tt.r.s)
	h := Site{Page: p}.Handler()
	next := regexp.MustCompile(`<a href="(tasks\?[^"]*)" rel="next">`)
	for _, c := range []struct {
		query string
		want  []string // of each page: what it counts, and its rows
	}{
		{"tasks?id=t%26&state=pending", []string{
			"120 found|tasks 1 to 50|t&000 … t&049",
			"120 found|tasks 51 to 100|t&050 … t&099",
			"120 found|tasks 101 to 120|t&100 … t&119",
		}},
		{"tasks?id=t%26&text=payload+5%3B", []string{
			"120 found; with that text, of 50 searched: 1|tasks 1 to 50|t&005 … t&005",
			"120 found; with that text, of 50 searched: 1|tasks 51 to 100|t&065 … t&065",
			"120 found; with that text, of 20 searched: 0|tasks 101 to 120|",
		}},
		{"tasks?id=other", []string{"1 found||other … other"}},
		{"tasks?id=t%26&after=t%26119", []string{"120 found|none is left|"}},
		{"tasks?state=failed", []string{"0 found||"}},
	} {
		at := c.query
		for i, want := range c.want {
			body := ask(h, "GET", "/"+at).Body.String()
			text := html.UnescapeString(body)
			got := find(`<h2 id="h-found">(.*)</h2>`, text) + "|" + find(`by id: (.*?)\.`, text) + "|"
			if rows := regexp.MustCompile(`class="id">(\S+)</a>`).FindAllStringSubmatch(text, -1); rows != nil {
				got += rows[0][1] + " … " + rows[len(rows)-1][1]
			}
			if got != want {
				t.Errorf("%s: %s, want %s", at, got, want)
			}
			if first := strings.Contains(body, ">the first</a>"); first != strings.Contains(at, "after=t") {
				t.Errorf("%s: a link to the first: %v", at, first)
			}
			link := next.FindStringSubmatch(body)
			if (link != nil) != (i < len(c.want)-1) {
				t.Fatalf("%s: a link to the next: %q", at, link)
			}
			if link != nil {
				at = html.UnescapeString(link[1])
			}
		}
	}
}

// find returns the first group of a match, or "".
func find(pattern, text string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}
