package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"taskkeeper/internal/lab/harness"
)

func TestLogger(t *testing.T) {
	t.Run("writes_text_without_colours_into_a_file", func(t *testing.T) {
		p := start(t, "", "log")
		p.Exit(0)
		lines := p.Stderr.Lines()
		if len(lines) != 1 || !strings.HasSuffix(lines[0], " WRN said task=t1") {
			t.Fatalf("stderr %q", lines)
		}
		if _, err := time.Parse("15:04:05.000", strings.Fields(lines[0])[0]); err != nil {
			t.Error(err)
		}
	})
	t.Run("writes_priorities_and_no_time_for_systemds_journal", func(t *testing.T) {
		f, err := os.Create(filepath.Join(t.TempDir(), "journal"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		for stream, want := range map[string]bool{
			fmt.Sprintf("%d:%d", stat.Dev, stat.Ino):   true,
			fmt.Sprintf("%d:%d", stat.Dev, stat.Ino+1): false, // stderr goes elsewhere
			"": false,
		} {
			t.Setenv("JOURNAL_STREAM", stream)
			if toJournal(f) != want {
				t.Errorf("%q is the journal: %t", stream, !want)
			}
		}
		var b strings.Builder
		log := slog.New(&textHandler{w: &b, level: slog.LevelDebug, journal: true})
		log.Debug("a")
		log.Info("b")
		log.Warn("c", "task", "t1")
		log.Error("d")
		if got := b.String(); got != "<7>DBG a\n<6>INF b\n<4>WRN c task=t1\n<3>ERR d\n" {
			t.Errorf("%q", got)
		}
	})
	t.Run("writes_JSON", func(t *testing.T) {
		p := start(t, "", "log", "--log-format", "json", "--log-level", "info")
		p.Exit(0)
		lines := p.Stderr.Lines()
		if len(lines) != 2 {
			t.Fatalf("stderr %q", lines)
		}
		var rec struct{ Level, Msg, Task string }
		if err := json.Unmarshal([]byte(lines[1]), &rec); err != nil || rec.Level != "WARN" || rec.Msg != "said" || rec.Task != "t1" {
			t.Errorf("%s: %+v, %v", lines[1], rec, err)
		}
	})
}

// hostile is a text as it may be in a name, a payload or an output.
const hostile = "\x1b]52;c;AAAA\a\nINF forged \u009b31m\u202e\xff \\x1b[31m end"

func TestLogHandlers(t *testing.T) {
	group := slog.Group("g", "id", hostile, slog.Group("h", "took", 1500*time.Millisecond))
	logged := func(c *Common, coloured bool) string {
		var b bytes.Buffer
		h := c.handler(&b)
		if text, ok := h.(*textHandler); ok {
			text.coloured = coloured
		}
		log := slog.New(h).With("worker", hostile).WithGroup("w")
		log.Info(hostile, "id", hostile, "err", errors.New(hostile), "raw", []byte(hostile), "names", []string{hostile}, group, "n", 3)
		return b.String()
	}
	for name, c := range map[string]struct {
		common   *Common
		coloured bool
	}{
		"text":           {&Common{}, false},
		"text in colour": {&Common{}, true},
		"JSON":           {&Common{LogFormat: "json"}, false},
	} {
		t.Run(name+"_contains_no_character_that_a_terminal_acts_upon", func(t *testing.T) {
			line := logged(c.common, c.coloured)
			for _, colour := range []string{faint, green, "\x1b[0m"} {
				line = strings.ReplaceAll(line, colour, "")
			}
			body, end := strings.CutSuffix(line, "\n")
			if !end || !utf8.ValidString(body) || strings.ContainsAny(body, "\x1b\a\n\u009b\u202e") {
				t.Errorf("%q", line)
			}
			const want = `\x1b]52;c;AAAA\x07\nINF forged \u009b31m\u202e\xff \x1b[31m end`
			if c.common.LogFormat == "json" {
				body = strings.ReplaceAll(body, `\\`, `\`)
			}
			if n := strings.Count(body, want); n != 7 {
				t.Errorf("the real text stands %d times in %s", n, body)
			}
		})
	}
	t.Run("text_prefixes_keys_with_their_group_and_quotes_blanks", func(t *testing.T) {
		var b bytes.Buffer
		log := slog.New((&Common{LogLevel: "debug"}).handler(&b)).With("a", "").WithGroup("w")
		log.Debug("said", "b", `x "y"`, slog.Group("g", "took", 1500*time.Millisecond), slog.Attr{})
		if got := b.String(); !strings.HasSuffix(got, ` DBG said a="" w.b="x \"y\"" w.g.took=1.5s`+"\n") {
			t.Error(got)
		}
	})
	t.Run("JSON_writes_a_duration_as_text", func(t *testing.T) {
		var b bytes.Buffer
		slog.New((&Common{LogFormat: "json"}).handler(&b)).Info("said", "took", 1500*time.Millisecond, "n", 3)
		if got := b.String(); !strings.HasSuffix(got, `"msg":"said","took":"1.5s","n":3}`+"\n") {
			t.Error(got)
		}
	})
	t.Run("cut_long_values", func(t *testing.T) {
		for _, format := range []string{"text", "json"} {
			var b bytes.Buffer
			slog.New((&Common{LogFormat: format}).handler(&b)).Info("said", "name", strings.Repeat("n", 1<<20))
			if got := b.String(); len(got) > 400 || !strings.Contains(got, "bytes]") {
				t.Errorf("%d bytes: %.400s", len(got), got)
			}
		}
	})
}

// unreadPipe returns the path of a pipe that nobody reads, and that is open until the test ends.
func unreadPipe(t *testing.T) string {
	t.Helper()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Open(pipe, syscall.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	return pipe
}

// Nobody reads the programs' standard error, and its pipe is full.
func TestBlockedLog(t *testing.T) {
	for format, flag := range map[string]string{"text": "", "json": " --log-format json"} {
		start := func(t *testing.T, command string) *harness.Child {
			t.Helper()
			return script(t, `exec "$0" `+command+flag+` 2>`+unreadPipe(t))
		}
		t.Run(format+"_a_daemon_ends_with_status_0", func(t *testing.T) {
			p := start(t, "flood")
			p.Line(p.Stdout, "up")
			p.Send(syscall.SIGTERM)
			p.Exit(0)
		})
		t.Run(format+"_a_program_that_fails_ends_with_its_status", func(t *testing.T) {
			start(t, "flood-fail").Exit(1)
		})
		t.Run(format+"_a_second_signal_ends_a_program_that_hangs", func(t *testing.T) {
			p := start(t, "flood-hang")
			p.Line(p.Stdout, "up")
			p.Send(syscall.SIGTERM)
			p.Line(p.Stdout, "stopping")
			p.Send(syscall.SIGINT)
			p.Exit(130)
		})
		t.Run(format+"_a_program_that_aborts_ends", func(t *testing.T) {
			start(t, "abort").Exit(1)
		})
	}
	t.Run("an_answer_that_nobody_reads_does_not_keep_a_signal_from_ending_the_program", func(t *testing.T) {
		p := script(t, `exec "$0" answer >`+unreadPipe(t))
		p.Line(p.Stderr, "up")
		p.Send(syscall.SIGTERM)
		p.Exit(143)
		if got := p.Stderr.Lines(); len(got) != 2 || got[1] != "prog: stopped by SIGTERM" {
			t.Errorf("stderr %q", got)
		}
	})
}

func TestAbort(t *testing.T) {
	t.Run("logs_the_cause_and_the_stacks", func(t *testing.T) {
		p := start(t, "", "abort", "--log-level", "error")
		p.Exit(1)
		if got := p.Stderr.String(); !strings.Contains(got, " ERR stuck err=\"no turn\"\ngoroutine profile: ") {
			t.Error(got)
		}
	})
	t.Run("logs_one_object_in_JSON", func(t *testing.T) {
		p := start(t, "", "abort", "--log-format", "json", "--log-level", "error")
		p.Exit(1)
		found := false
		for _, line := range p.Stderr.Lines() {
			var rec struct{ Msg, Err, Stacks string }
			if err := json.Unmarshal([]byte(line), &rec); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			found = found || rec.Msg == "stuck" && rec.Err == "no turn" && strings.Contains(rec.Stacks, "cli.Main")
		}
		if !found {
			t.Error(p.Stderr)
		}
	})
}
