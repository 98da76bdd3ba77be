package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/task"
)

// asking holds the flags that 'client run' and 'client submit' share: which tasks to submit.
type asking struct {
	in      input
	queue   string
	workers int // to wait for
	shell   bool
	timeout time.Duration // of each execution
	dryRun  bool
}

func (a *asking) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	a.in.flags(f)
	addQueue(f, &a.queue)
	addWorkers(f, &a.workers)
	f.BoolVar(&a.shell, "shell", false, "Join the words behind -- with blanks and pass them to sh -c, with {} and the like quoted: for pipes and redirections.")
	cli.Var(f, &a.timeout, "timeout", 0, "The worker ends an execution that takes longer than this `duration`, and the task fails. With 0s only the worker's own limit holds.",
		cli.Duration(0, 30*24*time.Hour))
	f.BoolVar(&a.dryRun, "dry-run", false, "Print the commands or payloads, one a line, and submit nothing.")
}

// aboutCommands is a part of the help of both commands.
const aboutCommands = `
Behind -- stands a command. Each line of input is an argument of that command. A
worker that was started with --any-command executes the command, without a
shell. {} stands for the line, {.} for the line without its extension, {/} for
the file's name, {//} for its folder, {/.} for the file's name without its
extension, {#} for the number of the task. Each is a part of one word, whatever
the line holds. Without any of them the line is the last argument. Such tasks go
to the queue "command", unless --queue names another one.
`

// take is the command's Args: it reads the command behind --, and opens the input.
func (a *asking) take(cmd *cobra.Command, args []string) error {
	switch at := cmd.ArgsLenAtDash(); {
	case at < 0 && a.shell:
		return errors.New("--shell needs a command: give one behind --")
	case at < 0:
		a.in.args = args
	case at > 0:
		return fmt.Errorf("PAYLOAD %.80q and a command behind -- exclude each other: give the command's input by --file or on standard input", args[0])
	case len(args) == 0:
		return errors.New("nothing stands behind --: give a command; each line of input becomes an argument")
	default:
		var err error
		if a.in.command, err = newTemplate(args, a.shell); err != nil {
			return err
		}
		if a.queue == "" {
			a.queue = task.KindCommand
		}
	}
	return a.in.open(os.Stdin)
}

// await waits for the workers that --wait-for-workers asks for.
func (a *asking) await(ctx context.Context, cmd *cobra.Command, c *client.Client) error {
	return await(ctx, cmd, c, a.queue, a.workers)
}

// config returns a client's configuration for these tasks.
func (a *asking) config(log *slog.Logger) client.Config {
	cfg := client.Config{Queue: a.queue, Logger: log}
	if a.in.command != nil {
		cfg.Asks = cfg.Asks.With(task.FactKind, task.KindCommand)
	}
	if ms := a.timeout.Milliseconds(); a.timeout > 0 {
		cfg.Asks = cfg.Asks.With(task.FactTimeout, max(1, ms))
	}
	return cfg
}

// show prints what would be submitted.
func (a *asking) show(ctx context.Context, cmd *cobra.Command) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // ends the reading
	out := bufio.NewWriter(cmd.OutOrStdout())
	terminal := term.IsTerminal(int(os.Stdout.Fd()))
	failed, all := 0, 0
	for it := range a.in.items(ctx) {
		all++
		if it.Err != nil {
			failed++
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", byPayload(client.Outcome{Item: it}), it.Err)
			continue
		}
		text := string(it.Payload)
		if terminal {
			text = printable.Text(text, "")
		}
		if _, err := fmt.Fprintln(out, text); err != nil {
			return err
		}
	}
	switch err := out.Flush(); {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case a.in.failure() != nil:
		return a.in.failure()
	case failed > 0:
		return fmt.Errorf("%s could not be submitted", of(failed, all))
	}
	return nil
}
