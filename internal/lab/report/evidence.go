package report

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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

// measured is a check of a scenario that has a time and a bound.
type measured struct {
	what        string
	took, bound string // ms
}

var aMeasurement = regexp.MustCompile(`^  ok +(.*): (\d+) ms, at most (\d+)$`)

func (e evidence) measurements(name string) (ms []measured, err error) {
	text, err := e.text(name)
	if err != nil {
		return nil, err
	}
	for line := range strings.SplitSeq(text, "\n") {
		if m := aMeasurement.FindStringSubmatch(line); m != nil {
			ms = append(ms, measured{m[1], m[2], m[3]})
		}
	}
	if ms == nil {
		return nil, fmt.Errorf("nothing was measured in %s", name)
	}
	return ms, nil
}

// fill executes the report's template. In it,
//
//	{{times "a" "b"}}         is a table of what scenarios a and b measured
//	{{ms "a" "text"}}         is the first time of a whose name contains the text, in ms
//	{{lines "a" "x" "y"}}     are the lines of a that contain x or y, indented
//	{{whole "a"}}             is all of a, as it is
//	{{count "a" "text"}}      is the number that stands behind the text in a
func (e evidence) fill(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	t, err := template.New(filepath.Base(path)).Funcs(template.FuncMap{
		"times": e.times, "ms": e.ms, "lines": e.lines, "whole": e.text, "count": e.count,
	}).Parse(string(b))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	if err := t.Execute(&out, nil); err != nil {
		return "", err
	}
	return out.String(), nil
}

func (e evidence) times(names ...string) (string, error) {
	var b strings.Builder
	b.WriteString("| scenario | what | ms | at most |\n| --- | --- | --: | --: |\n")
	for _, name := range names {
		ms, err := e.measurements(name)
		if err != nil {
			return "", err
		}
		for _, m := range ms {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, m.what, m.took, m.bound)
			name = ""
		}
	}
	return strings.TrimSpace(b.String()), nil
}

func (e evidence) ms(name, what string) (string, error) {
	ms, err := e.measurements(name)
	if err != nil {
		return "", err
	}
	for _, m := range ms {
		if strings.Contains(m.what, what) {
			return m.took, nil
		}
	}
	return "", fmt.Errorf("%s measured nothing like %q", name, what)
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

func (e evidence) count(name, what string) (int, error) {
	text, err := e.text(name)
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(text, what)
	if !ok {
		return 0, fmt.Errorf("%s does not say %q", name, what)
	}
	n, err := strconv.Atoi(regexp.MustCompile(`^\d+`).FindString(rest))
	if err != nil {
		return 0, fmt.Errorf("%s: no number behind %q", name, what)
	}
	return n, nil
}
