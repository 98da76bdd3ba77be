package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"taskkeeper/internal/access"
	"taskkeeper/internal/cli"
	"taskkeeper/internal/closing"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/session"
)

func accessCommand(common *cli.Common) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "access",
		Short: "Say who may do what: close or open an installation",
		Long: `An installation is open at first: anyone who reaches the servers may do
anything. A policy closes it. The policy is the znode /access. It has a line for
each role, with the certificates that have the role, as ZooKeeper's ACLs name
them:

  admin   x509:CN=tk-admin
  master  x509:CN=tk-master
  worker  x509:CN=tk-worker
  client  x509:CN=tk-client x509:CN=alice
  viewer  x509:CN=tk-viewer

Programs with a certificate (--tls-cert) follow a new policy without a restart.`,
	}
	cmd.AddCommand(closeCommand(common), openCommand(common), showCommand(common))
	return cmd
}

func closeCommand(common *cli.Common) *cobra.Command {
	var order closing.Order
	var quota closing.Quota
	cmd := &cobra.Command{
		Use:   "close POLICY",
		Short: "Give the installation the policy of a file",
		Long: `Make the file POLICY (- is standard input) the policy, and give each existing
znode the ACL that follows from the policy. This includes the servers' own
/zookeeper, unless somebody else has closed it, and the znodes above the chroot,
unless others have znodes there. The command may be repeated: with the same
policy, with another one, or after it was killed half-way. Existing tasks stay.
All clients may read a task whose creator is not known.

A policy in which you are no admin is refused. Exit status: 0 when all is
closed, 1 when something is not, 2 for wrong use.`,
		Example: `  client access close policy
  client access close policy --quota 100000,2G`,
		Args: cli.Args("POLICY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, in := args[0], io.Reader(os.Stdin)
			if name == "-" {
				name = "standard input"
			} else {
				f, err := os.Open(name)
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			text, err := io.ReadAll(io.LimitReader(in, 1<<20)) // more is no policy
			var policy access.Policy
			if err == nil {
				policy, err = access.Parse(text)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			order.Text = text
			if cmd.Flags().Changed("quota") {
				order.Quota = &quota
			}
			for _, role := range []access.Role{access.Master, access.Worker, access.Client} {
				if len(policy.Of(role)) == 0 {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: no line names a %s, so none can work\n", name, role)
				}
			}
			return changeAccess(cmd, common, false, "closed", func(ctx context.Context, t closing.Tree) (closing.Report, error) {
				return closing.Close(ctx, t, order)
			})
		},
	}
	cli.Var(cmd.Flags(), &quota, "quota", closing.Quota{},
		"Allow all clients together at most COUNT tasks, and BYTES of payloads: `COUNT,BYTES`, with k, M or G behind a number; 0 is any number. A single batch may exceed the quota. The servers enforce quotas if zoo.cfg has enforceQuota=true. Without this flag quotas stay as they are.",
		parseQuota)
	cmd.Flags().Lookup("quota").DefValue = ""
	return cmd
}

func openCommand(common *cli.Common) *cobra.Command {
	return &cobra.Command{
		Use:   "open",
		Short: "Take the policy away",
		Long: `Let everyone who reaches the servers do anything again: each znode gets the ACL
world:anyone:cdrwa, and the policy and the quotas are deleted. The command may
be repeated after it was killed half-way. Exit status: 0 when all is open, 1
when something is not, 2 for wrong use.`,
		Example: `  client access open`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return changeAccess(cmd, common, true, "open", closing.Open)
		},
	}
}

func showCommand(common *cli.Common) *cobra.Command {
	return &cobra.Command{
		Use:   "show [ZNODE]",
		Short: "Show the policy and who you are, or the ACL for a znode",
		Long: `Print the policy, how many znodes have the ACLs that follow from it, who you are
under the policy, and the quotas. The command writes nothing. Exit status: 0
when all znodes that you may look at obey the policy, 1 when one does not, or
when the command could not look.

With a ZNODE, a path below the chroot, print the ACL for creating that znode by
hand. In ZooKeeper's shell the ACL stands behind the data. Without an ACL the
shell creates a znode with which everyone may do anything.`,
		Example: `  client access show
  client access show /workers/me`,
		Args: znode,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return showACL(cmd, common, args[0])
			}
			var text string
			wrong := 0
			err := reading(cmd.Context(), cmd, common, "error", func(ctx context.Context, s *session.Session) error {
				return withServers(ctx, common, s, func(t closing.Tree) error {
					var b strings.Builder
					n, err := show(ctx, &b, t)
					text, wrong = b.String(), n
					return err
				})
			})
			if err != nil {
				return err
			}
			if _, err := io.WriteString(cmd.OutOrStdout(), text); err != nil {
				return err
			}
			if wrong > 0 {
				return fmt.Errorf("%s not as the policy says (client access close, or open, with the same policy)", plural(wrong, "znode is", "znodes are"))
			}
			return nil
		},
	}
}

// znode takes a path or none.
func znode(_ *cobra.Command, args []string) error {
	switch {
	case len(args) > 1:
		return fmt.Errorf("unexpected argument %q", args[1])
	case len(args) == 1 && !strings.HasPrefix(args[0], "/"):
		return fmt.Errorf("ZNODE must be a path below the chroot, such as /workers/me, not %q", printable.Cut(args[0], 100))
	}
	return nil
}

// showACL prints the ACL for creating a znode by hand.
func showACL(cmd *cobra.Command, common *cli.Common, path string) error {
	var policy access.Policy
	err := reading(cmd.Context(), cmd, common, "error", func(_ context.Context, s *session.Session) (err error) {
		policy, err = s.Policy()
		return err
	})
	if err == nil {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(access.Words(policy.For(path)), ","))
	}
	return err
}

