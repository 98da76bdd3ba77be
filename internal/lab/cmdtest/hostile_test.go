package cmdtest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

// What a command writes to control a terminal, and what is shown there instead.
const (
	hostile = "\x1b]52;c;AAAA\a\nclient: 0 of 0 tasks failed \u009b31m\u202e"
	shown   = `\x1b]52;c;AAAA\x07` + "\n  client: 0 of 0 tasks failed " + `\u009b31m\u202e`
)

func TestHostileText(t *testing.T) {
	t.Parallel()
	start := newService(t)
	script := filepath.Join(t.TempDir(), "reply")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nprintf '%s' '"+hostile+"'\nprintf '%s' '"+hostile+"' >&2\nexit \"$1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T, where, text string) {
		t.Helper()
		if strings.ContainsAny(text, "\x1b\a\u009b\u202e") {
			t.Errorf("%s: %q", where, text)
		}
	}
	t.Run("of_a_failed_task_forges_no_line_and_reaches_no_terminal", func(t *testing.T) {
		svc := start(t)
		m := svc.master()
		w := svc.worker("--exec", script+" {}")
		c := svc.start("client", "run", "1", "--quiet", "--log-level", "error")
		c.Exit(1)
		if got := c.Stderr.String(); !strings.Contains(got, shown) || !strings.HasSuffix(got, "\nclient: 1 of 1 task failed") {
			t.Errorf("stderr %q", got)
		}
		id, _ := svc.says(0, "submit", "1")
		w.Line(w.Stderr, "task="+id)
		_, got := svc.says(1, "wait", "--keep", "--quiet", id)
		if !strings.Contains(got, shown) {
			t.Errorf("stderr %q", got)
		}
		explained, _ := svc.says(0, "explain", id)
		asJSON, _ := svc.says(1, "wait", "--keep", "--json", id)
		explainedJSON, _ := svc.says(0, "explain", "--json", id)
		for where, text := range map[string]string{
			"explain": explained, "wait --json": asJSON, "explain --json": explainedJSON,
			"worker's log": w.Stderr.String(), "master's log": m.Stderr.String(), "stderr": got,
		} {
			check(t, where, text)
		}
		var one struct{ Reason string }
		if err := json.Unmarshal([]byte(asJSON), &one); err != nil || !strings.Contains(one.Reason, hostile) {
			t.Errorf("%q, %v", one.Reason, err)
		}
	})
	t.Run("of_a_result_is_passed_on_as_it_is_but_to_no_terminal", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--exec", script+" {}")
		c := svc.start("client", "run", "--quiet", "0")
		c.Exit(0)
		if got := c.Stdout.String(); got != hostile {
			t.Errorf("stdout %q", got)
		}
		side, screen := terminal(t)
		on := svc.command("run", "--quiet", "0")
		var stderr bytes.Buffer
		on.Stdout, on.Stderr = side, &stderr
		if err := on.Run(); err != nil {
			t.Fatalf("%v: %s", err, &stderr)
		}
		zktest.Eventually(t, "the result", screen.shows(strings.NewReplacer("\n  ", "\r\n").Replace(shown)+"\r\n"))
		_, text := screen.shows("")()
		check(t, "terminal", text)
	})
	t.Run("in_a_name_is_printed_as_escapes", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		const name = "a\u202eb c"
		svc.manual.Create("/tasks/"+name, "\x1b[2J")
		svc.manual.Create("/data/"+name, "\x1b[2J")
		svc.manual.CreateEphemeral("/workers/w\u202e", "")
		svc.manual.CreateEphemeral("/master/c\u202e-0000000009", "\x1b]0;x\a")
		m := svc.start("master", "--log-level", "debug")
		m.Line(m.Stderr, `a\u202eb c`)
		for _, args := range [][]string{
			{"status"}, {"status", "--json"}, {"explain", name}, {"explain", name, "--json"}, {"explain", "none\u202e"},
			{"run", "--deadline", "1ms", "\x1b"}, {"wait", "t\u202e"}, {"cancel", "t\u202e"}, {"retry", "t\u202e"}, {"submit", "--zk", "\x1b"},
		} {
			c := svc.start("client", args...)
			if _, err := c.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			text := c.Stdout.String() + c.Stderr.String()
			check(t, c.String(), text)
			if args[0] == "status" && !strings.Contains(text, `\u202e`) {
				t.Errorf("%s", text)
			}
		}
		check(t, "master's log", m.Stderr.String())
	})
}
