package main

import (
	"slices"
	"strings"
	"testing"

	workers "taskkeeper/internal/command"
)

func TestCommandTemplate(t *testing.T) {
	for name, tc := range map[string]struct {
		words []string
		shell bool
		lines []string
		want  string
	}{
		"a line is appended":                {[]string{"gzip", "-9"}, false, []string{"a b"}, "gzip -9 'a b'"},
		"the line":                          {[]string{"gzip", "{}", "-9"}, false, []string{"it's"}, `gzip 'it'\''s' -9`},
		"an empty line is a word":           {[]string{"echo"}, false, []string{""}, "echo ''"},
		"without its extension":             {[]string{"echo", "{.}"}, false, []string{"d.x/a.tar.gz"}, "echo d.x/a.tar"},
		"no extension but the folder's":     {[]string{"echo", "{.}"}, false, []string{"d.x/a"}, "echo d.x/a"},
		"the file's name":                   {[]string{"echo", "{/}"}, false, []string{"d/e/a.gz"}, "echo a.gz"},
		"the folder":                        {[]string{"echo", "{//}"}, false, []string{"d/e/a.gz"}, "echo d/e"},
		"the folder of a mere name":         {[]string{"echo", "{//}"}, false, []string{"a.gz"}, "echo ."},
		"the folder at the root":            {[]string{"echo", "{//}"}, false, []string{"/a"}, "echo /"},
		"the folder of a folder":            {[]string{"echo", "{//}"}, false, []string{"d//e//"}, "echo d"},
		"the root's":                        {[]string{"echo", "{//}"}, false, []string{"//"}, "echo /"},
		"amid other text":                   {[]string{"convert", "{}", "out/{/.}.png"}, false, []string{"d/a b.jpg"}, "convert 'd/a b.jpg' 'out/a b.png'"},
		"the number alone appends nothing":  {[]string{"echo", "{#}"}, false, []string{"a"}, "echo 7"},
		"what is no placeholder stays":      {[]string{"echo", "{x}{", "{}"}, false, []string{"a"}, "echo '{x}{' a"},
		"words stay as they are":            {[]string{"echo", "$HOME", "*", "a|b", ""}, false, []string{"x"}, "echo '$HOME' '*' 'a|b' '' x"},
		"the program may be a keyword":      {[]string{"if", "{}"}, false, []string{"x"}, "'if' x"},
		"the program may be the line":       {[]string{"{}"}, false, []string{"A=b"}, "'A=b'"},
		"several lines are words":           {[]string{"rm", "{}", "-{#}"}, false, []string{"a", "b c"}, "rm a 'b c' -7"},
		"a word is there for each line":     {[]string{"cp", "{}.x{#}", "to"}, false, []string{"a", "b"}, "cp a.x7 b.x7 to"},
		"a script":                          {[]string{"cat", "{}", "|", "wc -l >{/}.n"}, true, []string{"d/it's"}, `sh -c 'cat '\''d/it'\''\'\'''\''s'\'' | wc -l >'\''it'\''\'\'''\''s'\''.n'`},
		"a script without placeholder":      {[]string{"grep x <"}, true, []string{"a b"}, `sh -c 'grep x < '\''a b'\'''`},
		"a script of several lines":         {[]string{"cat {} | wc"}, true, []string{"a", "b c"}, `sh -c 'cat a '\''b c'\'' | wc'`},
		"several lines behind the number":   {[]string{"echo {} {#} {}"}, true, []string{"a", "b"}, `sh -c 'echo a b '\''7'\'' a b'`},
		"a number is no descriptor":         {[]string{"echo {}>f"}, true, []string{"2"}, `sh -c 'echo '\''2'\''>f'`},
		"a script that assigns":             {[]string{`x=$(cat {}); echo "$x" {#}`}, true, []string{"a b"}, `sh -c 'x=$(cat '\''a b'\''); echo "$x" '\''7'\'''`},
		"a script's values amid text":       {[]string{`cat \\\\{}{}`}, true, []string{"a"}, `sh -c 'cat \\\\aa'`},
		"a script's value is no assignment": {[]string{"{} {}"}, true, []string{"A=b"}, `sh -c ''\''A=b'\'' '\''A=b'\'''`},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := newTemplate(tc.words, tc.shell)
			if err != nil {
				t.Fatal(err)
			}
			var lines [][]byte
			for _, l := range tc.lines {
				lines = append(lines, []byte(l))
			}
			if got, err := tmpl.line(7, lines); got != tc.want || err != nil {
				t.Errorf("got  %s, %v\nwant %s", got, err, tc.want)
			}
		})
	}
	t.Run("a zero byte is refused", func(t *testing.T) {
		tmpl, err := newTemplate([]string{"echo"}, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tmpl.line(1, [][]byte{[]byte("a\x00")}); err == nil {
			t.Errorf("%q", got)
		}
	})
	t.Run("a placeholder where its quotes are text is refused", func(t *testing.T) {
		for _, script := range []string{
			`echo "{}"`, `echo '{}'`, "echo `cat {}`", "cat <<E\n{}\nE", "cat <<'E'\n{}\nE", "echo a # {}", "echo a #", `echo $(({}))`, `echo ${x:-{}}`,
			`echo "$(cat {})"`, `echo {} "{.}"`, `echo \{}`, `echo {}; (`, `echo TASKKEEPERLINE "{}"`,
		} {
			if tmpl, err := newTemplate([]string{script}, true); err == nil {
				line, _ := tmpl.line(1, [][]byte{[]byte("$(id)")})
				t.Errorf("%s: no error: %s", script, line)
			}
		}
	})
	t.Run("what would be read in another way is refused", func(t *testing.T) {
		for want, words := range map[string][]string{
			"::: is not known here":                    {"echo", "{}", ":::", "a"},
			`"echo $HOME" is one word`:                 {"echo $HOME"},
			"a placeholder in the script behind sh -c": {"sh", "-c", "wc -l < {}"},
			"behind /bin/bash -euc":                    {"/bin/bash", "-euc", "{}"},
		} {
			if _, err := newTemplate(words, false); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v", words, err)
			}
		}
		if _, err := newTemplate([]string{"sh", "-c", `wc -l < "$1"`, "sh", "{}"}, false); err != nil {
			t.Error(err)
		}
	})
	t.Run("an empty command is refused", func(t *testing.T) {
		for _, shell := range []bool{false, true} {
			if _, err := newTemplate([]string{" "}, shell); err == nil {
				t.Error("no error")
			}
		}
	})
}

// FuzzQuote splits what quote has written, as a worker does: the words are the same.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"echo\na b\nc", "A=b\nif", "it's\n\\\n\"$x`", "a\r\n\r", "\xff\n\xe2\x80", "if\nfi", "export\na=b", "é\n\u2028", "~\n#\n*"} {
		f.Add(s, "\n")
	}
	f.Add("a\r\nb|c\r\n", "|")
	f.Fuzz(func(t *testing.T, text, sep string) {
		words := strings.Split(strings.ReplaceAll(text, "\x00", ""), sep)
		if len(words) == 0 || len(words) > 100 || words[0] == "" {
			return // no program
		}
		line := quoteAll(words)
		got, err := workers.Split(line)
		if err != nil || !slices.Equal(got, words) {
			t.Errorf("%q: written %q, read %q, %v", words, line, got, err)
		}
	})
}