// show describes the installation in b, and returns how many znodes do not obey the policy.
func show(ctx context.Context, b *strings.Builder, t closing.Tree) (wrong int, err error) {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(b, "%-8s%s\n", label, fmt.Sprintf(format, args...))
	}
	policy, err := t.Session.Policy()
	if err != nil {
		return 0, err
	}
	if policy.IsZero() {
		line("policy", "none: anyone who reaches the servers may do anything")
	}
	for i, role := range strings.Split(strings.TrimSuffix(policy.String(), "\n"), "\n") {
		if role != "" {
			line(map[bool]string{true: "policy"}[i == 0], "%s", role)
		}
	}
	report, err := closing.Look(ctx, t, policy)
	if err != nil {
		return 0, err
	}
	obey := plural(report.Znodes, "znode obeys", "znodes obey")
	if len(report.Refused) > 0 {
		obey += ", of those that you may look at"
	}
	line("tree", "%s", obey)
	if len(report.Refused) > 0 {
		line("", "%s", hidden(report.Refused))
	}
	for _, part := range []struct {
		paths []string
		one   string
		more  string
	}{
		{report.Wrong, "znode does not obey", "znodes do not obey"},
		{report.Foreign, "is closed by somebody else", "are closed by somebody else"},
		{report.Shared, "above the chroot is open, because others use it", "above the chroot are open, because others use them"},
	} {
		if n := len(part.paths); n > 0 {
			line("", "%s, such as %s", plural(n, part.one, part.more), printable.Line(printable.Cut(part.paths[0], 200)))
		}
	}
	line("you", "%s", t.Session.Standing(policy))
	usages, err := closing.Quotas(t)
	if err != nil && !session.Refused(err) {
		return 0, err
	}
	for _, u := range usages {
		line("quota", "%s: %s", u.Dir, usage(u))
	}
	return len(report.Wrong), nil
}

// hidden names the znodes that the caller may not look at. How many lie below them is unknown.
func hidden(paths []string) string {
	var znodes, below, parts []string
	for _, path := range paths {
		if dir, all := strings.CutSuffix(path, "/*"); all {
			below = append(below, cmp.Or(dir, "/"))
		} else {
			znodes = append(znodes, path)
		}
	}
	if n := len(znodes); n > 0 {
		parts = append(parts, fmt.Sprintf("%s, such as %s", plural(n, "znode", "znodes"), printable.Line(printable.Cut(znodes[0], 200))))
	}
	if len(below) > 0 {
		parts = append(parts, "the znodes below "+printable.Line(printable.Cut(strings.Join(below, ", "), 200)))
	}
	return "you may not look at " + strings.Join(parts, ", and ")
}

// usage says how much of each limit of a quota is used.
func usage(u closing.Usage) string {
	var parts []string
	over := ""
	part := func(used, limit int64, what string) {
		if limit == 0 {
			return
		}
		parts = append(parts, fmt.Sprintf("%s of %s %s", number(used), number(limit), what))
		if used > limit {
			over = "; over the quota: do the servers enforce it (enforceQuota=true in zoo.cfg)?"
		}
	}
	part(u.Used.Tasks, u.Quota.Tasks, "tasks")
	part(u.Used.Bytes, u.Quota.Bytes, "bytes")
	if parts == nil {
		return "any number"
	}
	return strings.Join(parts, ", ") + over
}

// changeAccess closes or opens the installation, and prints what changed.
func changeAccess(cmd *cobra.Command, common *cli.Common, noCreate bool, done string, do func(context.Context, closing.Tree) (closing.Report, error)) error {
	var report closing.Report
	err := operate(cmd, common, noCreate, "run it again to go on", func(ctx context.Context, s *session.Session) error {
		return withServers(ctx, common, s, func(t closing.Tree) (err error) {
			report, err = do(ctx, t)
			return err
		})
	})
	if err != nil {
		return err
	}
	for _, path := range report.Foreign {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: left as it is, because somebody else has closed it\n", path); err != nil {
			return err
		}
	}
	for _, path := range report.Shared {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: left as it is, because others have znodes there\n", path); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %d of them changed\n", done, plural(report.Znodes, "znode", "znodes"), report.Changed)
	return err
}

// withServers calls do with the installation of a session and with the servers' own znodes.
func withServers(ctx context.Context, common *cli.Common, s *session.Session, do func(closing.Tree) error) error {
	t := closing.Tree{Session: s, Servers: s, Chroot: common.ZK.Chroot}
	if t.Chroot != "" {
		cfg := common.Session(nil)
		cfg.Address.Chroot = ""
		servers, err := session.Open(ctx, cfg)
		if err != nil {
			return err
		}
		defer servers.Close()
		t.Servers = servers
	}
	return do(t)
}

// parseQuota reads COUNT,BYTES.
func parseQuota(s string) (q closing.Quota, err error) {
	tasks, bytes, two := strings.Cut(s, ",")
	if q.Tasks, err = size(tasks); err == nil {
		q.Bytes, err = size(bytes)
	}
	if err != nil || !two {
		return q, fmt.Errorf("must be COUNT,BYTES, such as 100000,2G, not %q", printable.Cut(s, 100))
	}
	return q, nil
}

// size reads a number that may have a unit.
func size(s string) (int64, error) {
	unit := int64(1)
	if i := strings.IndexAny(s, "kMG"); i >= 0 && i == len(s)-1 {
		unit = map[byte]int64{'k': 1e3, 'M': 1e6, 'G': 1e9}[s[i]]
		s = s[:i]
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return int64(n) * unit, err
}

func plural(n int, one, more string) string {
	if n == 1 {
		return number(int64(n)) + " " + one
	}
	return number(int64(n)) + " " + more
}

// number writes a number with commas.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
