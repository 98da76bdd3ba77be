// Example shows the go-zookeeper library by itself: a session, its states, an
// ephemeral-sequential znode.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
)

func main() { os.Exit(cli.Main(command(), os.Exit)) }

func command() *cobra.Command {
	var common cli.Common
	cmd := &cobra.Command{
		Use:   "example",
		Short: "A first look at ZooKeeper",
		Long: `A first look at ZooKeeper: connect, print the connection's states as the
library reports them, create an ephemeral-sequential znode under /example, show
its path and stat, and end the session, which removes that znode. /example
itself is permanent and stays.

The numbers count up from run to run, because /example remembers the last one.`,
		Example: `  example --zk 127.0.0.1:2181/lab`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := common.TLS.Check(); err != nil {
				return err
			}
			return tour{
				out:     cmd.OutOrStdout(),
				log:     common.Logger(),
				servers: common.ZK.Servers,
				tls:     common.TLS,
				chroot:  common.ZK.Chroot,
				timeout: common.SessionTimeout,
				wait:    common.Wait,
			}.run(cmd.Context())
		},
	}
	common.AddTo(cmd)
	return cmd
}
