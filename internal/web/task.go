package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"taskkeeper/internal/inspect"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	mostLooks = 4       // at tasks, under way at once
	textShown = 4 << 10 // of a payload or a result, in bytes
)

// taskPage is the content of the page of a task.
type taskPage struct {
	ID    string
	Link  string // to this page again
	Lines []inspect.Line
	Texts []text
}

// text is a text of several lines.
type text struct {
	Label string
	Bytes int
	Text  string
}

// serveTask serves the page of a task: the lines of `client explain`, with more of its texts. The
// page has no script.
func (p *Page) serveTask(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	if !isTask(id) {
		refuse(w, "task", http.StatusBadRequest, fmt.Sprintf("id: %q is no name of a task", printable.Cut(id, 100)))
		return
	}
	busy := func(why string) {
		refuse(w, "task "+shown(id), http.StatusServiceUnavailable, why+": try again")
	}
	select {
	case p.looking <- struct{}{}:
		defer func() { <-p.looking }()
	default:
		busy(fmt.Sprintf("%d looks at tasks are under way already", mostLooks))
		return
	}
	s, err := p.connected()
	if err != nil {
		busy(err.Error())
		return
	}
	switch page, err := p.lookAtTask(r.Context(), s, id); {
	case errors.Is(err, task.ErrNotFound):
		refuse(w, "task "+shown(id), http.StatusNotFound, err.Error())
	case errors.Is(err, session.ErrOver):
		busy("the session with ZooKeeper has ended")
	case err != nil:
		refuse(w, "task "+shown(id), http.StatusInternalServerError, shown(err.Error()))
	default:
		render(w, http.StatusOK, "task.html", page)
	}
}

func (p *Page) lookAtTask(ctx context.Context, s *session.Session, id string) (t taskPage, err error) {
	limits := inspect.Limits{Tasks: mostListed}
	if limits.NoPayload, err = p.hidesPayloads(s); err != nil {
		return t, err
	}
	c, err := inspect.Look(ctx, s, id, limits)
	if err != nil {
		return t, err
	}
	e := inspect.Explain(c, time.Now())
	if e.Owner != "" { // ids of sessions are not shown: see recorder
		e.Owner = "of its client"
	}
	t = taskPage{ID: shown(id), Link: taskLink(id), Lines: e.Lines()}
	data, _, err := s.Get(task.StatePath(id))
	state := task.ParseState(data)
	switch {
	case errors.Is(err, session.ErrOver):
		return t, err
	case err != nil: // the lines say why
	case state.Phase == task.Done:
		t.add("result", state.Text)
	case state.Phase == task.Failed:
		t.add("reason", state.Text)
	case state.Phase == task.Malformed:
		t.add("state", state.Text)
	}
	t.add("standard output", state.Stdout)
	t.add("standard error", state.Stderr)
	if !limits.NoPayload {
		payload, _, err := s.Get(task.DataPath(id))
		if errors.Is(err, session.ErrOver) {
			return t, err
		}
		t.add("payload", payload)
	}
	return t, nil
}

// add adds a text, if it is not empty.
func (t *taskPage) add(label string, b []byte) {
	if len(b) > 0 {
		t.Texts = append(t.Texts, text{label, len(b), printable.Text(printable.Cut(string(b), textShown), "")})
	}
}

// isTask reports whether an id can be the id of a task.
func isTask(id string) bool { return len(id) <= task.MaxID && session.ValidName(id) }

// taskLink is the address of the page of a task, relative to the page.
func taskLink(id string) string { return "task?id=" + url.QueryEscape(id) }
