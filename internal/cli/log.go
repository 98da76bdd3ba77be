package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"taskkeeper/internal/printable"
)

// Logger returns a logger to stderr, as the flags say. Logging never waits: while stderr
// blocks, lines are dropped, and the next written line says how many. Logged values may come
// from anywhere: they are made printable, and cut.
func (c *Common) Logger() *slog.Logger {
	h := c.handler(lines{stderr})
	stderr.mu.Lock()
	defer stderr.mu.Unlock()
	stderr.notice = c.notice
	return slog.New(h)
}

func (c *Common) handler(w io.Writer) slog.Handler {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo // no flags were parsed
	}
	if c.LogFormat == "json" {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: replace})
	}
	return &textHandler{w: w, level: level, coloured: coloured(os.Stderr), journal: toJournal(os.Stderr)}
}

// notice is the line in the place of dropped lines.
func (c *Common) notice(dropped int) []byte {
	var line strings.Builder
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines dropped: stderr did not take them", 0)
	r.Add("lines", dropped)
	_ = c.handler(&line).Handle(context.Background(), r) // into memory
	return []byte(line.String())
}

// lines is the log's side of an output.
type lines struct{ *output }

func (l lines) Write(line []byte) (int, error) {
	l.offer(line)
	return len(line), nil
}

// Abort ends the process by exit with status 1, after an error that the process cannot go on
// with. It logs the error with the stacks of all goroutines. The process ends even if the log
// blocks.
func (c *Common) Abort(exit func(status int), msg string, err error) {
	time.AfterFunc(lastWords, func() { exit(1) }) // even if the rest blocks
	var stacks strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
	if c.LogFormat == "json" {
		slog.New(slog.NewJSONHandler(lines{stderr}, nil)).Error(msg, "err", err, "stacks", stacks.String())
	} else {
		c.Logger().Error(msg, "err", err)
		stderr.append(stderr.file, []byte(stacks.String()))
	}
	stderr.flush(lastWords, lastWords)
	exit(1)
}

// longest is how much of a value is logged, in bytes: names and payloads can be as
// large as a znode.
const longest = 200

// replace makes an attribute fit for the log: printable, not long, and a duration a
// string in JSON too.
func replace(_ []string, a slog.Attr) slog.Attr {
	var s string
	switch a.Value.Kind() {
	case slog.KindString, slog.KindDuration:
		s = a.Value.String()
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case slog.Level:
			return a
		case []byte:
			s = string(v)
		default:
			s = fmt.Sprint(v)
		}
	default:
		return a
	}
	a.Value = slog.StringValue(fit(s))
	return a
}

func fit(s string) string { return printable.Line(printable.Cut(s, longest)) }

// textHandler writes a line for people: time, level, message, key=value… A value is
// in quotes where it has blanks, quotes or an equals sign.
type textHandler struct {
	w        io.Writer
	level    slog.Level
	coloured bool
	journal  bool   // stderr is systemd's journal: it adds the time, and reads the level at the beginning
	groups   string // before a key
	attrs    []byte // of all records
}

func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *textHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.groups += name + "."
	return &with
}

func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = slices.Clip(with.attrs)
	for _, a := range attrs {
		with.attrs = h.attr(with.attrs, h.groups, a)
	}
	return &with
}

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	line := make([]byte, 0, 200) // most are shorter
	level, colour, priority := "DBG", plain, "<7>"
	switch {
	case r.Level >= slog.LevelError:
		level, colour, priority = "ERR", red, journalError
	case r.Level >= slog.LevelWarn:
		level, colour, priority = "WRN", yellow, "<4>"
	case r.Level >= slog.LevelInfo:
		level, colour, priority = "INF", green, "<6>"
	}
	if h.journal {
		line = append(line, priority...)
	} else {
		line = h.end(r.Time.AppendFormat(h.begin(line, faint), "15:04:05.000"), faint)
		line = append(line, ' ')
	}
	line = h.end(append(h.begin(line, colour), level...), colour)
	line = append(append(append(line, ' '), fit(r.Message)...), h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		line = h.attr(line, h.groups, a)
		return true
	})
	_, err := h.w.Write(append(line, '\n'))
	return err
}

// attr appends an attribute with a blank before it, or those of a group.
func (h *textHandler) attr(line []byte, groups string, a slog.Attr) []byte {
	a.Value = a.Value.Resolve()
	switch {
	case a.Equal(slog.Attr{}):
		return line
	case a.Value.Kind() == slog.KindGroup:
		if a.Key != "" {
			groups += a.Key + "."
		}
		for _, one := range a.Value.Group() {
			line = h.attr(line, groups, one)
		}
		return line
	}
	line = h.begin(append(line, ' '), faint)
	line = h.end(append(append(append(line, groups...), a.Key...), '='), faint)
	value := replace(nil, a).Value.String()
	if value == "" || strings.ContainsAny(value, "\t =\"") {
		value = `"` + strings.ReplaceAll(value, `"`, `\"`) + `"`
	}
	return append(line, value...)
}

// Colours of a terminal.
const (
	plain  = ""
	faint  = "\x1b[2m"
	red    = "\x1b[91m"
	green  = "\x1b[92m"
	yellow = "\x1b[93m"
)

// begin and end append the codes before and behind a coloured text.
func (h *textHandler) begin(line []byte, colour string) []byte {
	if !h.coloured {
		return line
	}
	return append(line, colour...)
}

func (h *textHandler) end(line []byte, colour string) []byte {
	if !h.coloured || colour == plain {
		return line
	}
	return append(line, "\x1b[0m"...)
}

// journalError is the prefix of an error's line in the journal: sd-daemon(3) has the numbers.
const journalError = "<3>"

// toJournal reports whether systemd's journal reads a file: see JOURNAL_STREAM in
// systemd.exec(5).
func toJournal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// coloured follows no-color.org.
func coloured(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
