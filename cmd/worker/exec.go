package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/command"
	"taskkeeper/internal/worker"
)

// executed is what the flags say about the command that executes tasks.
type executed struct {
	line      string
	shell     bool
	any       bool
	killAfter time.Duration
	trim      bool
}

func (e *executed) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&e.line, "exec", "",
		"Execute each task by this `command`. It is split into words at blanks, with a shell's quotes, and nothing is expanded.")
	flags.BoolVar(&e.shell, "shell", false,
		`Give the string of --exec to sh -c. The payload is "$1" there; a script without "$1" reads it from standard input. {} is refused.`)
	flags.BoolVar(&e.any, "any-command", false,
		`Execute what comes: the payload of each task is its command line, split as the string of --exec is. Whoever may submit a task may so run anything here as this worker's user. Without --queue the queue is "command".`)
	cli.Var(flags, &e.killAfter, "kill-after", 2*time.Second,
		"A command that is to end gets SIGTERM, with its process group, and after this `duration` SIGKILL. More than half the session timeout lets another worker begin the task before, when this one is killed.",
		cli.Duration(0, time.Hour))
	flags.BoolVar(&e.trim, "trim", true,
		"Drop the newline at the end of what the command of --exec prints. --trim=false keeps it, as --any-command does.")
}

// limit reads a time limit.
func limit(s string) (time.Duration, error) {
	d, err := cli.Duration(time.Millisecond, long)(s)
	if err != nil {
		err = fmt.Errorf("%w; leave the flag out for no limit", err)
	}
	return d, err
}

// arguments checks that all arguments stand behind --.
func arguments(cmd *cobra.Command, args []string) error {
	switch at := cmd.ArgsLenAtDash(); {
	case len(args) == 0 && at < 0:
		return nil
	case at < 0:
		return fmt.Errorf("unexpected argument %q; a command to execute stands behind --, or in --exec", args[0])
	case at > 0:
		return fmt.Errorf("unexpected argument %q before --", args[0])
	case len(args) == 0:
		return fmt.Errorf("nothing stands behind --: give a program and its arguments")
	}
	return nil
}

// command is nil when none is given.
func (e *executed) command(cmd *cobra.Command, args []string, log *slog.Logger) (*command.Command, error) {
	given := cmd.Flags().Changed
	words, from := args, "behind --"
	var err error
	switch {
	case e.any && given("trim") && e.trim:
		return nil, cli.WrongUse("--any-command keeps the output of commands as it is: leave --trim out")
	case e.any && (given("exec") || e.shell || len(args) > 0):
		return nil, cli.WrongUse("--any-command executes what its tasks say: leave --exec, --shell and a command behind -- out")
	case e.any:
		words, from = nil, "--any-command"
	case given("exec") && len(args) > 0:
		return nil, cli.WrongUse("--exec and a command behind -- exclude each other: give one of them")
	case e.shell && len(args) > 0:
		return nil, cli.WrongUse("--shell is for the string of --exec: behind -- give sh -c SCRIPT sh {}, or leave --shell out")
	case !given("exec") && len(args) == 0:
		for _, flag := range []string{"shell", "kill-after", "trim"} {
			if given(flag) {
				return nil, cli.WrongUse("--%s is about a command: give one with --exec, or --any-command", flag)
			}
		}
		return nil, nil
	case e.shell:
		words, err = command.Shell(e.line)
		from = "--exec"
	case given("exec"):
		words, err = command.Split(e.line)
		from = "--exec"
	}
	var c *command.Command
	if err == nil {
		c, err = command.New(command.Config{
			Words: words, Any: e.any, KillAfter: e.killAfter, KeepEnd: e.any || !e.trim, MaxResult: worker.MaxResult, Logger: log,
		})
	}
	if err != nil {
		return nil, cli.WrongUse("%s: %w", from, err)
	}
	return c, nil
}
