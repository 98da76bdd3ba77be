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

// executed holds the flags about the command that executes tasks.
type executed struct {
	line      string
	shell     bool
	any       bool
	killAfter time.Duration
	trim      bool
}

func (e *executed) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&e.line, "exec", "",
		"Execute each task with this `command`. It is split into words at blanks, with a shell's quotes; nothing is expanded.")
	flags.BoolVar(&e.shell, "shell", false,
		`Pass the string of --exec to sh -c. The payload is "$1" there; a script without "$1" reads it from standard input. {} is refused.`)
	flags.BoolVar(&e.any, "any-command", false,
		`Execute any command: the payload of each task is its command line, split like the string of --exec. Whoever may submit a task may run anything here as this worker's user. Without --queue the queue is "command".`)
	cli.Var(flags, &e.killAfter, "kill-after", 2*time.Second,
		"To end a command, send SIGTERM to its process group, and SIGKILL after this `duration`. With more than half the session timeout, another worker may begin the task of a killed worker before the command has ended.",
		cli.Duration(0, time.Hour))
	flags.BoolVar(&e.trim, "trim", true,
		"Drop the newline at the end of the command's output. --trim=false keeps it, as --any-command does.")
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

// command returns the command that the flags and arguments describe; nil if there is none.
func (e *executed) command(cmd *cobra.Command, args []string, log *slog.Logger) (*command.Command, error) {
	given := cmd.Flags().Changed
	words, from := args, "behind --"
	var err error
	switch {
	case e.any && given("trim") && e.trim:
		return nil, cli.WrongUse("--any-command keeps the output of commands as it is: leave --trim out")
	case e.any && (given("exec") || e.shell || len(args) > 0):
		return nil, cli.WrongUse("--any-command executes the command lines of its tasks: leave --exec, --shell and a command behind -- out")
	case e.any:
		words, from = nil, "--any-command"
	case given("exec") && len(args) > 0:
		return nil, cli.WrongUse("--exec and a command behind -- exclude each other: give one of them")
	case e.shell && len(args) > 0:
		return nil, cli.WrongUse("--shell is for the string of --exec: behind -- give sh -c SCRIPT sh {}, or leave --shell out")
	case !given("exec") && len(args) == 0:
		for _, flag := range []string{"shell", "kill-after", "trim"} {
			if given(flag) {
				return nil, cli.WrongUse("--%s needs a command: give one with --exec, or --any-command", flag)
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
