package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"taskkeeper/internal/client"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/task"
)

// reason says why a task has no result; "" if it has one.
func reason(o client.Outcome) string {
	switch {
	case o.Err != nil:
		return o.Err.Error()
	case o.State.Phase == task.Failed:
		return string(bytes.TrimSpace(o.State.Text))
	}
	return ""
}

// isFailure reports whether a task has ended without a result.
func isFailure(o client.Outcome) bool {
	return !o.Withdrawn && (o.Err != nil || o.State.Phase == task.Failed)
}

// inputOf is the input that an outcome's task was made from.
func inputOf(it client.Item) []byte {
	if it.Input != nil {
		return it.Input
	}
	return it.Payload
}

// byPayload and byID name what failed.
func byPayload(o client.Outcome) string { return fmt.Sprintf("payload %.80q", inputOf(o.Item)) }
func byID(o client.Outcome) string {
	return "task " + printable.Line(printable.Cut(string(o.Payload), 80))
}

// printing says how outcomes are printed.
type printing struct {
	json  bool
	quiet bool
	tag   bool // each line begins with its task's input
	nul   bool // results end with a NUL, not with a newline
}

func (p *printing) flags(f *pflag.FlagSet) {
	f.BoolVar(&p.json, "json", false, "Print a JSON object a line for every task, also for failed and withdrawn ones. Standard output and standard error of commands are fields.")
	f.BoolVar(&p.quiet, "quiet", false, "Do not print what commands wrote to standard error. Failed tasks are still reported.")
	f.BoolVar(&p.nul, "null-output", false, "End each task's output with a NUL. No newline is added before the NUL.")
}

// printer prints outcomes. Once it has failed it prints nothing more.
type printer struct {
	printing
	name      func(client.Outcome) string
	out, errs *bufio.Writer
	silent    bool // nothing goes to out any more
	broken    error

	terminal, errTerminal bool // out and errs are terminals, which act upon control bytes
}

func newPrinter(cmd *cobra.Command, p printing, name func(client.Outcome) string) *printer {
	return &printer{
		printing: p, name: name,
		out: bufio.NewWriter(cmd.OutOrStdout()), errs: bufio.NewWriter(cmd.ErrOrStderr()),
		terminal: term.IsTerminal(int(os.Stdout.Fd())), errTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
}

// show prints an outcome, standard output first.
func (p *printer) show(o client.Outcome) error {
	if p.broken != nil {
		return p.broken
	}
	if p.json {
		p.broken = encode(p.out, newLine(o))
	} else {
		p.text(o)
	}
	for _, w := range []*bufio.Writer{p.out, p.errs} {
		if err := w.Flush(); p.broken == nil {
			p.broken = err
		}
	}
	return p.broken
}

// text prints the result, or the standard output of a command that failed; then its standard
// error, and the failure. Writers keep their first error.
func (p *printer) text(o client.Outcome) {
	tag := ""
	if p.tag {
		tag = inOneLine(inputOf(o.Item)) + "\t"
	}
	// A command's output is printed as it is; any other result is a line.
	printed := o.State.Phase == task.Failed || o.State.Facts.Get(task.FactKind) == task.KindCommand
	if stdout := output(o); !p.silent && o.Err == nil && (len(stdout) > 0 || !printed || p.nul) {
		end := "\n"
		switch {
		case p.nul:
			end = "\x00"
		case printed && (!p.terminal || bytes.HasSuffix(stdout, []byte("\n"))): // on a terminal a new line must follow
			end = ""
		}
		p.stream(p.out, p.terminal, tag, stdout, end)
	}
	if stderr := o.State.Stderr; !p.quiet && len(stderr) > 0 {
		end := "\n" // later output begins a new line
		if bytes.HasSuffix(stderr, []byte("\n")) {
			end = ""
		}
		p.stream(p.errs, p.errTerminal, tag, stderr, end)
	}
	switch why := indented(p.reason(o)); {
	case o.Err != nil:
		fmt.Fprintf(p.errs, "%s: %s\n", p.name(o), why)
	case o.State.Phase == task.Failed:
		fmt.Fprintf(p.errs, "%s: failed: %s\n", p.name(o), why)
	}
}

// stream prints the bytes of a command as they are; for a terminal it makes them printable.
func (p *printer) stream(to io.Writer, terminal bool, tag string, text []byte, end string) {
	if terminal {
		text = []byte(printable.Text(string(text), ""))
	}
	if end == "\n" {
		text, end = append(text, end...), ""
	}
	_, _ = to.Write(append(tagged(text, tag), end...))
}

// tagged puts a tag before each line.
func tagged(text []byte, tag string) []byte {
	if tag == "" {
		return text
	}
	body, end := bytes.CutSuffix(text, []byte("\n"))
	text = append([]byte(tag), bytes.ReplaceAll(body, []byte("\n"), []byte("\n"+tag))...)
	if end {
		text = append(text, '\n')
	}
	return text
}

// reason leaves out the end of standard error if standard error was just printed.
func (p *printer) reason(o client.Outcome) string {
	why := reason(o)
	if p.quiet || len(o.State.Stderr) == 0 {
		return why
	}
	exit := o.State.Facts.Executed().Exit
	for _, short := range []string{"exit status " + exit, "ended by " + exit} {
		if strings.HasPrefix(why, short+": ") {
			return short
		}
	}
	return why
}

// indented makes a foreign text printable. The indent keeps its lines from looking like ours.
func indented(text string) string { return printable.Text(text, "  ") }
