// Package cli is what all programs share on their command line: the flags that
// reach ZooKeeper, the log, signals, errors and exit statuses.
//
//	func main() { os.Exit(cli.Main(command(), os.Exit)) }
//
//	func command() *cobra.Command {
//		var common cli.Common
//		cmd := &cobra.Command{
//			Use:     "worker",
//			Long:    "…",
//			Example: "  worker --zk zk1:2181,zk2:2181/lab",
//			RunE: func(cmd *cobra.Command, _ []string) error {
//				return session.Run(cmd.Context(), common.Session(common.Logger()), common.Wait, role)
//			},
//		}
//		common.AddTo(cmd)
//		return cmd
//	}
//
// # Names and man pages
//
// The programs of the service are installed as taskkeeper-master and so on. A program that was
// started by such a name uses that name in its texts: see Program. The hidden command "man"
// prints the man page, from the texts of the help.
//
// # Service managers
//
// With $NOTIFY_SOCKET a program reports to a service manager when it is ready, and when a
// signal ends it. At the start the variable is removed from the environment.
//
// # A blocked stderr
//
// Stderr may block for long: a stopped terminal, a full pipe, a full disk. So one goroutine
// writes to stderr, and logging or drawing a bar never waits for it: see output. Up to 1 MB of
// the log is kept; further lines are dropped, and the next written line says how many. Answers
// wait for their reader, until the program must end. At its end the program waits for the rest
// of the log while writing makes progress, at most 5 s.
//
// Not covered: what the Go runtime itself writes to stderr, as in a panic.
//
// # Exit statuses
//
//	0    done; for a daemon also: ended by SIGINT, SIGTERM or SIGHUP
//	1    the command returned an error
//	2    wrong use: nothing was done
//	128+ signal: a signal stopped a command before its answer was complete, or a
//	     second signal came; 141 (SIGPIPE): nobody reads the output any more
//	any  the command returned an ExitError
//
// The statuses of each program are in exitStatuses, and in its man page.
//
// Each error is one line on stderr, with the program's name.
package cli
