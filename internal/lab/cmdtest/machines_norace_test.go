//go:build !race

// make builds what the test runs, without the race detector.

package cmdtest

import (
	"regexp"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

// TestLongRunSeveralMachines runs the README's commands for several machines as they stand: on machines
// with a real systemd, in namespaces. Then it closes that installation by the documentation of package access.
func TestLongRunSeveralMachines(t *testing.T) {
	zktest.OpenOnly(t, "its servers are those of the README")
	s := newConsole(t, checkout(t), machines)
	s.play(steps("README.md", readFile(t, readmePath)), 10)
	const file = "internal/access/doc.go"
	code := regexp.MustCompile(`(?m)^//\t`).ReplaceAllString(readFile(t, "../../../"+file), "    ")
	s.play(steps(file, code), 10)
}
