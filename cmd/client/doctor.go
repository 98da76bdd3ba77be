package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/inspect"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/session"
)

func doctorCommand(common *cli.Common) *cobra.Command {
	var mend, yes bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what is wrong in the tree, and how to mend it",
		Long: `Look for znodes that no program of the service leaves behind. The command looks
twice, so that a change in progress is not reported. Each finding is a line,
followed by the command of ZooKeeper's shell that mends it, indented by four
blanks. That command is missing when a shell could read the znode's name as more
than a name. Without --mend doctor writes nothing.

With --mend the command prints each finding with its number and its remedy, and
asks; then it looks again. With --yes it mends all findings, and prints a line
about each. A znode that has changed since it was found is left alone. Exit
status: 0 when nothing is wrong (any more), 1 when a finding is left or the
command could not look, 2 for wrong use.`,
		Example: `  client doctor
  client doctor --mend
  client doctor --zk zk1:2181,zk2:2181,zk3:2181/lab`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var m *mender
			switch {
			case yes && !mend:
				return cli.WrongUse("--yes goes with --mend")
			case mend && !yes && !term.IsTerminal(int(os.Stdin.Fd())):
				return cli.WrongUse("--mend asks before it changes anything, and standard input is no terminal: add --yes")
			case mend:
				m = &mender{out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), seen: make(map[string]bool)}
				if !yes {
					m.answers = lines(cmd.Context(), os.Stdin)
				}
			}
			var summary string
			var findings []inspect.Finding
			err := reading(cmd.Context(), cmd, common, "warn", func(ctx context.Context, s *session.Session) error {
				tree, found, err := m.diagnose(ctx, s, common.ZK.Chroot)
				if err == nil {
					summary, findings = tree.String(), found
				}
				return err
			})
			if err != nil {
				return err
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			for _, f := range findings {
				if !m.asked(f) { // else it stands above its question
					fmt.Fprint(out, f)
				}
			}
			if len(findings) == 0 {
				fmt.Fprintf(out, "nothing wrong: %s\n", summary)
			}
			if err := out.Flush(); err != nil || len(findings) == 0 {
				return err
			}
			return fmt.Errorf("findings: %d, in %s", len(findings), summary)
		},
	}
	cmd.Flags().BoolVar(&mend, "mend", false, "Mend each finding, after a question.")
	cmd.Flags().BoolVar(&yes, "yes", false, "With --mend: do not ask.")
	return cmd
}

// mendRounds bounds how often the doctor looks again: mending can reveal another finding,
// and somebody may be making new ones.
const mendRounds = 10

// mender mends findings. A nil mender only looks.
type mender struct {
	out, errs io.Writer
	answers   <-chan string // nil: it mends without asking

	seen map[string]bool // findings of earlier rounds: each is mended at most once
}

// asked reports whether a finding was printed with a question.
func (m *mender) asked(f inspect.Finding) bool {
	return m != nil && m.answers != nil && m.seen[f.String()]
}

// diagnose returns the tree and the findings of the last look.
func (m *mender) diagnose(ctx context.Context, s *session.Session, root string) (*inspect.Tree, []inspect.Finding, error) {
	for round := 0; ; round++ {
		tree, found, err := inspect.Diagnose(ctx, s, root)
		if err != nil || m == nil || round == mendRounds {
			return tree, found, err
		}
		if mended, err := m.mend(ctx, s, found); err != nil || !mended {
			return tree, found, err
		}
	}
}

// mend mends the new findings that a person agrees to, and reports whether it mended any.
func (m *mender) mend(ctx context.Context, s *session.Session, found []inspect.Finding) (mended bool, err error) {
	found = slices.DeleteFunc(slices.Clone(found), func(f inspect.Finding) bool { return m.seen[f.String()] })
	for i, f := range found {
		agreed, err := m.agree(ctx, i+1, len(found), f)
		if err != nil {
			return mended, err
		}
		m.seen[f.String()] = true
		if !agreed {
			continue
		}
		switch err := f.Mend(ctx, s); {
		case err == nil:
			mended = true
			if _, err := fmt.Fprintf(m.out, "mended: %s\n", m.name(i+1, f)); err != nil {
				return mended, err
			}
		case ctx.Err() != nil || errors.Is(err, session.ErrOver):
			return mended, err
		default:
			fmt.Fprintf(m.errs, "not mended: %s: %s\n", m.name(i+1, f), printable.Line(printable.Cut(err.Error(), 300)))
		}
	}
	return mended, nil
}

// name is the number of a finding if a person was asked about it, else its remedy.
func (m *mender) name(number int, f inspect.Finding) string {
	if m.answers != nil {
		return fmt.Sprint(number)
	}
	return f.Proposal()
}

// agree asks whether to mend a finding. At the end of the input the answer is no.
func (m *mender) agree(ctx context.Context, number, of int, f inspect.Finding) (bool, error) {
	if m.answers == nil {
		return true, nil
	}
	if _, err := fmt.Fprintf(m.errs, "%d of %d: %s\n    %s? [y/N] ", number, of, f.Headline(), f.Proposal()); err != nil {
		return false, err
	}
	select {
	case answer := <-m.answers:
		answer = strings.ToLower(strings.TrimSpace(answer))
		return answer == "y" || answer == "yes", nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// lines sends the lines of from, then closes the channel. If ctx ends during a read, the
// goroutine stays until the read returns.
func lines(ctx context.Context, from io.Reader) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		for in := bufio.NewScanner(from); in.Scan(); {
			select {
			case out <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
