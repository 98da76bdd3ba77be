package task

import (
	"bytes"
	"fmt"
	"strconv"
)

// Phase is where a task is between its submission and its end.
type Phase int

const (
	Odd     Phase = iota // a word that is none of ours: left alone
	Pending              // submitted, not finished
	Done                 // finished; State.Text is the result
	Failed               // finished; State.Text is the reason
)

// String is the word that stands in the znode; of Odd, what is said of it.
func (p Phase) String() string {
	switch p {
	case Pending:
		return "pending"
	case Done:
		return "done"
	case Failed:
		return "failed"
	}
	return "malformed"
}

// State is the content of /tasks/<id>.
type State struct {
	Phase  Phase
	Losses int    // Pending: executions lost with their workers
	Text   []byte // Done: the result; Failed: the reason; Odd: all of it
}

// Finished tells whether the task has its result or its failure.
func (s State) Finished() bool { return s.Phase == Done || s.Phase == Failed }

// ParseState reads what State.Bytes or a person wrote. It accepts anything:
// a number of losses that is none is 0, a word that is none of ours is Odd.
func ParseState(data []byte) State {
	word, rest := data, []byte(nil)
	if i := bytes.IndexAny(data, " \t\r\n"); i >= 0 {
		word, rest = data[:i], data[i+1:]
	}
	switch string(word) {
	case "", "pending":
		if len(word) == 0 && len(bytes.TrimSpace(rest)) > 0 {
			break
		}
		n, err := strconv.Atoi(string(bytes.TrimSpace(rest)))
		if err != nil || n < 0 {
			n = 0
		}
		return State{Phase: Pending, Losses: n}
	case "done":
		return State{Phase: Done, Text: rest}
	case "failed":
		return State{Phase: Failed, Text: rest}
	}
	return State{Phase: Odd, Text: data}
}

// Bytes writes the state as ParseState reads it.
func (s State) Bytes() []byte {
	switch {
	case s.Phase == Odd:
		return s.Text
	case s.Phase == Pending && s.Losses > 0:
		return fmt.Appendf(nil, "pending %d", s.Losses)
	case s.Phase == Pending, len(s.Text) == 0:
		return []byte(s.Phase.String())
	}
	return append([]byte(s.Phase.String()+" "), s.Text...)
}

// NewPending is the state of a task that lost n executions.
func NewPending(n int) State { return State{Phase: Pending, Losses: n} }

// NewDone is the state of a finished task.
func NewDone(result []byte) State { return State{Phase: Done, Text: result} }

// NewFailed is the state of a task that ended without a result.
func NewFailed(reason string) State { return State{Phase: Failed, Text: []byte(reason)} }
