package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"taskkeeper/internal/access"
	"taskkeeper/internal/identity"
	"taskkeeper/internal/member"
	"taskkeeper/internal/session"
)

// serversEnv is used if --zk is not given.
const serversEnv = "ZK_SERVERS"

// Common holds the flags that all programs have. A field that is set before
// AddTo is the program's own default; the others get the common ones.
type Common struct {
	ZK             session.Address
	TLS            identity.Files
	SessionTimeout time.Duration
	Wait           time.Duration // for the first session
	LogFormat      string
	LogLevel       string
}

var defaults = Common{
	ZK:             session.Address{Servers: []string{"127.0.0.1:2181"}},
	SessionTimeout: session.DefaultTimeout,
	Wait:           10 * time.Second,
	LogFormat:      "text",
	LogLevel:       "info",
}

// AddTo adds the flags to a program's root command; its subcommands have them too. It sets
// the command's PersistentPreRunE, which reads the environment.
func (c *Common) AddTo(cmd *cobra.Command) {
	def := *c
	if len(def.ZK.Servers) == 0 {
		def.ZK = defaults.ZK
	}
	flags := cmd.PersistentFlags()
	Var(flags, &c.ZK, "zk", def.ZK,
		"The ZooKeeper `servers`, as host:port[,host:port…]. A /chroot after the last of them keeps all znodes below that znode, which is created if it is missing. Without this flag, $"+serversEnv+" is used if it is set.",
		session.ParseAddress)
	flags.StringVar(&c.TLS.CA, "tls-ca", "",
		"Use TLS, and trust servers whose certificate is signed by a CA in this PEM `file`. By itself it means encryption without an identity. Without this flag, $"+identity.CAVariable+" is used if it is set.")
	flags.StringVar(&c.TLS.Cert, "tls-cert", "",
		"The certificate of this process, in a PEM `file`, with its intermediate certificates behind it. Its subject decides what this process may do. The file is read at each connection, so a renewed certificate needs no restart. Without this flag, $"+identity.CertVariable+" is used if it is set.")
	flags.StringVar(&c.TLS.Key, "tls-key", "",
		"The certificate's key, in a PEM `file` that no other user may read. Without this flag, $"+identity.KeyVariable+" is used if it is set.")
	Var(flags, &c.SessionTimeout, "session-timeout", cmp.Or(def.SessionTimeout, defaults.SessionTimeout),
		"After this `duration` of silence ZooKeeper takes this process for dead. Servers raise or lower it to their own bounds; the log's first line says what they granted.",
		// With less, a busy machine could not even finish the handshake.
		Duration(100*time.Millisecond, 24*time.Hour))
	Var(flags, &c.Wait, "wait", cmp.Or(def.Wait, defaults.Wait),
		"At the start, give up when ZooKeeper has not answered for this `duration`. During later outages the program waits.",
		Duration(time.Millisecond, 24*time.Hour))
	Var(flags, &c.LogFormat, "log-format", cmp.Or(def.LogFormat, defaults.LogFormat),
		"The `format` of the log on stderr: text, for people, or json, one object a line.",
		OneOf("text", "json"))
	Var(flags, &c.LogLevel, "log-level", cmp.Or(def.LogLevel, defaults.LogLevel),
		"Log messages of at least this `level`: debug, info, warn or error.",
		OneOf("debug", "info", "warn", "error"))
	markCommon(flags, "zk", "tls-ca", "tls-cert", "tls-key", "session-timeout", "wait", "log-format", "log-level")

	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return c.fromEnvironment(cmd.Flags()) }
}

// fromEnvironment reads the environment in place of flags that are not given.
func (c *Common) fromEnvironment(flags *pflag.FlagSet) error {
	if env := os.Getenv(serversEnv); env != "" && !flags.Changed("zk") {
		address, err := session.ParseAddress(env)
		if err != nil {
			return fmt.Errorf("$%s: %w", serversEnv, err)
		}
		c.ZK = address
	}
	name := func(path *string, flag, variable string) string {
		if flags.Changed(flag) {
			return "--" + flag
		}
		*path = os.Getenv(variable)
		return "$" + variable
	}
	ca := name(&c.TLS.CA, "tls-ca", identity.CAVariable)
	cert := name(&c.TLS.Cert, "tls-cert", identity.CertVariable)
	key := name(&c.TLS.Key, "tls-key", identity.KeyVariable)
	c.TLS = c.TLS.Named(ca, cert, key)
	return c.TLS.Complete()
}

// Run plays a role of a member of the installation, with one session after the other: see
// session.Run and member.Within.
func (c *Common) Run(ctx context.Context, cfg session.Config, of member.Config, role session.Role) error {
	of.Version, of.Logger = Version(), cfg.Logger
	if of.Role != member.Client { // each command of a client needs other rights
		cfg.Role = access.Role(of.Role)
	}
	play := member.Within(of, role)
	return session.Run(ctx, cfg, c.Wait, func(ctx context.Context, s *session.Session) error {
		if s.LacksRole() { // the role waits for its rights; a service manager need not
			Ready(cfg.Logger)
		}
		return play(ctx, s)
	})
}

// Session is how to reach ZooKeeper, as the flags say.
func (c *Common) Session(log *slog.Logger) session.Config {
	return session.Config{Address: c.ZK, TLS: c.TLS, Timeout: c.SessionTimeout, Logger: log}
}
