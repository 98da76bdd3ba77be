package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"taskkeeper/internal/client"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/task"
)

// reason tells why an outcome is no result; "" if it is one.
func reason(o client.Outcome) string {
	switch {
	case o.Err != nil:
		return o.Err.Error()
	case o.State.Phase == task.Failed:
		return string(bytes.TrimSpace(o.State.Text))
	}
	return ""
}

// byPayload and byID name what failed.
func byPayload(o client.Outcome) string { return fmt.Sprintf("payload %.80q", o.Payload) }
func byID(o client.Outcome) string {
	return "task " + printable.Line(printable.Cut(string(o.Payload), 80))
}

// printer prints outcomes to stdout, and what failed to stderr unless asJSON. Once it
// has failed it prints nothing more.
func printer(cmd *cobra.Command, name func(client.Outcome) string, asJSON bool) func(client.Outcome) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	show := printText(out, cmd.ErrOrStderr(), name)
	if asJSON {
		show = printJSON(out)
	}
	var broken error
	return func(o client.Outcome) error {
		if broken == nil {
			broken = show(o)
		}
		if broken == nil {
			broken = out.Flush()
		}
		return broken
	}
}

// indented is a text from elsewhere as it is printed: no line of it passes for ours.
func indented(text string) string { return printable.Text(text, "  ") }

// printText prints results to out, one a line, and what failed to errs. A result is
// printed byte by byte, but for a terminal, which would act upon some of them.
func printText(out, errs io.Writer, name func(client.Outcome) string) func(client.Outcome) error {
	terminal := term.IsTerminal(int(os.Stdout.Fd()))
	return func(o client.Outcome) error {
		var err error
		switch why := indented(reason(o)); {
		case o.Err != nil:
			_, err = fmt.Fprintf(errs, "%s: %s\n", name(o), why)
		case why != "" || o.State.Phase == task.Failed:
			_, err = fmt.Fprintf(errs, "%s: failed: %s\n", name(o), why)
		case terminal:
			_, err = fmt.Fprintln(out, printable.Text(string(o.State.Text), ""))
		default:
			_, err = out.Write(append(o.State.Text, '\n'))
		}
		return err
	}
}

// line is an outcome as a line of JSON. Bytes that are no UTF-8 go in the field
// of that name with _base64 at its end.
type line struct {
	ID            string  `json:"id,omitempty"`
	Index         int     `json:"index"`
	Payload       *string `json:"payload,omitempty"`
	PayloadBase64 string  `json:"payload_base64,omitempty"`
	State         string  `json:"state"` // done or failed; pending or unknown where nothing ends the waiting
	Result        *string `json:"result,omitempty"`
	ResultBase64  string  `json:"result_base64,omitempty"`
	Reason        string  `json:"reason,omitempty"`
	Attempts      int     `json:"attempts,omitempty"`
	Seconds       float64 `json:"seconds"` // the last attempt's
}

func printJSON(out io.Writer) func(client.Outcome) error {
	return func(o client.Outcome) error {
		l := line{
			ID: o.ID, Index: o.Index, State: task.Done.String(), Reason: reason(o),
			Attempts: o.Attempts, Seconds: float64(o.Took.Round(time.Millisecond).Milliseconds()) / 1000,
		}
		if o.ID != string(o.Payload) {
			l.Payload, l.PayloadBase64 = text(o.Payload)
		}
		switch {
		case errors.Is(o.Err, task.ErrNone):
			l.State = "unknown"
		case errors.Is(o.Err, errStill):
			l.State = task.Pending.String()
		case o.Err != nil || o.State.Phase == task.Failed:
			l.State = task.Failed.String()
		default:
			l.Result, l.ResultBase64 = text(o.State.Text)
		}
		return encode(out, l)
	}
}

func text(b []byte) (plain *string, encoded string) {
	if !utf8.Valid(b) {
		return nil, base64.StdEncoding.EncodeToString(b)
	}
	s := string(b)
	return &s, ""
}
