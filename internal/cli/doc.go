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
// The programs of the service are installed as taskkeeper-master and so on. One that was
// started by such a name speaks of itself by it: see Program. Its hidden command "man"
// prints its man page, from what its help is made of.
//
// # Service managers
//
// With $NOTIFY_SOCKET a program tells a service manager when it is ready, and when it is
// told to end. The variable leaves the environment at the start.
//
// # What blocks nobody
//
// Stderr may take nothing for long: a stopped terminal, a full pipe, a full disk. So
// one goroutine writes to it, and nobody waits for that who logs or draws a bar: see
// output. Up to 1 MB of the log is kept, further lines are dropped, and the next line that is
// written tells how many. Answers wait for their reader, until the program is to end. The end
// of the program waits for what was logged while that moves, at most 5 s.
//
// Not covered: what the Go runtime itself writes to stderr, as for a panic.
//
// # Exit statuses
//
//	0    done; for a daemon also: ended by SIGINT, SIGTERM or SIGHUP
//	1    the command returned an error
//	2    wrong use: nothing was done
//	128+ signal: a command that was to answer was stopped before it did, or a
//	     second signal came; of SIGPIPE, 141: nobody reads the output any more
//	any  the command returned an ExitError
//
// What each program ends with is in exitStatuses, and in its man page.
//
// Whatever goes wrong is one line on stderr, with the program's name.
package cli
