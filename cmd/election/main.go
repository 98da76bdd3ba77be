// Election takes part in the election of a leader, and does nothing else.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/session"
)

func main() { os.Exit(cli.Main(command(), os.Exit)) }

func command() *cobra.Command {
	var common cli.Common
	cmd := &cobra.Command{
		Use:   "election",
		Short: "Take part in the election of a leader, and say who leads",
		Long: `Take part in the election under /master, and print to stdout whether this
process leads: "leader: true" or "leader: false", once at the start and then
whenever it changes. The candidate with the lowest number leads.

SIGTERM or SIGINT (Ctrl-C) leaves the election: the candidate's znode is gone
at once, and the next one leads. After a kill -9 this takes the session timeout.
When the session expires, or someone removes the candidate's znode, the process
joins again, behind all others. Without an answer from ZooKeeper for the session
timeout it prints "leader: false", because another process may lead by then.`,
		Example: `  Start this in several terminals, then stop the one that leads:
  election --zk zk1:2181,zk2:2181,zk3:2181/lab`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := common.Logger()
			host, _ := os.Hostname() // a text for people
			c := &contender{
				log:     log,
				rights:  session.NewRights(log),
				who:     fmt.Sprintf("%s pid %d", host, os.Getpid()),
				answers: answers{w: cmd.OutOrStdout()},
			}
			return session.Run(cmd.Context(), common.Session(log), common.Wait, c.run)
		},
	}
	common.AddTo(cmd)
	return cmd
}
