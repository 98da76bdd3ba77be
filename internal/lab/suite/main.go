package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/lab/zktest"
)

// Command is the verb.
func Command() *cobra.Command {
	return &cobra.Command{
		Use:   "test",
		Short: "Run all tests",
		Long: `Run all tests of the project, in a checkout of it: with the race detector;
without it the long tests, and those that would meet go-zookeeper's own data
race; and the tests of the programs again under TLS and a policy. There is a
line for each package and way, and at the end what each failed test wrote. The
status is 1 if one failed.`,
		Example: "  make test",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := zktest.Checkout()
			if err != nil {
				return err
			}
			lanes, err := lanes(root)
			if err != nil {
				return err
			}
			return run(cmd.Context(), lanes, cmd.OutOrStdout())
		},
	}
}

// programs is the package whose tests take longest, by far.
const programs = "taskkeeper/internal/lab/cmdtest"

// notTLS matches tests of the programs that do not run again under TLS: long ones, and tests of text,
// pages, processes and files, to which the connection makes no difference. make test-tls runs them too.
const notTLS = "^Test(LongRun|TasksLeave|Hostile|LargeResults|Idle|MakeDist|Units|ManPages|Completion|DryRun|Help|Installed|ZooKeeperScript|Alert|Readme|ShownOutput" +
	"|Page(Tells|Leaves|Keeps|OfAMaster)|Programs|HTTPFlags|Exec(InA|Ends)|OpenFiles|BrokenWorker|RunProgressBar|BlockedLog|ServiceManager|Output)"

// A way is a call of go test.
type way struct {
	name string // what is special about it; empty if nothing is
	dir  string
	env  []string
	args []string
}

// lanes returns all ways. The lanes run at the same time, the ways of a lane one after the other. Most
// tests wait most of the time: so four tests of the programs run at a time, and three other packages.
func lanes(dir string) ([][]way, error) {
	others, norace, err := packages(dir)
	if err != nil {
		return nil, err
	}
	withoutRace := func(args ...string) way {
		return way{name: "without the race detector", dir: dir, args: append([]string{"-run", "^Test(Reconnect|LongRun)"}, args...)}
	}
	return [][]way{
		{
			{dir: dir, args: []string{"-race", "-parallel", "4", programs}},
		},
		{
			{dir: dir, args: append([]string{"-race", "-p", "3"}, others...)},
			withoutRace(append([]string{"-p", "3"}, norace...)...),
			{name: "under TLS", dir: dir, env: []string{"TASKKEEPER_TLS=1"}, args: []string{"-parallel", "4", "-skip", notTLS, programs}},
		},
		{withoutRace("-parallel", "4", programs)},
	}, nil
}

// packages returns the packages with tests, except programs, and those of them that have tests for a
// build without the race detector.
func packages(dir string) (others, norace []string, err error) {
	list := exec.Command("go", "list", "-f", "{{.ImportPath}}\t{{.TestGoFiles}}{{.XTestGoFiles}}", "./...")
	list.Dir, list.Stderr = dir, os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("go list: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		name, files, _ := strings.Cut(line, "\t")
		if name == programs || !strings.Contains(files, "_test.go") {
			continue
		}
		others = append(others, name)
		if strings.Contains(files, "_norace_test.go") {
			norace = append(norace, name)
		}
	}
	return others, norace, nil
}

// run runs all tests, and prints the report.
func run(ctx context.Context, lanes [][]way, out io.Writer) error {
	began := time.Now()
	r := &report{out: out}
	done := make(chan error)
	for _, lane := range lanes {
		go func() { // ends with the programs, which end with ctx
			var all error
			for _, w := range lane {
				all = errors.Join(all, w.run(ctx, r))
			}
			done <- all
		}()
	}
	var all error
	for range lanes {
		all = errors.Join(all, <-done)
	}
	failures := r.end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	took := time.Since(began).Round(time.Second)
	if failures > 0 {
		all = errors.Join(fmt.Errorf("%d of %d tests failed in %v", failures, r.tests, took), all)
	}
	if all == nil {
		fmt.Fprintf(out, "%d tests in %v\n", r.tests, took)
	}
	return all
}

// String returns the command as one types it in a shell.
func (w way) String() string {
	return strings.Join(append(append(w.env[:len(w.env):len(w.env)], "go", "test"), w.args...), " ")
}
