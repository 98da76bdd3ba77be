package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"taskkeeper/internal/printable"
)

// ExitError ends the program with a status of its own. With Err nil nothing is
// printed.
type ExitError struct {
	Status int
	Err    error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Status)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// WrongUse returns the error of a command that was called wrongly, if the checks of its flags
// and arguments cannot find it.
func WrongUse(format string, args ...any) error {
	return &wrongUse{fmt.Errorf(format, args...)}
}

type wrongUse struct{ error }

func (e *wrongUse) Unwrap() error { return e.error }

// SoFar adds to the error of an ended context how far a command came.
func SoFar(err error, format string, args ...any) error {
	return &soFar{err, fmt.Sprintf(format, args...)}
}

type soFar struct {
	error
	text string
}

func (e *soFar) Unwrap() error { return e.error }

// stopped is why the context of a command ended: its cause.
type stopped struct{ signal syscall.Signal }

func (e stopped) Error() string { return "stopped by " + unix.SignalName(e.signal) }

// Main runs the command and returns the exit status of the process. SIGINT, SIGTERM and
// SIGHUP end the command's context; a second signal calls exit, which ends the process at
// once. SIGHUP stays ignored if it was ignored at the start (nohup). A daemon returns nil when
// its context ends. A command whose answer is not complete returns the context's error: then
// the status is the signal's.
//
// A broken pipe is an error of the write, not a signal: the end of the log's reader must not
// end a daemon. A command that returns such an error of its answer ends silently, with the
// status of SIGPIPE.
//
// The command's answers go to its OutOrStdout and ErrOrStderr, never to os.Stdout. So a slow
// reader of the answers or of the log does not keep a signal from ending the command.
//
// A command whose Args is nil takes no arguments.
func Main(cmd *cobra.Command, exit func(status int)) (status int) {
	findManager()
	status = run(withSignals(exit), cmd)
	stderr.flush(flushStill, flushTime)
	return status
}

// echo is how long a repeated signal counts as the first one: timeout(1) signals its child,
// and then the child's process group.
const echo = 100 * time.Millisecond

// withSignals returns the context that the first signal ends. Its goroutine waits for signals
// as long as the process lives.
func withSignals(exit func(status int)) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		first := <-signals
		at := time.Now()
		cancel(stopped{first.(syscall.Signal)})
		_ = notify("STOPPING=1") // on an error the manager still sees the end
		for sig := range signals {
			if sig != first || time.Since(at) > echo {
				stderr.flush(lastWords, lastWords)
				exit(128 + int(sig.(syscall.Signal)))
			}
		}
	}()
	return ctx
}

func run(ctx context.Context, root *cobra.Command) (status int) {
	ran := prepare(root)
	out := newAnswers(ctx, os.Stdout)
	root.SetOut(out)
	root.SetErr(newAnswers(ctx, os.Stderr))
	completeBash(root)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case *ran:
	case out.err != nil: // cobra ignores an error of writing its help
		err = out.err
	case err != nil:
		err = WrongUse("%w", err)
	}
	if err == nil {
		return 0
	}
	return report(cmd, context.Cause(ctx), err)
}

// report prints an error, without waiting for the write, and returns the exit status for the
// error.
func report(cmd *cobra.Command, cause, err error) (status int) {
	var (
		use  *wrongUse
		exit *ExitError
		stop stopped
		far  *soFar
		hint string
	)
	switch {
	case unread(err):
		return 128 + int(syscall.SIGPIPE)
	case errors.As(err, &use):
		status, hint = 2, fmt.Sprintf(" (see '%s --help')", cmd.CommandPath())
	case errors.As(err, &exit):
		status = exit.Status
		if exit.Err == nil {
			return status
		}
	case (errors.Is(err, context.Canceled) || errors.As(err, &stop)) && errors.As(cause, &stop):
		status = 128 + int(stop.signal)
		if errors.As(err, &far) {
			err = fmt.Errorf("%w: %s", stop, far.text)
		} else {
			err = stop
		}
	default:
		status = 1
	}
	text := printable.Line(printable.Cut(oneLine(err.Error()), longestError))
	line := fmt.Sprintf("%s: %s%s\n", cmd.Root().Name(), text, hint)
	if toJournal(os.Stderr) {
		line = journalError + line
	}
	stderr.append(stderr.file, []byte(line))
	return status
}

// longestError is how much of an error is printed, in bytes: it may quote a payload.
const longestError = 2000

// unread reports whether nobody reads the output any more, as behind a pipe to head. SIGPIPE
// ends other programs silently then.
func unread(err error) bool {
	var write *fs.PathError
	return errors.As(err, &write) && errors.Is(write, syscall.EPIPE) &&
		(write.Path == os.Stdout.Name() || write.Path == os.Stderr.Name())
}

func oneLine(s string) string { return strings.Join(strings.FieldsFunc(s, isLineEnd), " ") }

func isLineEnd(r rune) bool { return r == '\n' || r == '\r' }

// prepare sets what the commands of all programs have in common. *ran becomes true when a
// command runs: errors before that are cobra's own, and mean wrong use.
func prepare(root *cobra.Command) (ran *bool) {
	name := root.Name()
	byItsName(root)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { help(cmd) })

	root.Version = Version()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.Flags().Bool("version", false, "Print the version and end.")
	root.PersistentFlags().BoolP("help", "h", false, "Print this help and end.")

	ran = new(bool)
	each(root, func(cmd *cobra.Command) {
		cmd.Flags().SortFlags, cmd.PersistentFlags().SortFlags = false, false
		if cmd.HasSubCommands() && !cmd.Runnable() {
			cmd.Args, cmd.RunE = cobra.ArbitraryArgs, noCommand
			cmd.SuggestionsMinimumDistance = 2 // letters; cobra's own default is set too late
			return
		}
		switch {
		case cmd.Args != nil:
		case cmd.HasSubCommands():
			cmd.SuggestionsMinimumDistance = 2
			cmd.Args = commandOrNothing
		default:
			cmd.Args = Args()
		}
		if f := cmd.RunE; f != nil {
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				*ran = true
				return f(cmd, args)
			}
		}
	})
	addMan(root, name)
	return ran
}

func each(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, sub := range cmd.Commands() {
		each(sub, do)
	}
}

// noCommand is what a command with subcommands does when none of them is called.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		var names []string
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		return fmt.Errorf("say which command: %s", strings.Join(names, ", "))
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(similar, " or "))
	}
	return err
}

// commandOrNothing is the Args of a command that has subcommands, and does
// something by itself as well.
func commandOrNothing(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return noCommand(cmd, args)
}

// Args checks that there is one argument for each name, no less and no more.
func Args(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing", strings.Join(names[len(args):], ", "))
		case len(args) > len(names):
			return fmt.Errorf("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}
