package mutants

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/lab/harness"
)

// Command is the verb.
func Command() *cobra.Command {
	var list bool
	cmd := &cobra.Command{
		Use:   "mutants [RULE...]",
		Short: "Take one rule of the protocol away at a time, and see a test fail",
		Long: `Take one rule of the protocol away at a time: build the product with one line of
its source changed, and run the test that must fail then. All rules, or those
that are named. The status is 1 if a test passes without its rule. The
source itself stays as it is.

It needs the source, in the current folder or above, and Go. To see what happens
without a rule, take it away from a scenario: lab scenario --without RULE NAME.`,
		Example: "  lab mutants --list\n  lab mutants fence commit-version",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			rules := Rules
			if len(args) > 0 {
				rules = nil
			}
			for _, name := range args {
				r, err := Find(name)
				if err != nil {
					return cli.WrongUse("%w", err)
				}
				rules = append(rules, r)
			}
			if list {
				return describe(cmd.OutOrStdout(), rules)
			}
			return check(cmd.Context(), cmd.OutOrStdout(), rules)
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "Print the rules, what each prevents, and what shows that; and end.")
	return cmd
}

func describe(out io.Writer, rules []Rule) error {
	for _, r := range rules {
		lines := []string{r.Says, "Prevents: " + r.Prevents, fmt.Sprintf("Test: %s in %s", r.Test, r.Package)}
		for _, s := range r.Scenarios {
			lines = append(lines, fmt.Sprintf("See it happen: scripts/scenario --without %s %s", r.Name, s))
		}
		if _, err := fmt.Fprintf(out, "%-19s %s\n", r.Name, strings.Join(lines, "\n"+strings.Repeat(" ", 20))); err != nil {
			return err
		}
	}
	return nil
}

// check takes each rule away in turn. It fails if a test passes without its rule.
func check(ctx context.Context, out io.Writer, rules []Rule) error {
	w, err := open()
	if err != nil {
		return err
	}
	defer w.close()
	caught := 0
	whole := make(map[string]string) // test binaries with all rules, by package
	for _, r := range rules {
		began := time.Now()
		v, err := w.try(ctx, r, whole)
		if err != nil {
			return fmt.Errorf("rule %s: %w", r.Name, err)
		}
		if v.caught {
			caught++
		}
		if _, err := fmt.Fprintf(out, "%-19s %-10s %4.1f s  %s\n", r.Name, v, time.Since(began).Seconds(), v.by); err != nil {
			return err
		}
	}
	if caught < len(rules) {
		return fmt.Errorf("%d of %d rules may be taken away, and their tests do not notice", len(rules)-caught, len(rules))
	}
	_, err = fmt.Fprintf(out, "all %d are caught\n", caught)
	return err
}

// verdict says whether a test has caught that a rule was taken away.
type verdict struct {
	caught bool
	by     string // the test that failed, or why none did
}

func (v verdict) String() string {
	if v.caught {
		return "caught"
	}
	return "NOT CAUGHT"
}

// try runs a rule's test with the rule, when it must pass, and without it.
func (w workshop) try(ctx context.Context, r Rule, whole map[string]string) (v verdict, err error) {
	dir, err := os.MkdirTemp(w.dir, "")
	if err != nil {
		return v, err
	}
	defer os.RemoveAll(dir)
	if whole[r.Package] == "" {
		if whole[r.Package], err = w.compile(ctx, r.Package, ""); err != nil {
			return v, err
		}
	}
	failed, err := w.test(ctx, r, whole[r.Package])
	if err != nil {
		return v, err
	}
	if failed != "" {
		return verdict{by: failed + " fails with the rule as well"}, nil
	}
	overlay, err := r.overlay(w.root, dir)
	if err != nil {
		return v, err
	}
	without := w
	without.dir = dir
	binary, err := without.compile(ctx, r.Package, overlay)
	if err != nil {
		return v, err
	}
	failed, err = w.test(ctx, r, binary)
	if err == nil && failed == "" {
		return verdict{by: r.Test + " in " + r.Package + " passes"}, nil
	}
	return verdict{caught: true, by: failed + " in " + r.Package}, err
}

// patience is how long a test may take. Without its rule it may wait for ever.
const patience = "2m"

// test runs a rule's test, and returns the name of a test that failed; "" if none did.
func (w workshop) test(ctx context.Context, r Rule, binary string) (failed string, err error) {
	p, status, err := run(ctx, harness.Command{
		Path: binary, Args: []string{"-test.run", r.Test, "-test.v", "-test.timeout", patience}, Dir: filepath.Join(w.root, r.Package),
		Env: []string{"TMPDIR=" + w.dir}, // what a test leaves that is killed goes with it
	})
	switch {
	case err != nil:
		return "", err
	case !strings.Contains(p.Stdout.String(), "=== RUN"):
		return "", fmt.Errorf("there is no test %s in %s", r.Test, r.Package)
	case status == 0:
		return "", nil
	}
	return failure(p.Stdout.Lines()), nil
}

var failures = regexp.MustCompile(`^ *--- FAIL: (\S+)`)

// failure is the innermost test that failed, of a test's output. There is none where the tests
// did not come to an end.
func failure(lines []string) (name string) {
	name = "the end of the test's process"
	for _, line := range lines {
		if m := failures.FindStringSubmatch(line); m != nil {
			name = m[1]
		}
	}
	return name
}
