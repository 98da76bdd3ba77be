package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"taskkeeper/internal/client"
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
func byID(o client.Outcome) string      { return fmt.Sprintf("task %.80s", o.Payload) }

// printText prints results to out, one a line, and what failed to errs.
func printText(out, errs io.Writer, name func(client.Outcome) string) func(client.Outcome) error {
	return func(o client.Outcome) error {
		var err error
		switch why := reason(o); {
		case o.Err != nil:
			_, err = fmt.Fprintf(errs, "%s: %s\n", name(o), why)
		case why != "" || o.State.Phase == task.Failed:
			_, err = fmt.Fprintf(errs, "%s: failed: %s\n", name(o), why)
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
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return func(o client.Outcome) error {
		l := line{
			ID: o.ID, Index: o.Index, State: task.Done.String(), Reason: reason(o),
			Attempts: o.Attempts, Seconds: o.Took.Round(time.Microsecond).Seconds(),
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
		return e.Encode(l)
	}
}

func text(b []byte) (plain *string, encoded string) {
	if !utf8.Valid(b) {
		return nil, base64.StdEncoding.EncodeToString(b)
	}
	s := string(b)
	return &s, ""
}
