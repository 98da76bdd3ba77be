package cmdtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"taskkeeper/internal/lab/harness"
)

// installed builds the programs, and returns a folder that has them by their installed
// names alone.
func installed(t *testing.T) string {
	t.Helper()
	built, dir := harness.Build(t), t.TempDir()
	for _, name := range []string{"master", "worker", "client"} {
		if err := os.Link(filepath.Join(built, name), filepath.Join(dir, "taskkeeper-"+name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestInstalledProgramsSpeakOfThemselvesByTheirInstalledNames(t *testing.T) {
	t.Parallel()
	dir := installed(t)
	run := func(t *testing.T, status int, line string) string {
		t.Helper()
		words := strings.Fields(line)
		c := harness.Run(t, harness.Command{Path: filepath.Join(dir, words[0]), Args: words[1:]})
		c.Exit(status)
		return c.Stdout.String() + c.Stderr.String()
	}
	for line, want := range map[string]string{
		"taskkeeper-master --none":     "taskkeeper-master: unknown flag: --none (see 'taskkeeper-master --help')",
		"taskkeeper-worker x":          "taskkeeper-worker: unexpected argument \"x\"; a command to execute stands behind --, or in --exec (see 'taskkeeper-worker --help')",
		"taskkeeper-client wait --non": "taskkeeper-client: unknown flag: --non (see 'taskkeeper-client wait --help')",
	} {
		if got := run(t, 2, line); got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
	bare := regexp.MustCompile(`(?m)(^  |[|'] ?)(master|worker|client) .*`)
	for _, program := range []string{"master", "worker", "client", "client run", "client submit", "client wait", "client cancel", "client status"} {
		program = "taskkeeper-" + program
		help := run(t, 0, program+" --help")
		if !strings.Contains(help, "\nUsage:\n  "+program+" ") || !strings.Contains(help, "\nExample:\n  taskkeeper-") {
			t.Errorf("%s: help:\n%s", program, help)
		}
		if found := bare.FindAllString(help, -1); found != nil {
			t.Errorf("%s: help calls a program by its other name: %q", program, found)
		}
	}
	if help := run(t, 0, "taskkeeper-client access --help"); !strings.Contains(help, "\n  master  x509:CN=tk-master\n") {
		t.Errorf("the roles of a policy are no programs:\n%s", help)
	}
	if got := run(t, 0, "taskkeeper-worker --version"); !regexp.MustCompile(`^taskkeeper-worker \S+$`).MatchString(got) {
		t.Errorf("version %q", got)
	}
	if got := run(t, 0, "taskkeeper-client completion bash"); !strings.Contains(got, "complete -o default -F __start_taskkeeper-client taskkeeper-client\n") {
		t.Errorf("completion:\n%s", got)
	}
}
