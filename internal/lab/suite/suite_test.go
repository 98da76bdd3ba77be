package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

// project makes a module of files by their paths, each in a package of its own.
func project(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files["go.mod"] = "module example"
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRun(t *testing.T) {
	const head = "package p\nimport \"testing\"\n"
	dir := project(t, map[string]string{
		"good/a_test.go": head + `func TestA(t *testing.T) { t.Run("b", func(*testing.T) {}); t.Run("c", func(*testing.T) {}) }; func TestD(t *testing.T) { t.Log("unasked"); t.Skip("here") }`,
		"bad/a_test.go":  head + `func TestA(t *testing.T) { t.Run("b", func(t *testing.T) { t.Error("why\nexit status 7\nFAIL: the disk") }); t.Run("c", func(t *testing.T) { t.Log("fine") }) }`,
		"none/a_test.go": head + `func TestA(t *testing.T) { nothing() }`,
		"left/a_test.go": head + `import "os"; func TestMain(m *testing.M) { m.Run(); println("a goroutine is left"); os.Exit(1) }; func TestA(*testing.T) {}`,
	})
	for _, c := range []struct {
		name  string
		lanes [][]way
		lines []string // each matches, without regard to the order
		not   string
		err   string
	}{
		{"counts_tests_that_pass", [][]way{{{dir: dir, args: []string{"./good"}}}, {{dir: dir, name: "again", args: []string{"./good"}}}},
			[]string{`ok +\texample/good\t[0-9.]+s\t3 tests, 1 skipped`, `ok +\texample/good\t[0-9.]+s\t3 tests, 1 skipped, again`, `6 tests in \d+s`}, "unasked", ""},
		{"prints_at_the_end_what_failed_tests_wrote", [][]way{{{dir: dir, args: []string{"./bad", "./good"}}}},
			[]string{`FAIL\texample/bad\t[0-9.]+s\t2 tests`, `ok +\texample/good\t.*`, `TestA/b failed, in bad`, ` +a_test.go:\d+: why`, ` +exit status 7`, ` +FAIL: the disk`}, "fine", "1 of 5 tests failed in "},
		{"fails_where_a_package_cannot_be_built", [][]way{{{dir: dir, args: []string{"./none", "./good"}}}},
			[]string{`FAIL\texample/none\t0.0s\t0 tests`, `ok +\texample/good\t.*`, `the package failed, in none`, `none/a_test.go:3:\d+: undefined: nothing`}, "", "1 of 3 tests failed in "},
		{"fails_where_only_the_package_fails", [][]way{{{dir: dir, args: []string{"./left"}}}},
			[]string{`FAIL\texample/left\t[0-9.]+s\t1 tests`, `the package failed, in left`, `a goroutine is left`}, "", "1 of 1 tests failed in "},
		{"goes_on_with_the_next_way_after_a_failure", [][]way{{{dir: dir, args: []string{"./none"}}, {dir: dir, args: []string{"./good"}}}},
			[]string{`FAIL\texample/none\t.*`, `ok +\texample/good\t.*`}, "", "1 of 3 tests failed in "},
		{"fails_where_go_test_refuses_its_arguments", [][]way{{{dir: dir, args: []string{"-p", "few"}}, {dir: dir, args: []string{"./bad"}}}},
			[]string{`FAIL\texample/bad\t.*`}, "", `1 of 2 tests failed in \d+s\ngo test -p few: exit status 2\n.*invalid value "few"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := run(t.Context(), c.lanes, &out)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !regexp.MustCompile("^"+c.err).MatchString(err.Error())) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			for _, l := range c.lines {
				if !regexp.MustCompile(`(?m)^` + l + `$`).MatchString(out.String()) {
					t.Errorf("no line %q", l)
				}
			}
			if c.not != "" && strings.Contains(out.String(), c.not) {
				t.Errorf("says %q", c.not)
			}
			if t.Failed() {
				t.Logf("output:\n%s", out.String())
			}
		})
	}
}

func TestASignalEndsWhatItRuns(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	dir := project(t, map[string]string{"waits/a_test.go": fmt.Sprintf(`package p
import ("os"; "testing"; "time")
func TestA(*testing.T) { os.WriteFile(%q, nil, 0o600); time.Sleep(time.Hour) }`, started)})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, [][]way{{{dir: dir, args: []string{"./waits"}}}}, io.Discard) }()
	zktest.Eventually(t, "the test runs", func() (bool, string) { _, err := os.Stat(started); return err == nil, fmt.Sprint(err) })
	cancel()
	if err := zktest.Receive(t, "end", ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestShorten(t *testing.T) {
	lines := func(from, to int) (text string) {
		for i := from; i <= to; i++ {
			text += fmt.Sprintln(i)
		}
		return text
	}
	for n, want := range map[int]string{
		0: "", 160: lines(1, 160), 200: lines(1, firstLines) + "    … 40 lines\n" + lines(101, 200),
	} {
		if got := shorten(lines(1, n)); got != want {
			t.Errorf("%d lines:\n%s", n, got)
		}
	}
}

// Each package is tested once with the race detector. A package that has tests for a build without it is
// tested once more.
func TestLanesLeaveOutNothing(t *testing.T) {
	lanes, err := lanes("../../..")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, lane := range lanes {
		for _, w := range lane {
			for _, a := range w.args {
				if strings.Contains(a, "testdata") {
					t.Errorf("%s is tested, which is no package of the project", a)
				}
				if strings.HasPrefix(a, "taskkeeper/") {
					got[w.args[0]+" "+a]++
				}
			}
		}
	}
	files, err := filepath.Glob("../../../*/*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("../../../*/*/*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, deeper...) {
		way := "-race "
		if strings.HasSuffix(f, "_norace_test.go") {
			way = "-run "
		}
		name, _ := strings.CutPrefix(filepath.Dir(f), "../../../")
		if n := got[way+"taskkeeper/"+name]; n != 1 {
			t.Errorf("%s%s is tested %d times", way, name, n)
		}
	}
}
