package scenario

import (
	"io"
	"strings"
	"testing"

	"taskkeeper/internal/lab/mutants"
	"taskkeeper/internal/lab/zktest"
)

func TestMain(m *testing.M) { zktest.Main(m) }

func refusal(args ...string) error {
	cmd := Command()
	cmd.SetArgs(args)
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	return cmd.Execute()
}

func TestAWrongNameIsRefusedInOneShortLineThatNamesTheFlag(t *testing.T) {
	for _, args := range [][]string{{}, {"nope"}, {strings.Repeat("\x1b", 1000)}, {"a", "b"}, {"3-compete", "--without", strings.Repeat("\x1b", 1000)}} {
		err := refusal(args...)
		if err == nil || len(err.Error()) > 320 || strings.ContainsAny(err.Error(), "\n\x1b") || !strings.Contains(err.Error(), "--list") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestARuleIsTakenAwayOnlyWhereThatShows(t *testing.T) {
	for _, tt := range []struct{ rule, name, want string }{
		{"fence", "3-compete", "take 4-master-lags"},
		{"sync", "3-compete", "lab mutants sync"},
	} {
		if err := refusal("--without", tt.rule, tt.name); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s of %s: %v", tt.rule, tt.name, err)
		}
	}
	if err := refusal("--without", "fence", "--evidence", t.TempDir(), "4-master-lags"); err == nil || !strings.Contains(err.Error(), "--evidence") {
		t.Errorf("with --evidence: %v", err)
	}
	for _, r := range mutants.Rules {
		for _, name := range r.Scenarios {
			if _, ok := scenarios[name]; !ok {
				t.Errorf("rule %s: there is no scenario %s", r.Name, name)
			}
		}
	}
}
