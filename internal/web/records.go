package web

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"taskkeeper/internal/printable"
)

// mostRecords is how many lines of the log the page shows.
const mostRecords = 1000

// record is a line of the log, for the page.
type record struct {
	Time  time.Time         `json:"time"`
	Level string            `json:"level"` // "info", "warn", "error"
	Text  string            `json:"text"`
	Attrs map[string]string `json:"attrs"`
}

// recorder passes the log on, and shows it on the page, without the lines about each task.
type recorder struct {
	slog.Handler
	hub      *hub
	onRecord func(record)
	attrs    []slog.Attr
}

// ofEachTask are the messages that come for each task: they would hide the others.
var ofEachTask = map[string]bool{
	"assigned": true, "task reclaimed: it waits behind a long one": true, "task started": true, "task done": true,
}

// Enabled implements slog.Handler. The page also shows lines below the level of the log.
func (h *recorder) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *recorder) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo && !ofEachTask[r.Message] {
		line := record{Time: r.Time, Level: strings.ToLower(r.Level.String()), Text: shown(r.Message), Attrs: make(map[string]string)}
		add := func(a slog.Attr) bool {
			if a.Key == "session" { // a session's password follows from its id, so whoever knows the id can take the session over
				return true
			}
			line.Attrs[shown(a.Key)] = shown(a.Value.String())
			return true
		}
		for _, a := range h.attrs {
			add(a)
		}
		r.Attrs(add)
		h.hub.add("records", mostRecords, line)
		h.onRecord(line)
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *recorder) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.Handler = h.Handler.WithAttrs(attrs)
	with.attrs = append(append([]slog.Attr(nil), h.attrs...), attrs...)
	return &with
}

// WithGroup implements slog.Handler. No group is used.
func (h *recorder) WithGroup(name string) slog.Handler {
	with := *h
	with.Handler = h.Handler.WithGroup(name)
	return &with
}

// longest is how much of a text is shown, in bytes.
const longest = 300

// shown makes a text, which may come from a znode, fit for a person.
func shown(s string) string { return printable.Line(printable.Cut(s, longest)) }
