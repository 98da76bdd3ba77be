package command

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// plain are command lines that a shell splits into the same words.
var plain = map[string][]string{
	`gzip -9 {}`:                     {"gzip", "-9", "{}"},
	"  a \t b  ":                     {"a", "b"},
	`a 'b c' "d e" f\ g`:             {"a", "b c", "d e", "f g"},
	`a '' "" ''b""c`:                 {"a", "", "", "bc"},
	`a '\n "x" $HOME' "\n \" \\ \$"`: {"a", `\n "x" $HOME`, `\n " \ $`},
	`a \n \\ \'`:                     {"a", "n", `\`, "'"},
	`awk '{print $1 "\n"}'`:          {"awk", `{print $1 "\n"}`},
	"a \\\n b":                       {"a", "b"},
	"a 'two\nlines'":                 {"a", "two\nlines"},
	"a # and no more":                {"a"},
	`a '|' \; ">"`:                   {"a", "|", ";", ">"},
	`convert é out/{}`:               {"convert", "é", "out/{}"},
	`a if then =b x=y`:               {"a", "if", "then", "=b", "x=y"},
	`a b\`:                           {"a", `b\`},
	"a 'b\r\n' \xff\u00ff\r":         {"a", "b\r\n", "\xff\u00ff\r"},
}

func TestSplit(t *testing.T) {
	t.Run("expands_nothing_within_double_quotes", func(t *testing.T) {
		line := "sh -c \"echo $(($(cat)*2)) $HOME `date` \\$x\""
		got, err := Split(line)
		if want := []string{"sh", "-c", "echo $(($(cat)*2)) $HOME `date` $x"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", line, got, err)
		}
	})
	t.Run("splits_as_a_shell_does", func(t *testing.T) {
		for line, want := range plain {
			got, err := Split(line)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q, %v, want %q", line, got, err, want)
			}
			out, err := exec.Command("sh", "-c", `printf '%s\0' `+line).Output()
			if err != nil {
				t.Fatal(err)
			}
			shell := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
			if !slices.Equal(got, shell) {
				t.Errorf("%s: %q, a shell says %q", line, got, shell)
			}
		}
	})
	t.Run("expands_nothing", func(t *testing.T) {
		got, err := Split(`ls *.go ~ {a,b} [x]?`)
		if want := []string{"ls", "*.go", "~", "{a,b}", "[x]?"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v", got, err)
		}
	})
	for name, c := range map[string]struct{ line, want string }{
		"nothing":              {"", "the command is empty"},
		"blanks":               {" \n", "the command is empty"},
		"an_open_double_quote": {`a "b`, "closing quote `\"`, at byte 3"},
		"an_open_single_quote": {`a 'b`, "closing quote `'`, at byte 3"},
		"a_pipe":               {"a | b", "more than one program"},
		"a_list_of_commands":   {"a; b", "more than one program"},
		"a_second_line":        {"a\nb", "more than one program"},
		"an_end_of_list":       {"a;", "more than one program"},
		"the_background":       {"a &", "more than one program"},
		"a_redirection":        {"a > b", "more than one program"},
		"an_assignment":        {"A=1 b", "more than one program"},
		"a_negation":           {"! a", "more than one program"},
		"a_subshell":           {"(a)", "more than one program"},
		"a_variable":           {`a $HOME`, "begins at byte 3: put it between single quotes, or use --shell"},
		"a_substitution":       {"a `b`", "begins at byte 3"},
		"a_keyword":            {"if a", "at byte 1"},
		"behind_other_letters": {"é `b`", "begins at byte 4"},
	} {
		t.Run("refuses_"+name, func(t *testing.T) {
			got, err := Split(c.line)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	for line := range plain {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := Split(line)
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		again, err := Split(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(again, words) {
			t.Errorf("%q: %q, quoted again %q, %v", line, words, again, err)
		}
	})
}

func TestShell(t *testing.T) {
	for script, uses := range map[string]bool{
		`convert "$1"`: true, "echo ${1%.png}": true, `set -- "$@"`: true, `echo "$*"`: true, "for x; do echo $x; done": true,
		`sh -c "echo $1"`: true, "(cat <<E\n$1\nE\n)": true, `a=$(printf %s "${1-none}")`: true, `f() { cat; }; f "$1"`: true, `echo ${#1}`: true,
		"cat": false, "echo $#": false, `awk '{print $1}'`: false, `sed "s/x$/y/"`: false, `f() { echo "$1"; }; f x; cat`: false, `echo \$1`: false,
		"cat <<'E'\n$1\nE": false, "# $1\ncat": false, "for x in a b; do cat; done": false, "echo ${10}": false,
	} {
		words := []string{"sh", "-c", script, "sh"}
		if uses {
			words = append(words, "{}")
		}
		if got, err := Shell(script); err != nil || !slices.Equal(got, words) {
			t.Errorf("%s: %q, %v", script, got, err)
		}
	}
	for script, want := range map[string]string{" \n": "empty", "echo {}": `write "$1" there`, "echo 'x": "closing quote `'`, at byte 6", "if x": "at byte 1"} {
		if _, err := Shell(script); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", script, err)
		}
	}
}

func TestHeadKeepsTheBeginningAndGivesUpOnce(t *testing.T) {
	given := 0
	h := &head{keep: 5, most: 10, giveUp: func() { given++ }}
	for range 4 {
		if n, err := h.Write([]byte("abc")); n != 3 || err != nil {
			t.Fatal(n, err)
		}
	}
	if string(h.data) != "abcab" || h.size != 12 || given != 1 {
		t.Errorf("%q, %d, given up %d times", h.data, h.size, given)
	}
	_, _ = h.Write([]byte("abc"))
	if given != 1 {
		t.Errorf("given up %d times", given)
	}
}

func TestTailKeepsTheLastLines(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("line\n", n) }
	for name, c := range map[string]struct{ in, want string }{
		"nothing":                 {"", ""},
		"blanks":                  {" \n\n", ""},
		"a_line":                  {"oops\n", "oops"},
		"lines":                   {"a\nb", "a\nb"},
		"the_last_lines":          {"first\n" + lines(10), strings.TrimSpace(lines(10))},
		"the_end_of_a_long_line":  {strings.Repeat("x", 5000) + "end", "…" + strings.Repeat("x", tailBytes-3) + "end"},
		"no_half_of_a_character":  {strings.Repeat("é", 3000) + "e", "…\uFFFD" + strings.Repeat("é", tailBytes/2-1) + "e"},
		"the_last_of_many_lines":  {lines(5000), strings.TrimSpace(lines(10))},
		"bytes_that_are_no_UTF-8": {"a\xff\xfeb", "a\uFFFDb"},
	} {
		t.Run(name, func(t *testing.T) {
			var whole, bytewise tail
			_, _ = whole.Write([]byte(c.in))
			for _, b := range []byte(c.in) {
				_, _ = bytewise.Write([]byte{b})
			}
			if whole.String() != c.want || bytewise.String() != c.want {
				t.Errorf("%q, want %q", whole.String(), c.want)
			}
			if cap(bytewise.data) > 4*maxStream || !bytes.Equal(whole.data, bytewise.data) {
				t.Errorf("keeps %d bytes", cap(bytewise.data))
			}
		})
	}
}

func TestLinesOfASupervisorAreParsed(t *testing.T) {
	for text, want := range map[string]fate{
		"":                         {},
		"group 77":                 {group: 77},
		"begins\ngroup 77":         {begins: true, group: 77},
		"group 77\nstatus 256":     {group: 77, status: 256, known: true},
		"group 77\nstopped":        {group: 77, stopped: true},
		"error 2":                  {err: 2, known: true},
		"group 1":                  {},
		"group -5\nstatus soon\nx": {},
	} {
		var got fate
		for line := range strings.SplitSeq(text, "\n") {
			got.add(line)
		}
		if got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}
