//go:build !race

// What it runs is built by make, without the race detector.

package cmdtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// section returns a section of the README, without its heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("README has no section %q", heading)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	return rest
}

// example is a command in an example of the README, and what is shown below it.
type example struct {
	command string
	output  []string
}

// examples returns the commands behind a prompt, in their order. A command goes on in the
// next line behind a backslash. What it prints ends before the next paragraph.
func examples(text, prompt string) (all []example) {
	goesOn, prints := false, false
	for line := range strings.Lines(text) {
		line, indented := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
		command, is := strings.CutPrefix(line, prompt+" ")
		last := len(all) - 1
		switch {
		case !indented:
			goesOn, prints = false, prints && line == ""
		case goesOn:
			all[last].command += "\n" + line
			goesOn = strings.HasSuffix(line, `\`)
		case is:
			all = append(all, example{command: command})
			goesOn, prints = strings.HasSuffix(line, `\`), true
		case prints:
			all[last].output = append(all[last].output, line)
		}
	}
	return all
}

// shape is a text without what differs from run to run.
func shape(text string) string {
	for _, volatile := range []struct{ pattern, is string }{
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(-\d{10})?`, "ID"},
		{`\b\d+(\.\d+)?(ms|s|m\d+s|m)\b`, "AGE"},
		{`:\d+\b`, ":PID"},
		{`v?\d\S*-g?[0-9a-f]{7,}(-dirty)?|\b[0-9a-f]{7,40}(-dirty)?\b`, "VERSION"},
		{` +`, " "},
	} {
		text = regexp.MustCompile(volatile.pattern).ReplaceAllString(text, volatile.is)
	}
	return strings.TrimSpace(text)
}

// TestLongRunSeveralMachines runs two sections of the README as they stand: on machines with a real
// systemd, in namespaces. The second one closes the installation that the first one made.
func TestLongRunSeveralMachines(t *testing.T) {
	zktest.OpenOnly(t, "its servers are those of the README")
	dir := checkout(t)
	text := section(t, "Several machines")
	var machines string
	for _, e := range examples(text, "$") {
		if machines = strings.TrimPrefix(e.command, "sudo "); strings.HasPrefix(machines, "scripts/machines") {
			break
		}
		p := harness.Run(t, harness.Command{Path: "/bin/bash", Args: []string{"-ec", "cd " + dir + "\n" + e.command}})
		endsWell(t, p)
	}
	inside := append(examples(text, "#"), examples(section(t, "Security"), "#")...)
	if !strings.HasPrefix(machines, "scripts/machines") || len(inside) == 0 {
		t.Fatalf("README says no scripts/machines, or nothing for its shell: %q", machines)
	}
	printsAsShown(t, dir, machines+" bash -e", inside)
}

// TestLongRunAClosedInstallation runs what the README's section on security has for one machine. In
// namespaces of its own its port is free, and what it starts ends with it.
func TestLongRunAClosedInstallation(t *testing.T) {
	dir := checkout(t)
	endsWell(t, harness.Run(t, harness.Command{Path: "make", Args: []string{"-sC", dir, "build"}}))
	printsAsShown(t, dir, "unshare --net --pid --fork --kill-child --mount-proc bash -e", append(
		[]example{{command: "ip link set lo up"}}, examples(section(t, "Security"), "$")...))
}

// checkout returns a folder with a copy of the project as it was committed.
func checkout(t *testing.T) (dir string) {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "taskkeeper")
	if out, err := exec.Command("git", "clone", "-q", root, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// printsAsShown has a shell in a folder do the examples one after the other, and wants each to print what the
// README shows.
func printsAsShown(t *testing.T, dir, shell string, all []example) {
	t.Helper()
	var script strings.Builder
	for i, e := range all {
		fmt.Fprintf(&script, "echo '%s%d'\n%s\n", marker, i, e.command)
	}
	file := dir + "/../script"
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := harness.Run(t, harness.Command{Path: "/bin/bash", Args: []string{"-ec", "cd " + dir + "; exec " + shell + " " + file}})
	endsWell(t, p)
	for i, e := range all {
		if len(e.output) == 0 {
			continue
		}
		_, got, _ := strings.Cut(p.Stdout.String()+"\n", fmt.Sprintf("%s%d\n", marker, i))
		got, _, _ = strings.Cut(got, marker)
		if got, want := shape(got), shape(strings.Join(e.output, "\n")); got != want {
			t.Errorf("%s prints\n%s\nand in README it prints\n%s", e.command, got, want)
		}
	}
}

const marker = "---- command "

// endsWell waits for a process that builds programs, or starts machines.
func endsWell(t *testing.T, p *harness.Child) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if status, err := p.Wait(ctx); err != nil || status != 0 {
		t.Fatalf("%s: exit status %d, %v", p, status, err)
	}
}
