package main

import (
	"encoding/base64"
	"errors"
	"time"
	"unicode/utf8"

	"taskkeeper/internal/client"
	"taskkeeper/internal/task"
)

// line is an outcome as a line of JSON. Bytes that are not UTF-8 go into the field whose name
// ends in _base64.
type line struct {
	ID            string  `json:"id,omitempty"`
	Index         int     `json:"index"`
	Payload       *string `json:"payload,omitempty"`
	PayloadBase64 string  `json:"payload_base64,omitempty"`
	Command       *string `json:"command,omitempty"` // made of the payload
	CommandBase64 string  `json:"command_base64,omitempty"`
	Queue         string  `json:"queue,omitempty"`
	State         string  `json:"state"` // done, failed or withdrawn; from 'wait' also pending, unknown or unreadable
	Result        *string `json:"result,omitempty"`
	ResultBase64  string  `json:"result_base64,omitempty"`
	Reason        string  `json:"reason,omitempty"`
	Stdout        *string `json:"stdout,omitempty"` // of a command that failed; else it is the result
	StdoutBase64  string  `json:"stdout_base64,omitempty"`
	Stderr        *string `json:"stderr,omitempty"`
	StderrBase64  string  `json:"stderr_base64,omitempty"`

	// From the facts that the worker wrote.
	Worker  string   `json:"worker,omitempty"`
	Host    string   `json:"host,omitempty"`
	Attempt int      `json:"attempt,omitempty"` // 1, and 1 more for each execution that was lost with its worker
	Began   string   `json:"began,omitempty"`
	Ran     *float64 `json:"ran_seconds,omitempty"`
	Waited  *float64 `json:"waited_seconds,omitempty"` // from the submission until it began
	Exit    string   `json:"exit,omitempty"`

	Attempts int     `json:"attempts,omitempty"` // submissions, if more than one
	Seconds  float64 `json:"seconds"`            // since the last submission
}

const stamp = "2006-01-02T15:04:05.000Z07:00"

func newLine(o client.Outcome) line {
	l := line{ID: o.ID, Index: o.Index, State: stateOf(o), Reason: reason(o), Seconds: seconds(o.Took)}
	l.Queue, _ = task.SplitQueue(o.ID)
	if o.Attempts > 1 {
		l.Attempts = o.Attempts
	}
	if o.ID != string(o.Payload) {
		l.Payload, l.PayloadBase64 = text(inputOf(o.Item))
	}
	if o.Input != nil {
		l.Command, l.CommandBase64 = text(o.Payload)
	}
	if o.Err != nil {
		return l
	}
	if o.State.Phase == task.Done {
		l.Result, l.ResultBase64 = text(o.State.Text)
	}
	if len(o.State.Stdout) > 0 {
		l.Stdout, l.StdoutBase64 = text(o.State.Stdout)
	}
	if len(o.State.Stderr) > 0 {
		l.Stderr, l.StderrBase64 = text(o.State.Stderr)
	}
	e := o.State.Facts.Executed()
	l.Worker, l.Attempt, l.Exit = e.Worker, e.Attempt, e.Exit
	_, l.Host, _ = task.ParseWorkerName(e.Worker)
	if e.Began.IsZero() {
		return l
	}
	l.Began = e.Began.Format(stamp)
	l.Ran = new(seconds(e.Ran))
	if made := task.ParseName(o.ID).Made; !made.IsZero() {
		l.Waited = new(seconds(max(0, e.Began.Sub(made)))) // two clocks: it may be negative
	}
	return l
}

// stateOf is the word for a task's outcome.
func stateOf(o client.Outcome) string {
	switch {
	case errors.Is(o.Err, task.ErrNotFound):
		return "unknown"
	case errors.Is(o.Err, errStill):
		return task.Pending.String()
	case errors.Is(o.Err, errUnreadable):
		return "unreadable"
	case o.Withdrawn:
		return "withdrawn"
	case isFailure(o):
		return task.Failed.String()
	}
	return task.Done.String()
}

func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000
}

func text(b []byte) (plain *string, encoded string) {
	if !utf8.Valid(b) {
		return nil, base64.StdEncoding.EncodeToString(b)
	}
	return new(string(b)), ""
}
