package main

import (
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

// The programs contain no code of the lab, nor a library that only the lab needs.
func TestNothingOfTheProductImportsTheLab(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "taskkeeper/cmd/master", "taskkeeper/cmd/worker",
		"taskkeeper/cmd/client", "taskkeeper/cmd/election", "taskkeeper/cmd/example").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if len(packages) < 50 {
		t.Fatalf("go list names %d packages", len(packages))
	}
	for _, p := range packages {
		if strings.HasPrefix(p, "taskkeeper/internal/lab") || strings.HasPrefix(p, "gonum.org/") || strings.HasPrefix(p, "golang.org/x/image") {
			t.Errorf("a program imports %s", p)
		}
	}
}

func TestHelpFitsInto80Columns(t *testing.T) {
	for _, verb := range command().Commands() {
		for line := range strings.Lines(verb.Long) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s: %d columns: %s", verb.Name(), n, line)
			}
		}
	}
}
