package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
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

// printText prints results to out, one a line, and what failed to errs.
func printText(out, errs io.Writer) func(client.Outcome) error {
	return func(o client.Outcome) error {
		var err error
		switch why := reason(o); {
		case o.Err != nil:
			_, err = fmt.Fprintf(errs, "payload %.80q: %s\n", o.Payload, why)
		case why != "" || o.State.Phase == task.Failed:
			_, err = fmt.Fprintf(errs, "payload %.80q: failed: %s\n", o.Payload, why)
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
	State         string  `json:"state"` // done or failed
	Result        *string `json:"result,omitempty"`
	ResultBase64  string  `json:"result_base64,omitempty"`
	Reason        string  `json:"reason,omitempty"`
	Attempts      int     `json:"attempts"`
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
		l.Payload, l.PayloadBase64 = text(o.Payload)
		if o.Err != nil || o.State.Phase == task.Failed {
			l.State = task.Failed.String()
		} else {
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
