package mutants

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Rule is one that the product keeps, and how to take it away.
type Rule struct {
	Name     string
	Says     string // the rule
	Prevents string // the bug that it prevents
	File     string // where it stands, from the root of the checkout
	Old, New string // Old stands once in File; with New in its place the rule is gone

	Package   string   // of the test that catches that, from the root of the checkout
	Test      string   // its name, as for go test -run
	Scenarios []string // that show what happens without the rule
}

// Find returns a rule by its name.
func Find(name string) (Rule, error) {
	i := slices.IndexFunc(Rules, func(r Rule) bool { return r.Name == name })
	if i < 0 {
		return Rule{}, fmt.Errorf("there is no rule %.40q; lab mutants --list prints their names", name)
	}
	return Rules[i], nil
}

// Shown fails unless a scenario shows what happens without the rule.
func (r Rule) Shown(scenario string) error {
	switch {
	case len(r.Scenarios) == 0:
		return fmt.Errorf("no scenario shows what happens without the rule %s; lab mutants %s runs the test that catches it", r.Name, r.Name)
	case !slices.Contains(r.Scenarios, scenario):
		return fmt.Errorf("%s does not show what happens without the rule %s; take %s", scenario, r.Name, strings.Join(r.Scenarios, " or "))
	}
	return nil
}

// Diff is the patch, line by line, without the indentation that all lines share.
func (r Rule) Diff() string {
	indent := r.Old[:len(r.Old)-len(strings.TrimLeft(r.Old, "\t"))]
	old, fresh := strings.Split(r.Old, "\n"), strings.Split(r.New, "\n")
	lines := []string{r.File}
	add := func(mark string, some []string) {
		for _, line := range some {
			lines = append(lines, mark+strings.TrimPrefix(line, indent))
		}
	}
	same := 0
	for same < min(len(old), len(fresh)) && old[same] == fresh[same] {
		same++
	}
	add("  ", old[:same])
	add("- ", old[same:])
	add("+ ", fresh[same:])
	return strings.Join(lines, "\n")
}

// patched is the source without the rule.
func (r Rule) patched(source string) (string, error) {
	if n := strings.Count(source, r.Old); n != 1 {
		return "", fmt.Errorf("%q stands %d times in %s, not once: mend the patch", r.Old, n, r.File)
	}
	return strings.Replace(source, r.Old, r.New, 1), nil
}

// overlay writes into dir what go build -overlay is given, and returns its path.
func (r Rule) overlay(root, dir string) (path string, err error) {
	real := filepath.Join(root, r.File)
	source, err := os.ReadFile(real)
	if err != nil {
		return "", err
	}
	text, err := r.patched(string(source))
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, filepath.Base(r.File))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, fmt.Appendf(nil, `{"Replace": {%q: %q}}`, real, file), 0o644)
}
