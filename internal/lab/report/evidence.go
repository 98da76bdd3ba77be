package report

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// evidence is the folder that the runs wrote to.
type evidence string

// text reads NAME.txt.
func (e evidence) text(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(string(e), name+".txt"))
	return strings.TrimSpace(string(b)), err
}

// rows reads NAME.csv, without its heading.
func (e evidence) rows(name string) ([][]string, error) {
	f, err := os.Open(filepath.Join(string(e), name+".csv"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("%s is empty", f.Name())
	}
	return rows[1:], nil
}

// fill executes the report's template. In it,
//
//	{{times "a" "b"}}         is a table of what scenarios a and b measured
//	{{lines "a" "x" "y"}}     are the lines of a that contain x or y, indented
//	{{whole "a"}}             is all of a, as it is
//	{{count "a" "text"}}      is the number that stands behind the text in a
func (e evidence) fill(path string) (string, error) {
	t, err := template.New(filepath.Base(path)).Funcs(template.FuncMap{
		"times": e.times, "lines": e.lines, "whole": e.text, "count": e.count,
	}).ParseFiles(path)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = t.Execute(&out, nil)
	return out.String(), err
}

// aTime is a check of a scenario that has a time and a bound.
var aTime = regexp.MustCompile(`(?m)^  ok +(.*): (\d+) ms, at most (\d+)$`)

func (e evidence) times(names ...string) (string, error) {
	table := "| scenario | what | ms | at most |\n| --- | --- | --: | --: |"
	for _, name := range names {
		text, err := e.text(name)
		if err != nil {
			return "", err
		}
		found := aTime.FindAllStringSubmatch(text, -1)
		if found == nil {
			return "", fmt.Errorf("nothing was measured in %s", name)
		}
		for _, m := range found {
			table += fmt.Sprintf("\n| %s | %s | %s | %s |", name, m[1], m[2], m[3])
			name = ""
		}
	}
	return table, nil
}

func (e evidence) lines(name string, with ...string) (string, error) {
	text, err := e.text(name)
	if err != nil {
		return "", err
	}
	for _, w := range with {
		if !strings.Contains(text, w) {
			return "", fmt.Errorf("%s has no line with %q", name, w)
		}
	}
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if slices.ContainsFunc(with, func(w string) bool { return strings.Contains(line, w) }) {
			out = append(out, "    "+strings.TrimRight(line, " "))
		}
	}
	return strings.Join(out, "\n"), nil
}

func (e evidence) count(name, what string) (string, error) {
	text, err := e.text(name)
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(regexp.QuoteMeta(what) + `(\d+)`).FindStringSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s: no number behind %q", name, what)
	}
	return m[1], nil
}
