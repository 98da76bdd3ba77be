package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/task"
)

const (
	mostRows  = 50
	selection = 250 * time.Millisecond // at most one selection in that time: with 100,000 tasks it takes the leader 10 ms
)

// asJSON is the Accept header of a master that asks for another master's table.
const asJSON = "application/json"

// tablePage is a page of tasks, as the leader knows them.
type tablePage struct {
	States                  []string
	State, Part, Txt, After string // the query
	All, Before, Found      int    // tasks with that state and part of the id: all, those up to After, those searched for the text
	Next                    string // a link to the next tasks; "": there are none
	Secret                  bool
	Rows                    []tableRow
}

type tableRow struct{ ID, Link, State, Payload, Note string }

// Link is the same query for the tasks behind after; "" is before all.
func (t *tablePage) Link(after string) string {
	return "tasks?" + url.Values{"state": {t.State}, "id": {t.Part}, "text": {t.Txt}, "after": {after}}.Encode()
}

// First and Last are the numbers of the searched tasks, among all.
func (t *tablePage) First() int { return t.Before + 1 }
func (t *tablePage) Last() int  { return t.Before + t.Found }

// serveTable serves the table of tasks, without a script. A backup asks the leader's page, which
// does not ask another one.
func (p *Page) serveTable(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	t := tablePage{
		States: []string{"", "pending", "running", "done", "failed", "malformed"},
		State:  q.Get("state"), Part: q.Get("id"), Txt: q.Get("text"), After: q.Get("after"),
	}
	if !slices.Contains(t.States, t.State) || len(t.Part) > task.MaxID || len(t.Txt) > longest || len(t.After) > task.MaxID {
		refuse(w, "tasks", http.StatusBadRequest, "state, id, text or after: no task can have that")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	fill, plain := p.fill, r.Header.Get("Accept") == asJSON
	if !plain && !p.leader.Leads() {
		fill = p.fillByLeader
	}
	if err := fill(ctx, &t); err != nil {
		refuse(w, "tasks", http.StatusServiceUnavailable, shown(err.Error())+": try again")
		return
	}
	h := w.Header()
	if plain {
		h.Set("Content-Type", asJSON)
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(encode(t))
		return
	}
	h.Set("Content-Security-Policy", strings.Replace(h.Get("Content-Security-Policy"), "form-action 'none'", "form-action 'self'", 1))
	render(w, http.StatusOK, "tasks.html", &t)
}

// fill finds the tasks, and reads their payloads if these may be shown.
func (p *Page) fill(ctx context.Context, t *tablePage) error {
	select {
	case p.selecting <- struct{}{}:
		time.AfterFunc(selection, func() { <-p.selecting })
	case <-ctx.Done():
		return errors.New("too many readers look for tasks")
	}
	found, err := p.leader.Select(ctx, sched.Query{State: t.State, Part: t.Part, After: t.After, Most: mostRows})
	if err != nil {
		return err
	}
	s, err := p.connected()
	if err != nil {
		return err
	}
	reader := newTreeReader(s)
	if reader.secret, err = p.hidesPayloads(s); err != nil {
		return err
	}
	paths := make([]string, len(found.Tasks))
	for i, f := range found.Tasks {
		paths[i] = task.DataPath(f.ID)
	}
	payloads, err := reader.look(paths)
	if err != nil {
		return fmt.Errorf("read payloads: %w", err)
	}
	t.All, t.Before, t.Found, t.Secret = found.All, found.Before, len(found.Tasks), reader.secret
	if t.Secret {
		t.Txt = "" // it would find nothing
	}
	if t.Last() < t.All && t.Found > 0 {
		t.Next = t.Link(found.Tasks[t.Found-1].ID)
	}
	for i, f := range found.Tasks {
		row := tableRow{ID: shown(f.ID), Link: taskLink(f.ID), State: f.State, Note: "none"}
		if z := payloads[i]; z != nil {
			row.Payload, row.Note = z.Data, z.Note
		}
		if strings.Contains(row.Payload, t.Txt) {
			t.Rows = append(t.Rows, row)
		}
	}
	return nil
}
