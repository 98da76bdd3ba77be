package main

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// template makes a command line of a task's lines of input. Its placeholders are those of
// GNU parallel:
//
//	{}    the line                 dir/a.tar.gz
//	{.}   without its extension    dir/a.tar
//	{/}   the file's name          a.tar.gz
//	{//}  the folder               dir
//	{/.}  the name without it      a.tar
//	{#}   the task's number        1
//
// Each becomes a part of one word, whatever the line holds. A word with a placeholder for a
// line is repeated for each line of the task.
type template struct {
	words []word // with shell one word, the script
	shell bool
}

// word is text and placeholders in turn. It begins with text, which may be empty.
type word struct {
	texts, holes []string // one text more than holes
}

var placeholders = regexp.MustCompile(`\{(\.|/|//|/\.|#)?\}`)

func parseWord(s string) word {
	return word{texts: placeholders.Split(s, -1), holes: placeholders.FindAllString(s, -1)}
}

// ofLines reports whether a word has a placeholder that stands for a line.
func (w word) ofLines() bool {
	for _, hole := range w.holes {
		if hole != "{#}" {
			return true
		}
	}
	return false
}

// fill replaces each placeholder by its value.
func (w word) fill(value func(hole string) string) string {
	var b strings.Builder
	for i, text := range w.texts {
		b.WriteString(text)
		if i < len(w.holes) {
			b.WriteString(value(w.holes[i]))
		}
	}
	return b.String()
}

// newTemplate reads the words of a command. Without any placeholder the line is appended.
// With shell the words are joined by blanks into a script.
func newTemplate(words []string, shell bool) (*template, error) {
	if shell {
		words = []string{strings.Join(words, " ")}
	}
	if strings.TrimSpace(words[0]) == "" {
		return nil, errors.New("the command behind -- is empty: give a program and its arguments")
	}
	if err := misread(words, shell); err != nil {
		return nil, err
	}
	t := &template{shell: shell}
	holes := 0
	for _, s := range words {
		if strings.ContainsRune(s, 0) {
			return nil, errZero
		}
		w := parseWord(s)
		holes += len(w.holes)
		t.words = append(t.words, w)
	}
	switch {
	case holes > 0:
	case shell:
		t.words[0] = parseWord(words[0] + " {}")
	default:
		t.words = append(t.words, parseWord("{}"))
	}
	if shell {
		return t, checkScript(t.words[0])
	}
	return t, nil
}

// shells read the word behind -c as a script.
var shells = []string{"sh", "ash", "bash", "dash", "ksh", "zsh"}

// misread refuses words that GNU parallel or a shell reads in another way.
func misread(words []string, shell bool) error {
	if i := slices.Index(words, ":::"); i >= 0 {
		return errors.New("::: is not known here: give the input by --file or on standard input, one line for each task")
	}
	if shell {
		return nil
	}
	if len(words) == 1 && strings.ContainsAny(words[0], " \t\n") && !strings.Contains(words[0], "/") {
		return fmt.Errorf("%.80q is one word, the name of a program: leave the quotes out, or add --shell for a shell to read it", words[0])
	}
	if len(words) > 2 && slices.Contains(shells, path.Base(words[0])) && strings.HasPrefix(words[1], "-") && strings.HasSuffix(words[1], "c") &&
		placeholders.MatchString(words[2]) {
		return fmt.Errorf("a placeholder in the script behind %s %s: its value could become code; use --shell -- SCRIPT, which quotes it", words[0], words[1])
	}
	return nil
}

var errZero = errors.New("holds a zero byte, so it cannot be an argument of a command")

// line returns the command line for a task. It fails if a line holds a zero byte.
func (t *template) line(number int, lines [][]byte) (string, error) {
	for _, l := range lines {
		if strings.ContainsRune(string(l), 0) {
			return "", errZero
		}
	}
	value := func(hole string, line []byte) string {
		if hole == "{#}" {
			return strconv.Itoa(number)
		}
		return valueOf(hole, string(line))
	}
	if t.shell {
		script := t.words[0].fill(func(hole string) string {
			of := lines
			if hole == "{#}" {
				of = lines[:1]
			}
			values := make([]string, len(of))
			for i, l := range of {
				values[i] = quote(value(hole, l), true)
			}
			return strings.Join(values, " ")
		})
		return quoteAll([]string{"sh", "-c", script}), nil
	}
	var words []string
	for _, w := range t.words {
		of := lines
		if !w.ofLines() {
			of = lines[:1]
		}
		for _, l := range of {
			words = append(words, w.fill(func(hole string) string { return value(hole, l) }))
		}
	}
	return quoteAll(words), nil
}

// valueOf returns the value of a placeholder.
func valueOf(hole, line string) string {
	switch hole {
	case "{.}":
		return withoutExtension(line)
	case "{/}":
		return base(line)
	case "{//}":
		return folder(line)
	case "{/.}":
		return withoutExtension(base(line))
	}
	return line
}

// withoutExtension cuts a path at the last dot of the file's name.
func withoutExtension(path string) string {
	if dot := strings.LastIndexByte(path, '.'); dot > strings.LastIndexByte(path, '/') {
		return path[:dot]
	}
	return path
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// folder is what dirname(1) prints.
func folder(path string) string {
	rest := strings.TrimRight(path, "/")
	slash := strings.LastIndexByte(rest, '/')
	switch {
	case rest == "" && path != "":
		return "/"
	case slash < 0:
		return "."
	}
	if rest = strings.TrimRight(rest[:slash], "/"); rest == "" {
		return "/"
	}
	return rest
}
