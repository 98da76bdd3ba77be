package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// event is a line of go test -json.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of a package that is built, for build-output
	Test        string // empty: of the package
	Elapsed     float64
	Output      string
	FailedBuild string // what could not be built, an ImportPath
}

// run runs go test, and reports each package. It returns an error if go test fails and no
// package does.
func (w way) run(ctx context.Context, r *report) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-timeout", "30m"}, w.args...)...)
	cmd.Dir, cmd.Env = w.dir, append(os.Environ(), w.env...)
	// The race detector makes each program that ends well sleep for a second.
	cmd.Env = append(cmd.Env, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=10")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go test does not end its tests by itself
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	tests := tests{way: w, report: r, output: make(map[test]*strings.Builder), parents: make(map[test]bool), packages: make(map[string]*counts)}
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if json.Unmarshal(line, &e) == nil {
			tests.add(e)
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil && !r.has(w, "") {
		return fmt.Errorf("%s: %w\n%s", w, err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// test identifies a test. If the name is empty it is the package, or in a build what is built.
type test struct{ pkg, name string }

// tests holds the tests of one call of go test.
type tests struct {
	way    way
	report *report

	output   map[test]*strings.Builder // of those that have not passed
	parents  map[test]bool             // those that have subtests
	packages map[string]*counts
}

// counts says how many tests of a package have ended. A test with subtests does not count.
type counts struct{ all, skipped int }

func (ts *tests) add(e event) {
	t := test{e.Package, e.Test}
	if e.ImportPath != "" {
		t = test{pkg: e.ImportPath}
	}
	if ts.output[t] == nil {
		ts.output[t] = &strings.Builder{}
	}
	if ts.packages[t.pkg] == nil {
		ts.packages[t.pkg] = &counts{}
	}
	switch e.Action {
	case "output", "build-output":
		if !noise.MatchString(e.Output) {
			ts.output[t].WriteString(e.Output)
		}
	case "run":
		if i := strings.LastIndexByte(e.Test, '/'); i >= 0 {
			ts.parents[test{e.Package, e.Test[:i]}] = true
		}
	case "pass", "fail", "skip":
		if e.Test == "" {
			ts.ended(e)
			return
		}
		if n := ts.packages[e.Package]; !ts.parents[t] {
			n.all++
			if e.Action == "skip" {
				n.skipped++
			}
		}
		if e.Action == "fail" {
			ts.failed(t, ts.parents[t])
		}
		delete(ts.output, t)
	}
}

// ended reports a package.
func (ts *tests) ended(e event) {
	t := test{pkg: e.Package}
	ts.output[t].WriteString(ts.text(test{pkg: e.FailedBuild}))
	if e.Action == "fail" {
		ts.failed(t, ts.report.has(ts.way, e.Package))
	}
	n := ts.packages[e.Package]
	verdict := map[string]string{"pass": "ok", "skip": "ok", "fail": "FAIL"}[e.Action]
	line := fmt.Sprintf("%-4s\t%s\t%.1fs\t%d tests", verdict, e.Package, e.Elapsed, n.all) // as go test has it
	if n.skipped > 0 {
		line += fmt.Sprintf(", %d skipped", n.skipped)
	}
	if ts.way.name != "" {
		line += ", " + ts.way.name
	}
	ts.report.line(line, n.all)
}

// text returns what a test or a build wrote.
func (ts *tests) text(t test) string {
	if b := ts.output[t]; b != nil {
		return b.String()
	}
	return ""
}

// failed keeps the output of a failed test. An empty output is left out if others have failed (subtests,
// or tests of the package): their output says why.
func (ts *tests) failed(t test, others bool) {
	if text := ts.text(t); text != "" || !others {
		ts.report.failed(failure{ts.way, t, text})
	}
}

// noise matches the lines of go test that only repeat what the report says. What a test itself says is
// indented by more.
var noise = regexp.MustCompile(`^(=== [A-Z]+ |(    )*--- FAIL: Test|(FAIL|PASS)(\s|$)|exit status \d+$)`)

// of returns the name of a package and how it was tested.
func (w way) of(pkg string) string {
	_, name, _ := strings.Cut(pkg, "/")
	if w.name != "" {
		name += ", " + w.name
	}
	return name
}

// failure is a test that has failed, or a package that has failed though none of its tests has.
type failure struct {
	way way
	test
	text string
}

// report prints a line for each package, and at the end the failures.
type report struct {
	mu       sync.Mutex // guards all
	out      io.Writer
	tests    int
	failures []failure
}

// line prints the line of a package with so many tests.
func (r *report) line(line string, tests int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tests += tests
	fmt.Fprintln(r.out, line)
}

func (r *report) failed(f failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, f)
}

// has says whether a test of a package has failed, or of any package if that is empty.
func (r *report) has(w way, pkg string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.failures {
		if f.way.String() == w.String() && (pkg == "" || f.pkg == pkg) {
			return true
		}
	}
	return false
}

// The report shows so many lines of a failed test's output: the first ones, and the last ones, which say
// why it failed and end with 30 lines of the log of each server.
const firstLines, lastLines = 60, 100

func shorten(text string) string {
	lines := slices.Collect(strings.Lines(text))
	left := len(lines) - firstLines - lastLines
	if left <= 0 {
		return text
	}
	return strings.Join(lines[:firstLines], "") + fmt.Sprintf("    … %d lines\n", left) + strings.Join(lines[firstLines+left:], "")
}

// end prints the failures with their output, and returns their number.
func (r *report) end() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.failures {
		name := f.name
		if name == "" {
			name = "the package"
		}
		fmt.Fprintf(r.out, "\n%s failed, in %s\n%s", name, f.way.of(f.pkg), shorten(f.text))
	}
	return len(r.failures)
}
