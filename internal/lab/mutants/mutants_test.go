package mutants

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRules fails for each rule whose patch is to be mended, because the source has moved on.
func TestRules(t *testing.T) {
	names := make(map[string]bool)
	for _, r := range Rules {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			w, err := open()
			if err != nil {
				t.Fatal(err)
			}
			defer w.close()
			overlay, err := r.overlay(w.root, w.dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.tool(t.Context(), "build", "-overlay", overlay, "./"+path.Dir(r.File)); err != nil {
				t.Error(err)
			}
		})
		if names[r.Name] {
			t.Errorf("two rules are named %s", r.Name)
		}
		names[r.Name] = true
		for _, says := range []string{r.Says, r.Prevents} {
			if !strings.HasSuffix(says, ".") {
				t.Errorf("%s: %q is no sentence", r.Name, says)
			}
		}
	}
}

// TestCommand takes a rule of the product away.
func TestCommand(t *testing.T) {
	var out bytes.Buffer
	cmd := Command()
	cmd.SetArgs([]string{"number"})
	cmd.SetOut(&out)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "number ") || !strings.HasSuffix(out.String(), "all 1 are caught\n") {
		t.Error(out.String())
	}
}

// broken is a rule of the package in testdata, and a test of it.
func broken(test string) Rule {
	const dir = "internal/lab/mutants/testdata/kept"
	return Rule{Name: "kept", File: dir + "/kept.go", Old: "	return true", New: "	return false", Package: dir, Test: test}
}

func TestCheck(t *testing.T) {
	harmless, nonsense, moved := broken("TestNotices$"), broken("TestNotices$"), broken("TestNotices$")
	harmless.New = "	return !false"
	nonsense.New = "	return nil"
	moved.Old = "	return maybe"
	for name, tt := range map[string]struct {
		rule Rule
		said string
		err  string // "" for none
	}{
		"a test that fails without the rule catches that":         {broken("TestNotices$"), " caught ", ""},
		"so does one whose process ends":                          {broken("TestPanics"), " caught ", ""},
		"a test that passes without the rule catches nothing":     {broken("TestNoticesNothing"), " NOT CAUGHT ", "1 of 1 rules"},
		"a patch that changes nothing is not caught":              {harmless, " NOT CAUGHT ", "1 of 1 rules"},
		"a test that fails with the rule as well catches nothing": {broken("TestFails"), "TestFails fails with the rule as well", "1 of 1 rules"},
		"a patch that does not compile is an error":               {nonsense, "", "rule kept: go test -c"},
		"a patch of what is not there is an error":                {moved, "", "mend the patch"},
		"a test that is not there is an error":                    {broken("TestNone"), "", "there is no test TestNone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := check(t.Context(), &out, []Rule{tt.rule})
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if !strings.Contains(out.String(), tt.said) {
				t.Errorf("said %q, want %q", &out, tt.said)
			}
		})
	}
}

// started ends a context at the first output.
type started struct{ cancel context.CancelFunc }

func (s started) Write(p []byte) (int, error) { s.cancel(); return len(p), nil }

func TestNothingIsLeftWhenItIsStopped(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := check(ctx, started{cancel}, []Rule{broken("TestNotices$"), broken("TestWaits")})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("check: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestItSaysWhatItNeeds(t *testing.T) {
	t.Run("a checkout", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if err := check(t.Context(), io.Discard, Rules); err == nil || !strings.Contains(err.Error(), "not inside a checkout") {
			t.Error(err)
		}
	})
	t.Run("the name of a rule", func(t *testing.T) {
		cmd := Command()
		cmd.SetArgs([]string{strings.Repeat("\x1b", 100)})
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.ExecuteContext(t.Context()); err == nil || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), "--list") {
			t.Error(err)
		}
	})
}
